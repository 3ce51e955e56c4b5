#include "network/plan.h"

#include "kernel/attention.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tweedie {

namespace {

template <class E>
class ModulationAsValue final : public Operation<E> {
  using Operation<E>::output;

 public:
  void forward(const Frame<E>& frame) const override {
    for (int64_t row = 0; row < frame.rows; ++row)
      from_planes(frame.modulation + row * frame.modulation_row, output.size, frame.value(output, row));
  }
  void backward(Frame<E>& frame) const override {
    if (frame.modulation_gradient == nullptr) return;
    std::vector<float> gradient(static_cast<size_t>(output.size.channels));
    for (int64_t row = 0; row < frame.rows; ++row) {
      to_planes(frame.gradients[output.index] + row * output.size.numbers(), output.size, gradient.data());
      float* to = frame.modulation_gradient + row * frame.modulation_row;
      for (size_t i = 0; i < gradient.size(); ++i) to[i] += gradient[i];
    }
  }
};

template <class E>
class Attention final : public Operation<E> {
  using Operation<E>::inputs;
  using Operation<E>::kept;
  using Operation<E>::output;

 public:
  explicit Attention(const Value& qkv) { inputs = kept = {qkv}; }

  void forward(const Frame<E>& frame) const override {
    for (int64_t row = 0; row < frame.rows; ++row) {
      tweedie::attend(frame.value(inputs[0], row), pixels(), channels(), frame.value(output, row));
    }
  }
  void backward(Frame<E>& frame) const override {
    const auto [dqkv, add] = frame.begin_gradient(inputs[0]);
    for (int64_t row = 0; row < frame.rows; ++row) {
      attend_gradient(frame.value(inputs[0], row),
                      frame.gradients[output.index] + row * output.size.numbers(), pixels(), channels(), add,
                      dqkv + row * inputs[0].size.numbers());
    }
  }

 private:
  int64_t pixels() const { return output.size.pixels(); }
  int64_t channels() const { return output.size.channels; }
};

template <class E>
class Halving final : public Operation<E> {
  using Operation<E>::inputs;
  using Operation<E>::output;

 public:
  explicit Halving(const Value& x) { inputs = {x}; }

  void forward(const Frame<E>& frame) const override {
    for (int64_t row = 0; row < frame.rows; ++row)
      tweedie::halve(frame.value(inputs[0], row), inputs[0].size, frame.value(output, row));
  }
  void backward(Frame<E>& frame) const override {
    const auto [dx, add] = frame.begin_gradient(inputs[0]);
    for (int64_t row = 0; row < frame.rows; ++row) {
      halve_gradient(frame.gradients[output.index] + row * output.size.numbers(), inputs[0].size, add,
                     dx + row * inputs[0].size.numbers());
    }
  }
};

template <class E>
class Enlargement final : public Operation<E> {
  using Operation<E>::inputs;
  using Operation<E>::output;

 public:
  explicit Enlargement(const Value& x) { inputs = {x}; }

  void forward(const Frame<E>& frame) const override {
    for (int64_t row = 0; row < frame.rows; ++row) {
      tweedie::enlarge(frame.value(inputs[0], row), inputs[0].size, output.size.height, output.size.width,
                       frame.value(output, row));
    }
  }
  void backward(Frame<E>& frame) const override {
    const auto [dx, add] = frame.begin_gradient(inputs[0]);
    for (int64_t row = 0; row < frame.rows; ++row) {
      enlarge_gradient(frame.gradients[output.index] + row * output.size.numbers(), inputs[0].size,
                       output.size.height, output.size.width, add, dx + row * inputs[0].size.numbers());
    }
  }
};

template <class E>
class Concatenation final : public Operation<E> {
  using Operation<E>::inputs;
  using Operation<E>::output;

 public:
  Concatenation(const Value& a, const Value& b) { inputs = {a, b}; }

