// The training loop. A batch is cut into slices, one thread each; their gradients are added in the order of
// the slices, so that the weights do not depend on the number of threads.

#include "core/rows.h"
#include "core/shape.h"
#include "core/workers.h"
#include "network/layers.h"
#include "train/adam.h"
#include "train/augmentation.h"
#include "train/gradient.h"
#include "train/muon.h"
#include "train/train_options.h"
#include "tweedie/error.h"
#include "tweedie/train.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

namespace tweedie {

namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Weights zeros_like(const Weights& weights) {
  std::vector<Tensor> zeros;
  for (const Tensor& tensor : weights.tensors()) zeros.push_back(at::zeros_like(tensor));
  return weights.with(std::move(zeros));
}

}  // namespace

struct Trainer::Implementation {
  std::shared_ptr<const Trainable> model;
  Tensor data, labels;  // to learn from
  Batch held_out;       // not to
  TrainOptions options;
  Noise order, diffusion, augmentation, validation;
  Workers workers;
  at::Device device;
  at::ScalarType dtype;
  TrainState state;
  int64_t epoch = -1;
  std::vector<int64_t> permutation;
  std::vector<Tensor> leaves = {};  // the weights, as what is differentiated
  struct BatchGradient {
    double loss = 0, norm = 0;
    std::vector<Tensor> parts = {};  // in memory as the weights are
  };
  BatchGradient total = {};

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

  Gradient slice_gradient(const Trainable::Loss& bound, const Batch& batch,
                          std::vector<uint64_t> rows) const {
    const at::AutoGradMode gradients(true);
    Noise noise = diffusion.rows(std::move(rows));
    const Tensor loss = bound(batch, noise);
    Gradient result;
    result.parts = gradient(loss, leaves);
    for (size_t i = 0; i < leaves.size(); ++i) {
      // In memory as the weights are
      const Tensor& part = result.parts[i];
      if (part.device().is_cpu() && part.dtype() == at::kFloat && part.strides() == leaves[i].strides())
        continue;
      result.parts[i] = at::empty_like(state.weights.tensors()[i]).copy_(part);
    }
    result.loss = loss.item<double>();
    return result;
  }

  // A part of one of the arrays that a thread takes: libtorch's own threads cost more than they save at these
  // sizes, and wait for each other.
  struct Block {
    size_t array;
    int64_t begin, count;
  };
  std::vector<Block> blocks() const {
    constexpr int64_t most = 1 << 16;
    std::vector<Block> result;
    for (size_t i = 0; i < state.weights.size(); ++i) {
      const int64_t size = state.weights.tensors()[i].numel();
      for (int64_t begin = 0; begin < size; begin += most)
        result.push_back({i, begin, std::min(most, size - begin)});
    }
    return result;
  }

  // On the CPU they are the weights themselves, which a step changes in place.
  void take_leaves() {
    const auto same = [](const Tensor& a, const Tensor& b) { return a.data_ptr() == b.data_ptr(); };
    const std::vector<Tensor>& weights = state.weights.tensors();
    if (std::equal(leaves.begin(), leaves.end(), weights.begin(), weights.end(), same)) return;
    leaves.clear();
    for (const Tensor& weight : weights)
      leaves.push_back(Weights::cast(weight, device, at::kFloat).detach().requires_grad_());
  }

  // The chains of rows begin .. end of the batch of a step, in place
  Tensor chains_of(int64_t step, int64_t begin, int64_t end) const {
    if (!state.chains.defined()) return {};
    const int64_t offset = step % (state.chains.size(0) / options.batch) * options.batch;
    return state.chains.slice(0, offset + begin, offset + end);
  }

