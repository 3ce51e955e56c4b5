// The denoiser of the posterior is D + sigma^2 grad log p(y | x_sigma) without approximation, because
// p(x_sigma | y) is proportional to p(x_sigma) p(y | x_sigma): any sampler that runs with it must reach the
// posterior as its steps grow many. AnalyticPrior::condition knows it in closed form.

#include "posterior/oracle.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

// Every posterior sees every row, so that a row's bits do not depend on which others share its y.
class OracleDenoiser final : public Denoiser {
 public:
  struct Group {
    DenoiserPtr posterior;
    Tensor rows;  // (B) bool
  };
  OracleDenoiser(Shape shape, std::vector<Group> groups)
      : shape_(std::move(shape)), groups_(std::move(groups)) {}
  Shape shape() const override { return shape_; }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    check(x);
    return choose([&](const Denoiser& posterior) { return posterior.mean(x, flat_sigma(sigma)); });
  }
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override {
    check(x);
    std::vector<std::function<Tensor(const Tensor&)>> vjps;
    const Tensor mean = choose([&](const Denoiser& posterior) {
      Linearised one = linearise(posterior, x, flat_sigma(sigma));
      vjps.push_back(std::move(one.vjp));
      return one.mean;
    });
    return {mean, [self = *this, vjps](const Tensor& v) {
              size_t next = 0;
              return self.choose([&](const Denoiser&) { return vjps[next++](v); });
            }};
  }

 private:
  void check(const Tensor& x) const {
    if (x.size(0) != groups_.front().rows.size(0)) {
      throw Error("oracle.y", fmt::format("{} measurements for {} rows of x: one for each is needed",
                                          groups_.front().rows.size(0), x.size(0)));
    }
  }
  // Each row from the value of its own posterior
  template <class Value>
  Tensor choose(Value value) const {
    Tensor result;
    for (const auto& [posterior, rows] : groups_) {
      const Tensor one = value(*posterior);
      Shape column(one.dim(), 1);
      column[0] = one.size(0);
      result = result.defined() ? at::where(rows.to(one.device()).view(column), one, result) : one;
    }
    return result;
  }

  Shape shape_;
  std::vector<Group> groups_;
};

}  // namespace

Oracle::Oracle(const char* method, const DenoiserPtr& prior, const Likelihood& likelihood, const Tensor& y)
    : shape_(prior->shape()), once_(y.size(0)), given_(y.size(0)) {
  const LinearOperator& a = require_linear(likelihood, method);
  require_batch_of(y, a.codomain(), std::string(method) + ".y");
  y_ = y.flatten(1).to(at::kCPU, at::kDouble);
  posterior_ = require_analytic(prior, method)->condition(a.dense(), likelihood.noise_std());
}

const DenoiserPtr& Oracle::given(int64_t c) const {
  std::call_once(once_[c], [&] { given_[c] = posterior_->given(y_[c]); });
  return given_[c];
}

DenoiserPtr Oracle::rows(const std::vector<int64_t>& cases) const {
  std::vector<int64_t> distinct = cases;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<OracleDenoiser::Group> groups;
  for (const int64_t c : distinct) groups.push_back({given(c), at::tensor(cases).eq(c)});
  return std::make_shared<OracleDenoiser>(shape_, std::move(groups));
}

std::pair<Tensor, std::vector<int64_t>> distinct_rows(const Tensor& y) {
  std::vector<Tensor> distinct;
  std::vector<int64_t> place;
  for (const Tensor& row : y.unbind()) {
    const auto same = [&](const Tensor& other) { return at::equal(row, other); };
    const auto found = std::find_if(distinct.begin(), distinct.end(), same);
    place.push_back(found - distinct.begin());
    if (found == distinct.end()) distinct.push_back(row);
  }
  return {at::stack(distinct), place};
}

DenoiserPtr guide(const OracleOptions&, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally) {
  require_batch_of(y, likelihood.forward().codomain(), "oracle.y");
  const auto [cases, place] = distinct_rows(y);
  return counted(Oracle("oracle", prior, likelihood, cases).rows(place), tally);
}

}  // namespace tweedie
