#include "network/plan.h"

#include "kernel/attention.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tweedie {

Value Plan::input(const ImageSize& size) {
  return values_.emplace_back(Value{values_.size(), size});
}

Value Plan::add(std::unique_ptr<Operation> operation, const ImageSize& size) {
  const Value result = values_.emplace_back(Value{values_.size(), size});
  operation->output = result;
  operations_.push_back(std::move(operation));
  return result;
}

Value Plan::convolve(const Value& x, const Convolution& convolution) {
  return add(make_convolution(x, convolution), {x.size.height, x.size.width, convolution.out});
}

Value Plan::attend(const Value& qkv) {
  return add(make_attention(qkv), {qkv.size.height, qkv.size.width, qkv.size.channels / 3});
}

Value Plan::halve(const Value& x) {
  return add(make_halving(x), {x.size.height / 2, x.size.width / 2, x.size.channels});
}

Value Plan::enlarge(const Value& x, int64_t height, int64_t width) {
  return add(make_enlargement(x), {height, width, x.size.channels});
}

Value Plan::concatenate(const Value& a, const Value& b) {
  return add(make_concatenation(a, b), {a.size.height, a.size.width, a.size.channels + b.size.channels});
}

Parameter Plan::parameter(const Tensor& weight) {
  parameters_.push_back(weight);
  arrays_.push_back(weight.dim() == 4 ? weight.detach().contiguous(at::MemoryFormat::ChannelsLast)
                                      : weight.detach().contiguous());
  return {parameters_.size() - 1, arrays_.back().data_ptr<float>()};
}

