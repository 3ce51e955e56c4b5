#pragma once
// A network on images as a list of operations on values, on one thread. It is recorded once for given weights
// and then run on some rows at a time, forwards and, where all that it needs was kept, backwards: what
// autograd would do, without its tensors, its copies and its order of memory. Values and their gradients are
// E in memory, float or Bfloat16; norms, sums and the gradients of parameters are float32 in both.

#include "kernel/normalise.h"
#include "network/plan_operation.h"
#include "tweedie/network.h"

#include <memory>
#include <optional>
#include <vector>

namespace tweedie {

struct Normalisation {
  int64_t groups;
  Parameter weight, bias;
  std::optional<int64_t> modulation;  // where scale and shift of each channel begin in a row of it
};

// y = conv(activation(norm(x))) + bias (+ addend) (+ modulation): 1 x 1 or 3 x 3, padded with zeros
struct Convolution {
  int64_t out, kernel;
  Parameter weight, bias;
  std::optional<Normalisation> norm;
  Activation activation = Activation::none;
  std::optional<Value> addend;
  std::optional<int64_t> modulation;  // only 1 x 1: where it begins in a row of it, `out` numbers
};

// From one row to the next: `row` numbers, 0 where all have the same.
struct RowsOfModulation {
  const float* data;
  int64_t row;
};

template <class E>
class Plan {
 public:
  // Recording
  Value input(const ImageSize& size);
  Value modulation(int64_t count);  // the first `count` numbers of a row of it, as one pixel
  Value convolve(const Value& x, const Convolution& convolution);
  Value attend(const Value& qkv);
  Value halve(const Value& x);
  Value enlarge(const Value& x, int64_t height, int64_t width);
  Value concatenate(const Value& a, const Value& b);
  Parameter parameter(const Tensor& weight);
  void finish(const Value& output);

  const ImageSize& input_size() const { return values_[0].size; }
  const ImageSize& output_size() const { return output_.size; }
  const std::vector<Tensor>& parameters() const { return parameters_; }  // as given

  // Numbers per row that a run needs, with all kept that a run backwards reads or without
  int64_t forward_numbers(bool keep) const { return (keep ? kept_ : passing_).total; }
  int64_t backward_numbers() const { return gradients_.total; }

  // x, y: (rows, C, H, W) in float32. memory: rows x forward_numbers.
  void forward(int64_t rows, const float* x, RowsOfModulation modulation, bool keep, E* memory,
               float* y) const;
  // From dy and the memory of a run forwards that kept: gradients of x (written), of the modulation (added
  // to) and of the parameters (begun or added to); each may be null. memory: rows x backward_numbers.
  struct Gradients {
    float* x = nullptr;
    float* modulation = nullptr;
    std::vector<ParameterGradient>* parameters = nullptr;
  };
  void backward(int64_t rows, const float* dy, RowsOfModulation modulation, E* forward_memory, E* memory,
                const Gradients& gradients) const;

 private:
  struct Layout {
    std::vector<int64_t> offsets;  // numbers per row
    int64_t total = 0;
  };
  struct Lifetime {
    int64_t size, begin, end;
    std::optional<size_t> place_of;  // another value, before it, in whose place it is
  };
  static Layout lay_out(std::vector<Lifetime> lifetimes);
  Value add(std::unique_ptr<Operation<E>> operation, const ImageSize& size);
  Frame<E> frame(int64_t rows, RowsOfModulation modulation, const Layout& layout, E* memory) const;

  std::vector<Value> values_;
  std::vector<std::unique_ptr<Operation<E>>> operations_;
  std::vector<Tensor> parameters_, arrays_;  // as given, and in the form that is read
  Value output_{};
  Layout passing_, kept_, gradients_;
};

template <class E>
std::unique_ptr<Operation<E>> make_convolution(const Value& x, const Convolution& convolution);
template <>
std::unique_ptr<Operation<float>> make_convolution(const Value& x, const Convolution& convolution);
template <>
std::unique_ptr<Operation<Bfloat16>> make_convolution(const Value& x, const Convolution& convolution);

}  // namespace tweedie
