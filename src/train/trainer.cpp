// The training loop. A batch is cut into slices, one thread each; their gradients are added in the order of
// the slices, so that the weights do not depend on the number of threads.

#include "core/shape.h"
#include "core/workers.h"
#include "train/edm.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

namespace tweedie {

namespace {

constexpr int64_t slice_rows = 16;
constexpr double beta1 = 0.9, beta2 = 0.999, adam_epsilon = 1e-8;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Weights zeros_like(const Weights& weights) {
  std::vector<Tensor> zeros;
  for (const Tensor& tensor : weights.tensors()) zeros.push_back(at::zeros_like(tensor));
  return weights.with(std::move(zeros));
}

void check(const TrainOptions& options, const Network& network, const Tensor& data) {
  const auto positive = [](const char* field, double value) {
    if (!(value > 0) || !std::isfinite(value))
      throw Error(field, fmt::format("{}: a positive number is needed", value));
  };
  const auto not_negative = [](const char* field, double value) {
    if (!(value >= 0) || !std::isfinite(value))
      throw Error(field, fmt::format("{}: a number of at least 0 is needed", value));
  };
  require_real(data, "data");
  require_batch_of(data, network.shape(), "data");
  if (data.size(0) == 0) throw Error("data", "no rows to learn from");
  require_finite(data, "data");
  if (options.steps) positive("train.steps", static_cast<double>(*options.steps));
  positive("train.minutes", options.minutes);
  positive("train.batch", static_cast<double>(options.batch));
  positive("train.learning_rate", options.learning_rate);
  positive("train.gradient_clip", options.gradient_clip);
  not_negative("train.warmup_steps", static_cast<double>(options.warmup_steps));
  not_negative("train.ema_ratio", options.ema_ratio);
  if (options.sigma_data) positive("train.sigma_data", *options.sigma_data);
  if (const auto* edm = std::get_if<EdmObjective>(&options.objective)) {
    if (!std::isfinite(edm->p_mean))
      throw Error("train.p_mean", fmt::format("{}: a finite number is needed", edm->p_mean));
    not_negative("train.p_std", edm->p_std);
  }
}

}  // namespace

struct Trainer::Implementation {
  std::shared_ptr<const Network> network;
  Tensor data;
  TrainOptions options;
  Noise order, diffusion;
  Workers workers;
  at::Device device;
  at::ScalarType dtype;
  TrainState state;
  int64_t epoch = -1;
  std::vector<int64_t> permutation;

  // Index into the data of the n-th image of the whole training: each epoch is a new permutation.
  int64_t image(int64_t n) {
    const int64_t size = data.size(0);
    if (n / size != epoch) {
      epoch = n / size;
      Noise fresh = order;
      fresh.seek(static_cast<uint32_t>(epoch));
      permutation = fresh.permutation(size);
    }
    return permutation[n % size];
  }

  struct Gradient {
    double loss = 0;
    std::vector<Tensor> parts;
  };

  Gradient slice_gradient(const Network::Bound& bound, const std::vector<Tensor>& leaves, const Tensor& x,
                          std::vector<uint64_t> rows) const {
    const at::AutoGradMode gradients(true);
    Noise noise = diffusion.rows(std::move(rows));
    const Tensor loss = std::visit(
        [&](const EdmObjective& edm) {
          return edm_loss(edm, bound, dtype, state.sigma_data, x.to(device), noise);
        },
        options.objective);
    Gradient result;
    result.parts = torch::autograd::grad({loss}, leaves);
    result.loss = loss.item<double>();
    return result;
  }

  // One thread an array: libtorch's own threads cost more than they save at these sizes, and wait for each
  // other.
  void for_each_array(const std::function<void(size_t)>& work) {
    workers.for_each(static_cast<int64_t>(state.weights.size()),
                     [&](int64_t i) { work(static_cast<size_t>(i)); });
  }

  // Mean gradient over the batch of the given step, in float32, and the mean loss.
  Gradient batch_gradient(int64_t step) {
    const int64_t batch = options.batch, slices = (batch + slice_rows - 1) / slice_rows;
    std::vector<int64_t> indices(batch);
    for (int64_t i = 0; i < batch; ++i) indices[i] = image(step * batch + i);
    std::vector<Tensor> leaves(state.weights.size());
    for_each_array([&](size_t i) {
      leaves[i] = Weights::cast(state.weights.tensors()[i], device, dtype).detach().requires_grad_();
    });
    const Network::Bound bound = network->bind(state.weights.with(leaves));
    std::vector<Gradient> gradients(slices);
    workers.for_each(slices, [&](int64_t slice) {
      const int64_t begin = slice * slice_rows, end = std::min(batch, begin + slice_rows);
      std::vector<uint64_t> rows(end - begin);
      for (int64_t i = begin; i < end; ++i) rows[i - begin] = static_cast<uint64_t>(step * batch + i);
      const Tensor chosen = at::tensor(std::vector<int64_t>(indices.begin() + begin, indices.begin() + end));
      gradients[slice] = slice_gradient(bound, leaves, data.index_select(0, chosen), std::move(rows));
    });
    const double scale = 1.0 / static_cast<double>(batch * product(network->shape()));
    Gradient total{0, std::vector<Tensor>(leaves.size())};
    for (const Gradient& gradient : gradients) total.loss += gradient.loss * scale;
    for_each_array([&](size_t i) {
      Tensor sum = at::zeros_like(state.weights.tensors()[i]);
      for (const Gradient& gradient : gradients) sum.add_(gradient.parts[i].to(at::kCPU, at::kFloat), scale);
      total.parts[i] = sum;
    });
    return total;
  }