  void forward(const Frame<E>& frame) const override {
    const int64_t pixels = frame.rows * output.size.pixels(), lanes = output.size.lanes();
    if (lanes != output.size.channels) std::fill_n(frame.value(output), pixels * lanes, E{});
    int64_t begin = 0;
    for (const Value& input : inputs) {
      copy_channels(frame.value(input), {input.size.lanes(), 0}, pixels, input.size.channels,
                    frame.value(output), {lanes, begin});
      begin += input.size.channels;
    }
  }
  void backward(Frame<E>& frame) const override {
    const int64_t pixels = frame.rows * output.size.pixels();
    int64_t begin = 0;
    for (const Value& input : inputs) {
      const auto [dx, add] = frame.begin_gradient(input);
      const int64_t lanes = input.size.lanes();
      if (!add && lanes != input.size.channels) std::fill_n(dx, pixels * lanes, E{});
      (add ? add_channels<E> : copy_channels<E>)(frame.gradients[output.index], {output.size.lanes(), begin},
                                                 pixels, input.size.channels, dx, {lanes, 0});
      begin += input.size.channels;
    }
  }
};

}  // namespace

template <class E>
Value Plan<E>::input(const ImageSize& size) {
  return values_.emplace_back(Value{values_.size(), size});
}

template <class E>
Value Plan<E>::modulation(int64_t count) {
  return add(std::make_unique<ModulationAsValue<E>>(), {1, 1, count});
}

template <class E>
Value Plan<E>::add(std::unique_ptr<Operation<E>> operation, const ImageSize& size) {
  const Value result = values_.emplace_back(Value{values_.size(), size});
  operation->output = result;
  operations_.push_back(std::move(operation));
  return result;
}

template <class E>
Value Plan<E>::convolve(const Value& x, const Convolution& convolution) {
  return add(make_convolution<E>(x, convolution), {x.size.height, x.size.width, convolution.out});
}

template <class E>
Value Plan<E>::attend(const Value& qkv) {
  return add(std::make_unique<Attention<E>>(qkv), {qkv.size.height, qkv.size.width, qkv.size.channels / 3});
}

template <class E>
Value Plan<E>::halve(const Value& x) {
  return add(std::make_unique<Halving<E>>(x), {x.size.height / 2, x.size.width / 2, x.size.channels});
}

template <class E>
Value Plan<E>::enlarge(const Value& x, int64_t height, int64_t width) {
  return add(std::make_unique<Enlargement<E>>(x), {height, width, x.size.channels});
}

template <class E>
Value Plan<E>::concatenate(const Value& a, const Value& b) {
  return add(std::make_unique<Concatenation<E>>(a, b),
             {a.size.height, a.size.width, a.size.channels + b.size.channels});
}

template <class E>
Parameter Plan<E>::parameter(const Tensor& weight) {
  parameters_.push_back(weight);
  const Tensor array = weight.detach().to(at::kFloat);
  arrays_.push_back(weight.dim() == 4 ? array.contiguous(at::MemoryFormat::ChannelsLast)
                                      : array.contiguous());
  return {parameters_.size() - 1, arrays_.back().data_ptr<float>()};
}

// First fit: each at the lowest place that is free all its life.
template <class E>
typename Plan<E>::Layout Plan<E>::lay_out(std::vector<Lifetime> lifetimes) {
  std::for_each(lifetimes.rbegin(), lifetimes.rend(), [&](const Lifetime& life) {
    if (life.place_of) lifetimes[*life.place_of].end = life.end;
  });
  Layout result;
  struct Taken {
    int64_t offset, size, begin, end;
  };
  std::vector<Taken> taken;  // by offset
  for (const Lifetime& life : lifetimes) {
    if (life.place_of) {
      result.offsets.push_back(result.offsets[*life.place_of]);
      continue;
    }
    int64_t offset = 0;
    auto place = taken.begin();
    for (; place != taken.end(); ++place) {
      if (place->end < life.begin || life.end < place->begin) continue;
      if (offset + life.size <= place->offset) break;
      offset = std::max(offset, place->offset + place->size);
    }
    const Taken mine{offset, life.size, life.begin, life.end};
    taken.insert(std::upper_bound(taken.begin(), taken.end(), mine,
                                  [](const Taken& a, const Taken& b) { return a.offset < b.offset; }),
                 mine);
    result.offsets.push_back(offset);
    result.total = std::max(result.total, offset + life.size);
  }
  return result;
}

