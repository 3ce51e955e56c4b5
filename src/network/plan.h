#pragma once
// A network on images as a list of operations on values, in float32 on one thread. It is recorded once for
// given weights and then run on some rows at a time, forwards and, where all that it needs was kept,
// backwards: what autograd would do, without its tensors, its copies and its order of memory.

#include "kernel/image.h"
#include "kernel/normalise.h"
#include "tweedie/network.h"

#include <memory>
#include <optional>
#include <vector>

namespace tweedie {

// An image for each row: what an operation makes, and others take.
struct Value {
  size_t index;
  ImageSize size;
};

// One array of the network's weights, 4-d ones channels-last in memory.
struct Parameter {
  size_t index;
  const float* data;
};

// Where a run finds its numbers. Values and their gradients are (rows, image); modulation is (rows or 1,
// width), what the noise level does to the layers.
struct Frame {
  int64_t rows;
  std::vector<float*> values;
  const float* modulation;
  int64_t modulation_row;  // numbers from one row to the next: 0 where all have the same

  // Of a run backwards; null where no gradient is asked for
  std::vector<float*> gradients;
  std::vector<bool> begun;
  float* modulation_gradient = nullptr;
  std::vector<float*> parameter_gradients;

  float* value(const Value& v, int64_t row = 0) const { return values[v.index] + row * v.size.numbers(); }
  struct Gradient {
    float* data;
    bool add;  // to what is there; otherwise it is to be written over
  };
  // To be written: all rows
  Gradient begin_gradient(const Value& v) {
    const bool add = begun[v.index];
    begun[v.index] = true;
    return {gradients[v.index], add};
  }
};

class Operation {
 public:
  virtual ~Operation() = default;
  virtual void forward(const Frame& frame) const = 0;
  virtual void backward(Frame& frame) const = 0;

  std::vector<Value> inputs;
  std::vector<Value> kept;  // those of the inputs that backward() reads
  Value output{};
};

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

class Plan {
 public:
  // Recording
  Value input(const ImageSize& size);
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

  // x, y: (rows, C, H, W). memory: rows x forward_numbers.
  struct Modulation {
    const float* data;
    int64_t row;
  };
  void forward(int64_t rows, const float* x, Modulation modulation, bool keep, float* memory, float* y) const;
  // From dy and the memory of a run forwards that kept: gradients of x (written), of the modulation and of
  // the parameters (added to); each may be null. memory: rows x backward_numbers.
  struct Gradients {
    float* x = nullptr;
    float* modulation = nullptr;
    std::vector<float*> parameters;  // empty: none
  };
  void backward(int64_t rows, const float* dy, Modulation modulation, float* forward_memory, float* memory,
                const Gradients& gradients) const;

 private:
  struct Layout {
    std::vector<int64_t> offsets;  // numbers per row
    int64_t total = 0;
  };
  struct Lifetime {
    int64_t size, begin, end;
  };
  static Layout lay_out(const std::vector<Lifetime>& lifetimes);
  Value add(std::unique_ptr<Operation> operation, const ImageSize& size);
  Frame frame(int64_t rows, Modulation modulation, const Layout& layout, float* memory) const;

  std::vector<Value> values_;
  std::vector<std::unique_ptr<Operation>> operations_;
  std::vector<Tensor> parameters_, arrays_;  // as given, and in the form that is read
  Value output_{};
  Layout passing_, kept_, gradients_;
};

std::unique_ptr<Operation> make_convolution(const Value& x, const Convolution& convolution);
std::unique_ptr<Operation> make_attention(const Value& qkv);
std::unique_ptr<Operation> make_halving(const Value& x);
std::unique_ptr<Operation> make_enlargement(const Value& x);  // to the size of its output
std::unique_ptr<Operation> make_concatenation(const Value& a, const Value& b);

}  // namespace tweedie
