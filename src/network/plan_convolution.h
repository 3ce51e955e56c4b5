#pragma once
// What the convolutions of a plan share: what precedes one (GroupNorm, SiLU) is done while its input is
// copied to where it is read from, what follows (bias, residual) while its output is written.

#include "kernel/image.h"
#include "network/plan.h"
#include "network/plan_before.h"

#include <algorithm>
#include <mutex>

namespace tweedie {

// Zeros behind the values, as images have behind their channels
inline std::vector<float> in_lanes(const float* values, int64_t count) {
  std::vector<float> result(values, values + count);
  result.resize(static_cast<size_t>(lanes_of(count)), 0.0F);
  return result;
}

// A value made once, by the first who asks
template <class T>
class Once {
 public:
  template <class Make>
  const T& get(Make make) const {
    std::call_once(flag_, [&] { value_.emplace(make()); });
    return *value_;
  }

 private:
  mutable std::once_flag flag_;
  mutable std::optional<T> value_;
};

template <class E>
class ConvolutionBase : public Operation<E> {
 public:
  void backward(Frame<E>& frame) const final {
    addend_and_bias_gradients(frame);
    modulation_gradient(frame);
    product_gradients(frame, frame.has_gradient(convolution_.weight),
                      frame.gradients[x().index] != nullptr || !before_.nothing());
  }

 protected:
  // Of the weights; of x and of what precedes the convolution, always where something does
  virtual void product_gradients(Frame<E>& frame, bool of_weights, bool of_input) const = 0;

  using Operation<E>::in_place;
  using Operation<E>::inputs;
  using Operation<E>::kept;
  using Operation<E>::output;

  ConvolutionBase(const Value& x, const Convolution& convolution)
      : convolution_(convolution),
        before_(x.size, convolution.norm, convolution.activation),
        bias_(in_lanes(convolution.bias.data, convolution.out)) {
    inputs = kept = {x};
    if (convolution.addend) inputs.push_back(*convolution.addend);
  }

  const Value& x() const { return inputs[0]; }
  // What the output is added to, where nothing else is read from there
  std::optional<Value> place_of_addend() const {
    const bool other = convolution_.addend && convolution_.addend->index != x().index;
    return other ? convolution_.addend : std::nullopt;
  }
  const E* output_gradient(const Frame<E>& frame, int64_t row = 0) const {
    return frame.gradients[output.index] + row * output.size.numbers();
  }

  void addend_and_bias_gradients(Frame<E>& frame) const {
    if (convolution_.addend) {
      const auto [d, add] = frame.begin_gradient(*convolution_.addend);
      if (d != output_gradient(frame))
        add_numbers(output_gradient(frame), frame.rows * output.size.numbers(), add, d);
    }
    if (float* d_bias = frame.sum_of_gradient(convolution_.bias)) {
      std::vector<float> sum(static_cast<size_t>(output.size.lanes()), 0.0F);
      add_pixel_sums(output_gradient(frame), frame.rows * output.size.pixels(), output.size.lanes(),
                     sum.data());
      for (int64_t c = 0; c < output.size.channels; ++c) d_bias[c] += sum[c];
    }
  }

  void modulation_gradient(Frame<E>& frame) const {
    if (!convolution_.modulation || frame.modulation_gradient == nullptr) return;
    std::vector<float> sum(static_cast<size_t>(output.size.lanes()));
    for (int64_t row = 0; row < frame.rows; ++row) {
      float* to = frame.modulation_gradient + row * frame.modulation_row + *convolution_.modulation;
      if (output.size.pixels() == 1 && output.size.lanes() == convolution_.out) {
        add_numbers(output_gradient(frame, row), convolution_.out, true, to);
        continue;
      }
      std::fill(sum.begin(), sum.end(), 0.0F);
      add_pixel_sums(output_gradient(frame, row), output.size.pixels(), output.size.lanes(), sum.data());
      for (int64_t c = 0; c < convolution_.out; ++c) to[c] += sum[c];
    }
  }

  Convolution convolution_;
  Before<E> before_;
  std::vector<float> bias_;
};

// One whose two gradients share no work
template <class E>
class SeparateGradients : public ConvolutionBase<E> {
 protected:
  using ConvolutionBase<E>::ConvolutionBase;
  virtual void weight_gradient(Frame<E>& frame) const = 0;
  virtual void input_gradient(Frame<E>& frame) const = 0;

 private:
  void product_gradients(Frame<E>& frame, bool of_weights, bool of_input) const final {
    if (of_weights) weight_gradient(frame);
    if (of_input) input_gradient(frame);
  }
};

std::unique_ptr<Operation<float>> make_winograd_convolution(const Value& x, const Convolution& convolution);
std::unique_ptr<Operation<float>> make_pointwise_convolution(const Value& x, const Convolution& convolution);

}  // namespace tweedie