  // Mean gradient over the batch of the given step, in float32, and the mean loss.
  const BatchGradient& batch_gradient(int64_t step) {
    const int64_t batch = options.batch, rows_each = rows_together(model->shape(), device);
    const int64_t slices = (batch + rows_each - 1) / rows_each;
    std::vector<int64_t> indices(batch);
    for (int64_t i = 0; i < batch; ++i) indices[i] = image(step * batch + i);
    take_leaves();
    const Trainable::Loss bound = model->bind(state.weights.with(leaves), dtype);
    const double scale = 1.0 / (static_cast<double>(batch) * model->terms());
    total.loss = 0;
    const int64_t parts = std::min(options.accumulate, slices);
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = part * slices / parts, last = (part + 1) * slices / parts;
      std::vector<Gradient> gradients(last - first);
      workers.for_each(last - first, [&](int64_t i) {
        const int64_t begin = (first + i) * rows_each, end = std::min(batch, begin + rows_each);
        std::vector<uint64_t> rows(end - begin);
        for (int64_t k = begin; k < end; ++k) rows[k - begin] = static_cast<uint64_t>(step * batch + k);
        const Tensor chosen =
            at::tensor(std::vector<int64_t>(indices.begin() + begin, indices.begin() + end));
        const Tensor x = augmented(data.index_select(0, chosen), options.augment, augmentation.rows(rows));
        Batch slice{x.to(device), {}, chains_of(step, begin, end), {}};
        if (labels.defined()) slice.labels = labels.index_select(0, chosen).to(device);
        gradients[i] = slice_gradient(bound, slice, std::move(rows));
      });
      for (const Gradient& gradient : gradients) total.loss += gradient.loss * scale;
      add_gradients(gradients, last == slices ? scale : 1, part > 0);
    }
    return total;
  }

  // Adds gradients to the total in their order, then scales it and takes its norm.
  void add_gradients(const std::vector<Gradient>& gradients, double scale, bool begun) {
    if (total.parts.empty()) {
      for (const Tensor& weight : state.weights.tensors()) total.parts.push_back(at::empty_like(weight));
    }
    const std::vector<Block> blocks = this->blocks();
    std::vector<double> squares(blocks.size());
    workers.for_each(static_cast<int64_t>(blocks.size()), [&](int64_t i) {
      const auto [array, begin, count] = blocks[i];
      float* sum = total.parts[array].data_ptr<float>() + begin;
      std::vector<const float*> parts;
      if (begun) parts.push_back(sum);
      for (const Gradient& gradient : gradients)
        parts.push_back(gradient.parts[array].data_ptr<float>() + begin);
      squares[i] = sum_gradients(parts, count, static_cast<float>(scale), sum);
    });
    total.norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
  }

  // The mean loss of the rows held out under the averaged weights, at one level or as in training
  double held_out_loss(const Trainable::Loss& bound, std::optional<double> level) {
    const int64_t count = held_out.x.size(0), rows_each = rows_together(model->shape(), device);
    std::vector<double> losses((count + rows_each - 1) / rows_each);
    workers.for_each(static_cast<int64_t>(losses.size()), [&](int64_t i) {
      const int64_t begin = i * rows_each, end = std::min(count, begin + rows_each);
      std::vector<uint64_t> rows(end - begin);
      std::iota(rows.begin(), rows.end(), static_cast<uint64_t>(begin));
      Noise noise = validation.rows(std::move(rows));
      Batch slice{held_out.x.slice(0, begin, end).to(device), {}, {}, level};
      if (held_out.labels.defined()) slice.labels = held_out.labels.slice(0, begin, end).to(device);
      losses[i] = bound(slice, noise).item<double>();
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0) / (static_cast<double>(count) * model->terms());
  }

  // True when it is time to stop.
  bool look() {
    const Trainable::Loss bound = model->bind(state.average.to(device, at::kFloat), dtype);
    Validation seen{state.step, held_out_loss(bound, {}), {}};
    for (const double level : model->levels()) seen.by_level.push_back(held_out_loss(bound, level));
    if (!std::isfinite(seen.loss))
      throw Error("train",
                  fmt::format("the loss of the rows held out became {} at step {}", seen.loss, state.step));
    const auto better = [](const Validation& a, const Validation& b) { return a.loss < b.loss; };
    state.validations.push_back(std::move(seen));
    if (!options.patience) return false;
    const auto best = std::min_element(state.validations.begin(), state.validations.end(), better);
    const int64_t since = state.validations.end() - best - 1;
    if (since == 0) state.best = state.average.clone();
    return since >= *options.patience;
  }

  double learning_rate(int64_t step) const {
    const double warm =
        std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps + 1));
    const double done = static_cast<double>(step) / static_cast<double>(state.total_steps);
    return options.learning_rate * warm * 0.5 * (1 + std::cos(std::numbers::pi * done));
  }

  // A step of the optimiser with the gradient's norm clipped, and the average; the gradient is a finite one.
  void update(const BatchGradient& gradient, double rate) {
    const double t = static_cast<double>(state.step + 1);
    const AdamStep step{
        .clip = static_cast<float>(std::min(1.0, options.gradient_clip / (gradient.norm + 1e-12))),
        .rate = static_cast<float>(rate / (1 - std::pow(adam_beta1, t))),
        .second = static_cast<float>(std::sqrt(1 - std::pow(adam_beta2, t))),
        .mix = static_cast<float>(1 - std::pow(0.5, 1 / std::max(1.0, options.ema_ratio * t))),
        .keep = static_cast<float>(1 - rate * options.weight_decay)};
    std::vector<Block> blocks = this->blocks();
    if (options.optimiser == Optimiser::muon) {
      const std::vector<Tensor>&weights = state.weights.tensors(), &moments = state.moment1.tensors(),
            &averages = state.average.tensors();
      const MuonStep for_matrices{step.clip, static_cast<float>(rate), step.mix, step.keep};
      workers.for_each(static_cast<int64_t>(weights.size()), [&](int64_t i) {
        if (is_matrix(weights[i]))
          muon_step(for_matrices, gradient.parts[i], {weights[i], moments[i], averages[i]});
      });
      std::erase_if(blocks, [&](const Block& block) { return is_matrix(weights[block.array]); });
    }
    workers.for_each(static_cast<int64_t>(blocks.size()), [&](int64_t i) {
      const auto [array, begin, count] = blocks[i];
      const auto at = [array = array, begin = begin](const Weights& weights) {
        return weights.tensors()[array].data_ptr<float>() + begin;
      };
      adam_step(step, gradient.parts[array].data_ptr<float>() + begin, count,
                {at(state.weights), at(state.moment1), at(state.moment2), at(state.average)});
    });
  }

  // How many steps fit in the minutes asked for, from a few whose results are thrown away.
  int64_t measured_steps() {
    const Tensor chains = state.chains.defined() ? state.chains.clone() : Tensor();
    batch_gradient(0);
    const double begin = seconds_now();
    int64_t count = 0;
    for (; count < 3 || (seconds_now() - begin < 2 && count < 50); ++count) batch_gradient(count);
    const double per_step = (seconds_now() - begin) / static_cast<double>(count);
    state.chains = chains;
    return std::max<int64_t>(1, static_cast<int64_t>(60 * options.minutes / per_step));
  }
};

