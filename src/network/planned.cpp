#include "network/planned.h"

#include "core/workers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

namespace tweedie {

Buffers::~Buffers() {
  for (const std::vector<Free>* list : {&runs_, &gradients_}) {
    for (const Free& free : *list) std::free(free.memory);
  }
}

Buffers::Buffer Buffers::take(int64_t bytes, Use use) {
  {
    const std::lock_guard lock(mutex_);
    std::vector<Free>& list = free_for(use);
    auto best = list.end();
    for (auto i = list.begin(); i != list.end(); ++i) {
      if (i->size >= bytes && (best == list.end() || i->size < best->size)) best = i;
    }
    if (best != list.end() && best->size <= 2 * bytes) {
      const Free found = *best;
      list.erase(best);
      return {found.memory, {this, found.size, use}};
    }
  }
  const int64_t size = round_up(std::max<int64_t>(bytes, 1), 64);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>(size)));
  if (memory == nullptr) throw std::bad_alloc();
  return {memory, {this, size, use}};
}

void Buffers::put(std::byte* memory, int64_t size, Use use) {
  constexpr size_t most = 8;  // a few threads' worth; the oldest are given back
  const std::lock_guard lock(mutex_);
  std::vector<Free>& list = free_for(use);
  list.push_back({memory, size});
  if (list.size() <= most) return;
  std::free(list.front().memory);
  list.erase(list.begin());
}

namespace {

struct Rows {
  int64_t begin, count;
};

// The rows as even frames, at least one for each thread that libtorch would use, of at most as many rows as
// have their values in a core's own cache; but of `least` rows, which share what each layer reads and writes
// of weights.
std::vector<Rows> frames_of(int64_t rows, int64_t bytes_per_row, int64_t least) {
  constexpr int64_t cache_bytes = 1 << 19;
  const int64_t frame_rows = std::clamp<int64_t>(cache_bytes / bytes_per_row, least, 128);
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  const int64_t frames = std::max((rows + frame_rows - 1) / frame_rows, std::min(rows, threads));
  std::vector<Rows> result;
  for (int64_t i = 0; i < frames; ++i) {
    const int64_t begin = i * rows / frames;
    result.push_back({begin, (i + 1) * rows / frames - begin});
  }
  return result;
}

RowsOfModulation modulation_at(const Tensor& modulation, int64_t row) {
  const int64_t stride = modulation.size(0) == 1 ? 0 : modulation.size(1);
  return {modulation.data_ptr<float>() + row * stride, stride};
}

template <class Work>
void for_each_frame(const std::vector<Rows>& frames, Work work) {
  at::parallel_for(0, static_cast<int64_t>(frames.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(static_cast<size_t>(i));
  });
}

// What a run is for: its values alone, or derivatives too. Sums over frames depend on where they are cut, so
// for parameters that does not depend on memory.
enum class Keep { nothing, for_inputs, for_parameters };

int64_t machine_memory() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
}
std::atomic<int64_t> most_kept = 0, now_kept = 0;