// First fit: each at the lowest place that is free all its life.
Plan::Layout Plan::lay_out(const std::vector<Lifetime>& lifetimes) {
  Layout result;
  struct Taken {
    int64_t offset, size, begin, end;
  };
  std::vector<Taken> taken;  // by offset
  for (const Lifetime& life : lifetimes) {
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

void Plan::finish(const Value& output) {
  output_ = output;
  const auto last = static_cast<int64_t>(operations_.size());
  // Value i lives from the operation that makes it to the last that takes it; the input is there before the
  // first. Backwards, a gradient lives from the last operation that takes the value to the one that made it.
  std::vector<Lifetime> values, kept, gradients;
  for (const Value& value : values_)
    values.push_back({value.size.numbers(), static_cast<int64_t>(value.index) - 1, -1});
  for (int64_t i = 0; i < last; ++i) {
    for (const Value& input : operations_[i]->inputs) values[input.index].end = i;
  }
  values[output.index].end = last;
  for (const Lifetime& life : values) gradients.push_back({life.size, last - life.end, last - life.begin});
  kept = values;
  for (const auto& operation : operations_) {
    for (const Value& input : operation->kept) kept[input.index].end = last;
  }
  passing_ = lay_out(values);
  kept_ = lay_out(kept);
  gradients_ = lay_out(gradients);
}

Frame Plan::frame(int64_t rows, Modulation modulation, const Layout& layout, float* memory) const {
  Frame result{.rows = rows,
               .values = {},
               .modulation = modulation.data,
               .modulation_row = modulation.row,
               .gradients = {},
               .begun = {},
               .parameter_gradients = {}};
  for (const int64_t offset : layout.offsets) result.values.push_back(memory + offset * rows);
  return result;
}

void Plan::forward(int64_t rows, const float* x, Modulation modulation, bool keep, float* memory,
                   float* y) const {
  const Frame run = frame(rows, modulation, keep ? kept_ : passing_, memory);
  const Value& input = values_.front();
  const int64_t in = input.size.channels * input.size.pixels();
  const int64_t out = output_.size.channels * output_.size.pixels();
  for (int64_t row = 0; row < rows; ++row) from_planes(x + row * in, input.size, run.value(input, row));
  for (const auto& operation : operations_) operation->forward(run);
  for (int64_t row = 0; row < rows; ++row) to_planes(run.value(output_, row), output_.size, y + row * out);
}

void Plan::backward(int64_t rows, const float* dy, Modulation modulation, float* forward_memory,
                    float* memory, const Gradients& gradients) const {
  Frame run = frame(rows, modulation, kept_, forward_memory);
  for (const int64_t offset : gradients_.offsets) run.gradients.push_back(memory + offset * rows);
  run.begun.assign(values_.size(), false);
  run.modulation_gradient = gradients.modulation;
  run.parameter_gradients = gradients.parameters;
  run.parameter_gradients.resize(parameters_.size(), nullptr);
  const Value& input = values_.front();
  if (gradients.x == nullptr) run.gradients[input.index] = nullptr;

  const int64_t in = input.size.channels * input.size.pixels();
  const int64_t out = output_.size.channels * output_.size.pixels();
  float* from = run.begin_gradient(output_).data;
  for (int64_t row = 0; row < rows; ++row)
    from_planes(dy + row * out, output_.size, from + row * output_.size.numbers());
  std::for_each(operations_.rbegin(), operations_.rend(),
                [&](const auto& operation) { operation->backward(run); });
  if (gradients.x == nullptr) return;
  for (int64_t row = 0; row < rows; ++row)
    to_planes(run.gradients[input.index] + row * input.size.numbers(), input.size, gradients.x + row * in);
}

namespace {

class Attention final : public Operation {
 public:
  explicit Attention(const Value& qkv) { inputs = kept = {qkv}; }

  void forward(const Frame& frame) const override {
    for (int64_t row = 0; row < frame.rows; ++row) {
      tweedie::attend(frame.value(inputs[0], row), pixels(), channels(), frame.value(output, row));
    }
  }
  void backward(Frame& frame) const override {
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

class Halving final : public Operation {
 public:
  explicit Halving(const Value& x) { inputs = {x}; }

  void forward(const Frame& frame) const override {
    for (int64_t row = 0; row < frame.rows; ++row)
      tweedie::halve(frame.value(inputs[0], row), inputs[0].size, frame.value(output, row));
  }
  void backward(Frame& frame) const override {
    const auto [dx, add] = frame.begin_gradient(inputs[0]);
    for (int64_t row = 0; row < frame.rows; ++row) {
      halve_gradient(frame.gradients[output.index] + row * output.size.numbers(), inputs[0].size, add,
                     dx + row * inputs[0].size.numbers());
    }
  }
};

class Enlargement final : public Operation {
 public:
  explicit Enlargement(const Value& x) { inputs = {x}; }

  void forward(const Frame& frame) const override {
    for (int64_t row = 0; row < frame.rows; ++row) {
      tweedie::enlarge(frame.value(inputs[0], row), inputs[0].size, output.size.height, output.size.width,
                       frame.value(output, row));
    }
  }
  void backward(Frame& frame) const override {
    const auto [dx, add] = frame.begin_gradient(inputs[0]);
    for (int64_t row = 0; row < frame.rows; ++row) {
      enlarge_gradient(frame.gradients[output.index] + row * output.size.numbers(), inputs[0].size,
                       output.size.height, output.size.width, add, dx + row * inputs[0].size.numbers());
    }
  }
};

class Concatenation final : public Operation {
 public:
  Concatenation(const Value& a, const Value& b) { inputs = {a, b}; }

  void forward(const Frame& frame) const override {
    const int64_t pixels = frame.rows * output.size.pixels(), lanes = output.size.lanes();
    if (lanes != output.size.channels) std::fill_n(frame.value(output), pixels * lanes, 0.0F);
    int64_t begin = 0;
    for (const Value& input : inputs) {
      copy_channels(frame.value(input), {input.size.lanes(), 0}, pixels, input.size.channels,
                    frame.value(output), {lanes, begin});
      begin += input.size.channels;
    }
  }
  void backward(Frame& frame) const override {
    const int64_t pixels = frame.rows * output.size.pixels();
    int64_t begin = 0;
    for (const Value& input : inputs) {
      const auto [dx, add] = frame.begin_gradient(input);
      const int64_t lanes = input.size.lanes();
      if (!add && lanes != input.size.channels) std::fill_n(dx, pixels * lanes, 0.0F);
      (add ? add_channels : copy_channels)(frame.gradients[output.index], {output.size.lanes(), begin},
                                           pixels, input.size.channels, dx, {lanes, 0});
      begin += input.size.channels;
    }
  }
};

}  // namespace

std::unique_ptr<Operation> make_attention(const Value& qkv) {
  return std::make_unique<Attention>(qkv);
}
std::unique_ptr<Operation> make_halving(const Value& x) {
  return std::make_unique<Halving>(x);
}
std::unique_ptr<Operation> make_enlargement(const Value& x) {
  return std::make_unique<Enlargement>(x);
}
std::unique_ptr<Operation> make_concatenation(const Value& a, const Value& b) {
  return std::make_unique<Concatenation>(a, b);
}

}  // namespace tweedie