Trainer::Trainer(std::shared_ptr<const Trainable> model, Tensor data, Tensor labels, TrainOptions options,
                 uint64_t seed, int64_t threads, at::Device device) {
  check_training(options, *model, data, labels);
  // A processor that does not multiply bfloat16 is slower in it than in float32.
  const bool bf16 = options.precision == Precision::automatic
                        ? device.is_cuda() && model->gpu_dtype() == at::kBFloat16
                        : options.precision == Precision::bf16 && (device.is_cuda() || cpu_has_bfloat16());
  const Noise noise(seed);
  data = data.to(at::kFloat);
  Batch held_out;
  if (const auto count = static_cast<int64_t>(options.validation * static_cast<double>(data.size(0)));
      options.validation > 0) {
    if (count < 1 || count == data.size(0))
      throw Error("train.validation",
                  fmt::format("{} of {} rows is none or all of them", options.validation, data.size(0)));
    const Tensor rows = at::tensor(noise.stream(Stream::metric).permutation(data.size(0)));
    const Tensor out = std::get<0>(rows.slice(0, 0, count).sort()),
                 in = std::get<0>(rows.slice(0, count).sort());
    held_out.x = data.index_select(0, out);
    data = data.index_select(0, in);
    if (labels.defined()) {
      held_out.labels = labels.index_select(0, out);
      labels = labels.index_select(0, in);
    }
  }
  if (data.numel() > 0 && data.min().item<float>() == data.max().item<float>())
    throw Error("data", "all values are equal: there is nothing to learn");
  TrainState state;
  const Tensor some = spread_rows(data, 1024);
  // Channels last in memory, as networks read them
  state.weights = model->initialise(noise.stream(Stream::weights), some).to(at::kCPU, at::kFloat);
  state.average = state.weights.clone();
  state.moment1 = zeros_like(state.weights);
  state.moment2 = zeros_like(state.weights);
  state.total_steps = options.steps.value_or(0);
  state.chains = model->chains(options.batch, some, noise.stream(Stream::initial));
  implementation_.reset(new Implementation{std::move(model),
                                           std::move(data),
                                           std::move(labels),
                                           std::move(held_out),
                                           options,
                                           noise.stream(Stream::order),
                                           noise.stream(Stream::diffusion),
                                           noise.stream(Stream::augmentation),
                                           noise.stream(Stream::metric),
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

const Weights& Trainer::result() const {
  const TrainState& state = implementation_->state;
  return state.best.size() > 0 ? state.best : state.average;
}

at::ScalarType Trainer::dtype() const {
  return implementation_->dtype;
}

void Trainer::restore(TrainState state) {
  const Weights& mine = implementation_->state.weights;
  std::vector<const Weights*> all{&state.weights, &state.average, &state.moment1, &state.moment2};
  if (state.best.size() > 0) all.push_back(&state.best);
  for (const Weights* theirs : all) {
    if (!layers::same_arrays(*theirs, mine))
      throw Error("checkpoint", "its arrays are not those of this network; it belongs to another [network]");
  }
  const Tensor& chains = implementation_->state.chains;
  if (chains.defined() != state.chains.defined() ||
      (chains.defined() && chains.sizes() != state.chains.sizes()))
    throw Error("checkpoint", "its chains are not those of this model; it belongs to another [model]");
  if (state.chains.defined()) state.chains = state.chains.clone();
  if (state.best.size() > 0) state.best = state.best.to(at::kCPU, at::kFloat).clone();
  // Copies: training changes its arrays in place.
  for (Weights* w : {&state.weights, &state.average, &state.moment1, &state.moment2})
    *w = w->to(at::kCPU, at::kFloat).clone();
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
    const auto& gradient = self.batch_gradient(state.step);
    const double rate = self.learning_rate(state.step);
    if (!std::isfinite(gradient.norm)) {
      throw Error("train",
                  fmt::format("the gradient became {} at step {}, the loss {}: lower "
                              "train.learning_rate ({})",
                              gradient.norm, state.step + 1, gradient.loss, self.options.learning_rate));
    }
    self.update(gradient, rate);
    ++state.step;
    const bool last = state.step == state.total_steps;
    if (self.held_out.x.defined() && (last || state.step % self.options.validation_steps == 0) && self.look())
      state.total_steps = state.step;
    loss = std::isnan(loss) ? gradient.loss : loss + 0.02 * (gradient.loss - loss);
    const double speed =
        static_cast<double>((state.step - first) * self.options.batch) / (seconds_now() - begin);
    if (observer &&
        observer({state.step, state.total_steps, speed, loss, rate, gradient.norm}) == Control::stop)
      break;
  }
  return state.step == state.total_steps;
}

}  // namespace tweedie