  double learning_rate(int64_t step) const {
    const double warm =
        std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps + 1));
    const double done = static_cast<double>(step) / static_cast<double>(state.total_steps);
    return options.learning_rate * warm * 0.5 * (1 + std::cos(std::numbers::pi * done));
  }

  // Adam with the gradient's norm clipped, then the average. Returns the norm before clipping; where that is
  // not finite, the weights stay as they are.
  double update(const std::vector<Tensor>& gradient, double rate) {
    std::vector<double> squares(gradient.size());
    for_each_array([&](size_t i) { squares[i] = gradient[i].square().sum(at::kDouble).item<double>(); });
    const double norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
    const double clip = std::min(1.0, options.gradient_clip / (norm + 1e-12));
    if (!std::isfinite(norm)) return norm;
    const double t = static_cast<double>(state.step + 1);
    const double rate1 = rate / (1 - std::pow(beta1, t)), correction2 = std::sqrt(1 - std::pow(beta2, t));
    const double decay = std::pow(0.5, 1 / std::max(1.0, options.ema_ratio * t));
    for_each_array([&](size_t i) {
      const Tensor g = gradient[i] * clip;
      Tensor weight = state.weights.tensors()[i], average = state.average.tensors()[i];
      Tensor m = state.moment1.tensors()[i], v = state.moment2.tensors()[i];
      m.mul_(beta1).add_(g, 1 - beta1);
      v.mul_(beta2).addcmul_(g, g, 1 - beta2);
      weight.addcdiv_(m, v.sqrt().div_(correction2).add_(adam_epsilon), -rate1);
      average.lerp_(weight, 1 - decay);
    });
    return norm;
  }

  // How many steps fit in the minutes asked for, from a few whose results are thrown away.
  int64_t measured_steps() {
    batch_gradient(0);
    const double begin = seconds_now();
    int64_t count = 0;
    for (; count < 3 || (seconds_now() - begin < 2 && count < 50); ++count) batch_gradient(count);
    const double per_step = (seconds_now() - begin) / static_cast<double>(count);
    return std::max<int64_t>(1, static_cast<int64_t>(60 * options.minutes / per_step));
  }
};

Trainer::Trainer(std::shared_ptr<const Network> network, Tensor data, TrainOptions options, uint64_t seed,
                 int64_t threads, at::Device device) {
  check(options, *network, data);
  const bool bf16 = options.precision == Precision::bf16 ||
                    (options.precision == Precision::automatic && (device.is_cuda() || cpu_has_bfloat16()));
  const Noise noise(seed);
  TrainState state;
  state.weights = network->initialise(noise.stream(Stream::weights));
  state.average = state.weights.clone();
  state.moment1 = zeros_like(state.weights);
  state.moment2 = zeros_like(state.weights);
  state.total_steps = options.steps.value_or(0);
  state.sigma_data = options.sigma_data.value_or(data.std().item<double>());
  if (!(state.sigma_data > 0)) throw Error("data", "all values are equal: there is nothing to learn");
  implementation_.reset(new Implementation{std::move(network),
                                           data.to(at::kFloat),
                                           options,
                                           noise.stream(Stream::order),
                                           noise.stream(Stream::diffusion),
                                           Workers(device.is_cuda() ? 1 : threads),
                                           device,
                                           bf16 ? at::kBFloat16 : at::kFloat,
                                           std::move(state),
                                           -1,
                                           {}});
}

Trainer::~Trainer() = default;

const TrainState& Trainer::state() const {
  return implementation_->state;
}

at::ScalarType Trainer::dtype() const {
  return implementation_->dtype;
}

void Trainer::restore(TrainState state) {
  const Weights& mine = implementation_->state.weights;
  for (const Weights* theirs : {&state.weights, &state.average, &state.moment1, &state.moment2}) {
    bool same = theirs->names() == mine.names();
    for (size_t i = 0; same && i < mine.size(); ++i)
      same = theirs->tensors()[i].sizes() == mine.tensors()[i].sizes();
    if (!same)
      throw Error("checkpoint", "its arrays are not those of this network; it belongs to another [network]");
  }
  // Copies: training changes its arrays in place.
  for (Weights* w : {&state.weights, &state.average, &state.moment1, &state.moment2}) *w = w->clone();
  implementation_->state = std::move(state);
}

bool Trainer::run(const Observer& observer) {
  const at::NoGradGuard no_gradients;
  Implementation& self = *implementation_;
  TrainState& state = self.state;
  if (state.total_steps == 0) state.total_steps = self.measured_steps();
  double loss = std::numeric_limits<double>::quiet_NaN();
  const double begin = seconds_now();
  const int64_t first = state.step;
  while (state.step < state.total_steps) {
    const auto gradient = self.batch_gradient(state.step);
    const double rate = self.learning_rate(state.step);
    const double norm = self.update(gradient.parts, rate);
    if (!std::isfinite(norm)) {
      throw Error("train", fmt::format("the gradient became {} at step {}, the loss {}: lower "
                                       "train.learning_rate ({})",
                                       norm, state.step + 1, gradient.loss, self.options.learning_rate));
    }
    ++state.step;
    loss = std::isnan(loss) ? gradient.loss : loss + 0.02 * (gradient.loss - loss);
    const double speed =
        static_cast<double>((state.step - first) * self.options.batch) / (seconds_now() - begin);
    if (observer && observer({state.step, state.total_steps, speed, loss, rate, norm}) == Control::stop)
      break;
  }
  return state.step == state.total_steps;
}

}  // namespace tweedie
