// A user's program as an operator: see tweedie/user_operators.h for what it is asked.

#include "core/shape.h"
#include "io/child_process.h"
#include "io/npy.h"
#include "tweedie/user_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <mutex>

namespace tweedie {

namespace {

// The process, for one thread at a time. After a failure it is gone, and what failed is said again.
class Server {
 public:
  Server(const Subprocess& settings, std::string place)
      : process_(settings.command, settings.folder, place + ".command"),
        place_(place + ".command"),
        timeout_(settings.timeout) {}

  // shape: of the answer; empty: any. rows: one array each, float64
  Tensor ask(const std::string& word, const std::vector<Tensor>& arrays, const Shape* shape) const {
    Bytes body;
    std::string line = word;
    for (const Tensor& array : arrays) {
      const Bytes bytes = encode_npy(array.to(at::kCPU, at::kDouble).contiguous(), place_);
      line += fmt::format(" {}", bytes.size());
      body.insert(body.end(), bytes.begin(), bytes.end());
    }
    line += '\n';
    Bytes request(line.begin(), line.end());
    request.insert(request.end(), body.begin(), body.end());

    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw Error(place_, failure_);
    try {
      const Tensor answer = parse_npy(process_.ask(request, length_, timeout_), place_);
      return checked(answer, word, shape);
    } catch (const Error& e) {
      failure_ = std::string(e.what()).substr(e.place().size() + 2);
      throw;
    }
  }

 private:
  Tensor checked(const Tensor& answer, const std::string& word, const Shape* shape) const {
    if (answer.scalar_type() != at::kFloat && answer.scalar_type() != at::kDouble) {
      throw Error(place_, fmt::format("answers {} with {}, but float32 or float64 is needed", word,
                                      toString(answer.scalar_type())));
    }
    if (shape == nullptr) return answer;
    if (answer.sizes() != at::IntArrayRef(*shape)) {
      throw Error(place_, fmt::format("answers {} with shape {}, but {} is needed", word,
                                      to_string(answer.sizes()), to_string(*shape)));
    }
    try {
      require_finite(answer, place_);
    } catch (const Error& e) {
      throw Error(place_, fmt::format("answers {} with {}", word,
                                      std::string(e.what()).substr(e.place().size() + 2)));
    }
    return answer;
  }

  mutable ChildProcess process_;
  std::string place_;
  double timeout_;
  ChildProcess::Length length_ = [this](ByteView bytes) { return npy_length(bytes, place_); };
  mutable std::mutex mutex_;
  mutable std::string failure_;
};

// Row by row, in x's dtype.
Tensor ask_rows(const Server& server, const std::string& word, const std::vector<Tensor>& batches,
                const Shape& shape) {
  const Tensor& x = batches[0];
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < x.size(0); ++i) {
    std::vector<Tensor> arrays;
    for (const Tensor& batch : batches) arrays.push_back(batch[i]);
    rows.push_back(server.ask(word, arrays, &shape).to(x.options()));
  }
  return at::stack(rows);
}

class SubprocessOperator final : public ForwardOperator {
 public:
  SubprocessOperator(std::shared_ptr<const Server> server, Shape domain, Shape codomain)
      : server_(std::move(server)), domain_(std::move(domain)), codomain_(std::move(codomain)) {}
  Shape domain() const override { return domain_; }
  Shape codomain() const override { return codomain_; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return ask_rows(*server_, "apply", {x}, codomain_); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    return ask_rows(*server_, "vjp", {x, v}, domain_);
  }

 private:
  std::shared_ptr<const Server> server_;
  Shape domain_, codomain_;
};

class LinearSubprocessOperator final : public LinearOperator {
 public:
  LinearSubprocessOperator(std::shared_ptr<const Server> server, Shape domain, Shape codomain)
      : server_(std::move(server)), domain_(std::move(domain)), codomain_(std::move(codomain)) {}
  Shape domain() const override { return domain_; }
  Shape codomain() const override { return codomain_; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return ask_rows(*server_, "apply", {x}, codomain_); }
  Tensor do_adjoint(const Tensor& y) const override { return ask_rows(*server_, "adjoint", {y}, domain_); }

 private:
  std::shared_ptr<const Server> server_;
  Shape domain_, codomain_;
};

}  // namespace

ForwardOperatorPtr start_subprocess_operator(const Subprocess& settings, Shape domain,
                                             const std::string& place) {
  const auto server = std::make_shared<Server>(settings, place);
  const Tensor y = server->ask("apply", {at::full(domain, 0.5, at::kDouble)}, nullptr);
  if (y.dim() == 0 || y.numel() == 0) {
    throw Error(place + ".command",
                fmt::format("answers apply with shape {}, but an array with something in it is needed",
                            to_string(y.sizes())));
  }
  Shape codomain = y.sizes().vec();
  if (settings.linear) {
    return std::make_shared<LinearSubprocessOperator>(server, std::move(domain), std::move(codomain));
  }
  return std::make_shared<SubprocessOperator>(server, std::move(domain), std::move(codomain));
}

}  // namespace tweedie