// A share of the memory that runs may keep, for as long as it lives
class Share {
 public:
  static std::optional<Share> of(int64_t bytes) {
    const int64_t most = most_kept > 0 ? most_kept.load() : machine_memory() / 4;
    Share result(bytes);
    if (now_kept > most) return std::nullopt;
    return result;
  }
  ~Share() { now_kept -= bytes_; }
  Share(Share&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
  Share& operator=(Share&&) = delete;

 private:
  explicit Share(int64_t bytes) : bytes_(bytes) { now_kept += bytes; }
  int64_t bytes_;
};

struct Run {
  std::vector<Rows> frames;
  std::optional<Share> share;
  std::vector<Buffers::Buffer> memory;  // of each frame, where there is a share
};

// Rows that a frame has at least. Kernels transformed for Winograd are large, and gradients of weights larger
// than those of a few images; other layers read their weights fast enough for every four.
template <class E>
int64_t least_rows(Keep keep) {
  return std::is_same_v<E, float> || keep == Keep::for_parameters ? 16 : 4;
}

template <class E>
E* numbers_in(const Buffers::Buffer& memory) {
  return reinterpret_cast<E*>(memory.get());
}

template <class E>
Tensor run_forward(const Plan<E>& plan, Buffers& buffers, const Tensor& x, const Tensor& modulation,
                   Keep keep, Run& run) {
  constexpr auto size_of_number = static_cast<int64_t>(sizeof(E));
  const int64_t kept_bytes = plan.forward_numbers(true) * size_of_number;
  if (keep != Keep::nothing) {
    if (auto share = Share::of(x.size(0) * kept_bytes)) run.share.emplace(std::move(*share));
  }
  const bool all = run.share.has_value();
  const int64_t bytes = all ? kept_bytes : plan.forward_numbers(false) * size_of_number;
  const ImageSize& size = plan.output_size();
  const Tensor y = at::empty({x.size(0), size.channels, size.height, size.width}, x.options());
  const bool again = !all && keep == Keep::for_inputs;
  run.frames = frames_of(x.size(0), keep == Keep::nothing ? bytes : kept_bytes,
                         again ? least_rows<E>(keep) / 4 : least_rows<E>(keep));
  run.memory.resize(run.frames.size());
  const int64_t in = x.numel() / std::max<int64_t>(1, x.size(0)), out = size.channels * size.pixels();
  for_each_frame(run.frames, [&](size_t i) {
    const auto [begin, count] = run.frames[i];
    Buffers::Buffer memory = buffers.take(count * bytes);
    plan.forward(count, x.data_ptr<float>() + begin * in, modulation_at(modulation, begin), all,
                 numbers_in<E>(memory), y.data_ptr<float>() + begin * out);
    if (all) run.memory[i] = std::move(memory);
  });
  return y;
}

// The gradients of parameters one behind another in memory of `buffers`, which goes back there after the last
// of them; 4-d ones channels-last. Of those not wanted nothing.
std::vector<Tensor> gradients_like(const std::vector<Tensor>& parameters, const std::vector<bool>& wanted,
                                   const std::shared_ptr<Buffers>& buffers) {
  struct Memory {
    std::shared_ptr<Buffers> home;
    Buffers::Buffer numbers;
  };
  constexpr int64_t line = 16;  // numbers in a cache line
  int64_t total = 0;
  for (size_t i = 0; i < parameters.size(); ++i)
    total += wanted[i] ? round_up(parameters[i].numel(), line) : 0;
  const int64_t bytes = total * static_cast<int64_t>(sizeof(float));
  const auto memory =
      std::make_shared<Memory>(Memory{buffers, buffers->take(bytes, Buffers::Use::gradients)});
  auto* next = numbers_in<float>(memory->numbers);
  std::vector<Tensor> result(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!wanted[i]) continue;
    const Tensor& parameter = parameters[i];
    const bool images = parameter.dim() == 4;
    // The parameter's own strides where they say the same: those of axes of one number may be anything.
    at::DimVector strides(parameter.strides());
    if (images && !parameter.is_contiguous(at::MemoryFormat::ChannelsLast)) {
      strides = at::DimVector(c10::get_channels_last_strides_2d(parameter.sizes()));
    } else if (!images) {
      strides = c10::contiguous_strides(parameter.sizes());
    }
    result[i] = at::from_blob(
        next, parameter.sizes(), strides, [memory](void*) {}, at::kFloat);
    next += round_up(parameters[i].numel(), line);
  }
  return result;
}

// Inputs: x, modulation, parameters
template <class E>
class PlanBackward final : public torch::autograd::Node {
  std::shared_ptr<const Plan<E>> plan_;
  std::shared_ptr<Buffers> buffers_;  // outlives the run's memory, which goes back there
  Tensor x_, modulation_;
  std::mutex mutex_;
  bool released_ = false;

 public:
  PlanBackward(std::shared_ptr<const Plan<E>> plan, std::shared_ptr<Buffers> buffers, Tensor x,
               Tensor modulation)
      : plan_(std::move(plan)),
        buffers_(std::move(buffers)),
        x_(std::move(x)),
        modulation_(std::move(modulation)) {}

  Run run;