template <class E>
void Plan<E>::finish(const Value& output) {
  output_ = output;
  const auto last = static_cast<int64_t>(operations_.size());
  // Value i lives from the operation that makes it to the last that takes it; the input is there before the
  // first. Backwards, a gradient lives from the last operation that takes the value to the one that made it.
  std::vector<Lifetime> values, kept, gradients;
  for (const Value& value : values_)
    values.push_back({value.size.numbers(), static_cast<int64_t>(value.index) - 1, -1, {}});
  for (int64_t i = 0; i < last; ++i) {
    for (const Value& input : operations_[i]->inputs) values[input.index].end = i;
  }
  values[output.index].end = last;
  // From the last value to the first, as they are made
  std::for_each(values.rbegin(), values.rend(), [&](const Lifetime& life) {
    gradients.push_back({life.size, last - life.end, last - life.begin, {}});
  });
  kept = values;
  for (const auto& operation : operations_) {
    for (const Value& input : operation->kept) kept[input.index].end = last;
  }
  for (auto* lifetimes : {&values, &kept}) {
    for (int64_t i = 0; i < last; ++i) {
      const auto& from = operations_[i]->in_place;
      if (from && (*lifetimes)[from->index].end == i)
        (*lifetimes)[operations_[i]->output.index].place_of = from->index;
    }
  }
  // Where an operation is the last that takes what its result is added to, its gradient is the result's.
  const auto reversed = [&](size_t index) { return values_.size() - 1 - index; };
  for (int64_t i = 0; i < last; ++i) {
    const auto& from = operations_[i]->in_place;
    if (from && values[from->index].end == i)
      gradients[reversed(from->index)].place_of = reversed(operations_[i]->output.index);
  }
  passing_ = lay_out(values);
  kept_ = lay_out(kept);
  gradients_ = lay_out(gradients);
  std::reverse(gradients_.offsets.begin(), gradients_.offsets.end());
}

template <class E>
Frame<E> Plan<E>::frame(int64_t rows, RowsOfModulation modulation, const Layout& layout, E* memory) const {
  Frame<E> result{.rows = rows,
                  .values = {},
                  .modulation = modulation.data,
                  .modulation_row = modulation.row,
                  .gradients = {},
                  .begun = {}};
  for (const int64_t offset : layout.offsets) result.values.push_back(memory + offset * rows);
  return result;
}

template <class E>
void Plan<E>::forward(int64_t rows, const float* x, RowsOfModulation modulation, bool keep, E* memory,
                      float* y) const {
  const Frame<E> run = frame(rows, modulation, keep ? kept_ : passing_, memory);
  const Value& input = values_.front();
  const int64_t in = input.size.channels * input.size.pixels();
  const int64_t out = output_.size.channels * output_.size.pixels();
  for (int64_t row = 0; row < rows; ++row) from_planes(x + row * in, input.size, run.value(input, row));
  for (const auto& operation : operations_) operation->forward(run);
  for (int64_t row = 0; row < rows; ++row) to_planes(run.value(output_, row), output_.size, y + row * out);
}

template <class E>
void Plan<E>::backward(int64_t rows, const float* dy, RowsOfModulation modulation, E* forward_memory,
                       E* memory, const Gradients& gradients) const {
  Frame<E> run = frame(rows, modulation, kept_, forward_memory);
  for (const int64_t offset : gradients_.offsets) run.gradients.push_back(memory + offset * rows);
  run.begun.assign(values_.size(), false);
  run.modulation_gradient = gradients.modulation;
  run.parameter_gradients = gradients.parameters;
  const Value& input = values_.front();
  if (gradients.x == nullptr) run.gradients[input.index] = nullptr;
  if (gradients.modulation == nullptr) {
    for (const auto& operation : operations_) {
      if (dynamic_cast<const ModulationAsValue<E>*>(operation.get()) != nullptr)
        run.gradients[operation->output.index] = nullptr;
    }
  }

  const int64_t in = input.size.channels * input.size.pixels();
  const int64_t out = output_.size.channels * output_.size.pixels();
  E* from = run.begin_gradient(output_).data;
  for (int64_t row = 0; row < rows; ++row)
    from_planes(dy + row * out, output_.size, from + row * output_.size.numbers());
  std::for_each(operations_.rbegin(), operations_.rend(),
                [&](const auto& operation) { operation->backward(run); });
  if (gradients.x == nullptr) return;
  for (int64_t row = 0; row < rows; ++row)
    to_planes(run.gradients[input.index] + row * input.size.numbers(), input.size, gradients.x + row * in);
}

template class Plan<float>;
template class Plan<Bfloat16>;

}  // namespace tweedie
