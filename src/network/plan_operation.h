#pragma once
// What an operation of a plan is: values in, a value out, forwards and backwards.

#include "kernel/image.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace tweedie {

// An image for each row: what an operation makes, and others take.
struct Value {
  size_t index;
  ImageSize size;
};

// One array of the network's weights in float32, 4-d ones channels-last in memory.
struct Parameter {
  size_t index;
  const float* data;
};

// A sum over frames: what it has before the first is anything.
struct ParameterGradient {
  float* data = nullptr;
  int64_t count = 0;
  bool begun = false;

  void begin() {
    if (!begun) std::fill_n(data, count, 0.0F);
    begun = true;
  }
};

// Where a run finds its numbers. Values and their gradients are (rows, image); modulation is (rows or 1,
// width), what the noise level does to the layers.
template <class E>
struct Frame {
  int64_t rows;
  std::vector<E*> values;
  const float* modulation;
  int64_t modulation_row;  // numbers from one row to the next: 0 where all have the same

  // Of a run backwards; null where no gradient is asked for
  std::vector<E*> gradients;
  std::vector<bool> begun;
  float* modulation_gradient = nullptr;
  std::vector<ParameterGradient>* parameter_gradients = nullptr;  // null for none

  E* value(const Value& v, int64_t row = 0) const { return values[v.index] + row * v.size.numbers(); }
  template <class T>
  struct GradientOf {
    T* data;
    bool add;  // to what is there; otherwise it is to be written over
  };
  using Gradient = GradientOf<E>;
  // To be written: all rows
  Gradient begin_gradient(const Value& v) {
    const bool add = begun[v.index];
    begun[v.index] = true;
    return {gradients[v.index], add};
  }

  bool has_gradient(const Parameter& p) const {
    return parameter_gradients != nullptr && (*parameter_gradients)[p.index].data != nullptr;
  }
  GradientOf<float> begin_gradient(const Parameter& p) {
    ParameterGradient& gradient = (*parameter_gradients)[p.index];
    return {gradient.data, std::exchange(gradient.begun, true)};
  }
  // To be added to; null where none is asked for
  float* sum_of_gradient(const Parameter& p) {
    if (!has_gradient(p)) return nullptr;
    (*parameter_gradients)[p.index].begin();
    return (*parameter_gradients)[p.index].data;
  }
};

template <class E>
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void forward(const Frame<E>& frame) const = 0;
  virtual void backward(Frame<E>& frame) const = 0;

  std::vector<Value> inputs;
  std::vector<Value> kept;  // those of the inputs that backward() reads
  // An input that forward() reads no more once it writes the output there: its place serves for both, unless
  // the input is needed later.
  std::optional<Value> in_place;
  Value output{};
};

}  // namespace tweedie