  void release_variables() override {
    const std::lock_guard lock(mutex_);
    run.memory.clear();
    run.share.reset();
    x_.reset();
    released_ = true;
  }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& outputs) override {
    const std::lock_guard lock(mutex_);
    if (released_)
      throw std::logic_error("a run of a plan is differentiated after its memory was given back");
    const std::vector<Tensor>& parameters = plan_->parameters();
    torch::autograd::variable_list result(2 + parameters.size());
    const at::AutoGradMode no_gradients(false);
    const Tensor dy = outputs[0].contiguous();
    const ImageSize& size = plan_->input_size();
    const int64_t rows = dy.size(0);
    if (task_should_compute_output(0))
      result[0] = at::empty({rows, size.channels, size.height, size.width}, dy.options());
    if (task_should_compute_output(1)) result[1] = at::zeros_like(modulation_);
    std::vector<bool> wanted;
    for (size_t i = 0; i < parameters.size(); ++i) wanted.push_back(task_should_compute_output(2 + i));
    const bool with_parameters = std::find(wanted.begin(), wanted.end(), true) != wanted.end();
    std::vector<ParameterGradient> sums;
    if (with_parameters) {
      const std::vector<Tensor> parts = gradients_like(parameters, wanted, buffers_);
      std::copy(parts.begin(), parts.end(), result.begin() + 2);
      for (const Tensor& part : parts)
        sums.push_back(part.defined() ? ParameterGradient{part.data_ptr<float>(), part.numel()}
                                      : ParameterGradient{});
    }
    const int64_t in = size.channels * size.pixels(), out = dy.numel() / std::max<int64_t>(1, rows);
    const auto backward = [&](size_t i) {
      const auto [begin, count] = run.frames[i];
      typename Plan<E>::Gradients gradients;
      if (result[0].defined()) gradients.x = result[0].data_ptr<float>() + begin * in;
      if (result[1].defined())
        gradients.modulation = const_cast<float*>(modulation_at(result[1], begin).data);
      if (with_parameters) gradients.parameters = &sums;
      constexpr auto size_of_number = static_cast<int64_t>(sizeof(E));
      const RowsOfModulation modulation = modulation_at(modulation_, begin);
      Buffers::Buffer again;
      if (!run.share) {
        again = buffers_->take(count * plan_->forward_numbers(true) * size_of_number);
        std::vector<float> y(static_cast<size_t>(count * out));
        plan_->forward(count, x_.data_ptr<float>() + begin * in, modulation, true, numbers_in<E>(again),
                       y.data());
      }
      const Buffers::Buffer memory = buffers_->take(count * plan_->backward_numbers() * size_of_number);
      plan_->backward(count, dy.data_ptr<float>() + begin * out, modulation,
                      numbers_in<E>(run.share ? run.memory[i] : again), numbers_in<E>(memory), gradients);
    };
    // What frames add to is theirs in turn.
    const bool shared = with_parameters || (result[1].defined() && modulation_.size(0) == 1);
    if (shared) {
      for (size_t i = 0; i < run.frames.size(); ++i) backward(i);
    } else {
      for_each_frame(run.frames, backward);
    }
    for (ParameterGradient& sum : sums) {
      if (sum.data != nullptr) sum.begin();
    }
    return result;
  }
};

}  // namespace

PlanNumbers plan_numbers(const Weights& weights, at::ScalarType dtype) {
  if (!weights.tensors().front().device().is_cpu()) return PlanNumbers::none;
  if (dtype == at::kFloat) return PlanNumbers::float32;
  if (dtype != at::kBFloat16) return PlanNumbers::none;
  return cpu_has_bfloat16() ? PlanNumbers::bfloat16 : PlanNumbers::float32;
}

void limit_kept_memory(int64_t bytes) {
  most_kept = bytes;
}

template <class E>
Tensor run_plan(const std::shared_ptr<const Plan<E>>& plan, const std::shared_ptr<Buffers>& buffers,
                const Tensor& x, const Tensor& modulation) {
  const Tensor input = x.detach().contiguous(), fixed = modulation.detach().contiguous();
  Keep keep = x.requires_grad() ? Keep::for_inputs : Keep::nothing;
  if (modulation.requires_grad()) keep = Keep::for_parameters;  // a sum over rows where all have the same
  for (const Tensor& parameter : plan->parameters()) {
    if (parameter.requires_grad()) keep = Keep::for_parameters;
  }
  if (keep == Keep::nothing || !at::GradMode::is_enabled()) {
    Run run;
    return run_forward(*plan, *buffers, input, fixed, Keep::nothing, run);
  }
  const auto node = std::shared_ptr<PlanBackward<E>>(new PlanBackward<E>(plan, buffers, input, fixed),
                                                     torch::autograd::deleteNode);
  torch::autograd::variable_list inputs{x, modulation};
  inputs.insert(inputs.end(), plan->parameters().begin(), plan->parameters().end());
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  Tensor y = run_forward(*plan, *buffers, input, fixed, keep, node->run);
  torch::autograd::set_history(y, node);
  return y;
}

template Tensor run_plan(const std::shared_ptr<const Plan<float>>&, const std::shared_ptr<Buffers>&,
                         const Tensor&, const Tensor&);
template Tensor run_plan(const std::shared_ptr<const Plan<Bfloat16>>&, const std::shared_ptr<Buffers>&,
                         const Tensor&, const Tensor&);

}  // namespace tweedie
