// Convolutions of a plan in bfloat16, on oneDNN's kernels

#include "kernel/direct_convolution.h"
#include "kernel/scratch.h"
#include "network/plan_convolution.h"

#include <optional>

namespace tweedie {

namespace {

int64_t in_floats(int64_t halves) {
  return (halves + 1) / 2;
}
Bfloat16* take_halves(Scratch& scratch, int64_t count) {
  return reinterpret_cast<Bfloat16*>(scratch.take(in_floats(count)));
}

class DirectConvolutions final : public ConvolutionBase<Bfloat16> {
 public:
  DirectConvolutions(const Value& x, const Convolution& convolution)
      : ConvolutionBase<Bfloat16>(x, convolution) {
    in_place = place_of_addend();
  }

  void forward(const Frame<Bfloat16>& frame) const override {
    const DirectConvolution& layer = forward_.get([&] {
      const OutputKind kind = convolution_.addend ? OutputKind::added_bfloat16 : OutputKind::bfloat16;
      return DirectConvolution::forward(x().size, convolution_.weight.data, convolution_.out,
                                        convolution_.kernel, kind);
    });
    const int64_t numbers = x().size.numbers();
    Scratch scratch(
        Scratch::sum({in_floats(numbers), layer.scratch_numbers(), static_cast<int64_t>(bias_.size())}));
    Bfloat16* z = take_halves(scratch, numbers);
    float *work = scratch.take(layer.scratch_numbers()),
          *bias = scratch.take(static_cast<int64_t>(bias_.size()));
    for (int64_t row = 0; row < frame.rows; ++row) {
      Bfloat16* y = frame.value(output, row);
      if (convolution_.addend) {
        const Bfloat16* addend = frame.value(*convolution_.addend, row);
        if (addend != y) std::copy_n(addend, output.size.numbers(), y);
      }
      layer.run(input(frame, row, z), bias_of(frame, row, bias), y, work);
    }
  }

  void backward(Frame<Bfloat16>& frame) const override {
    addend_and_bias_gradients(frame);
    modulation_gradient(frame);
    if (frame.parameter_gradients[convolution_.weight.index] != nullptr) weight_gradient(frame);
    if (frame.gradients[x().index] == nullptr && before_.nothing()) return;
    input_gradient(frame);
  }

 private:
  // What is convolved: x itself, or z with what precedes done to it
  const Bfloat16* input(const Frame<Bfloat16>& frame, int64_t row, Bfloat16* z) const {
    const Bfloat16* from = frame.value(x(), row);
    if (before_.nothing()) return from;
    before_.apply(frame, from, row, ImageView<Bfloat16>::of(z, x().size));
    return z;
  }

  const float* bias_of(const Frame<Bfloat16>& frame, int64_t row, float* sum) const {
    if (!convolution_.modulation) return bias_.data();
    const float* more = frame.modulation + row * frame.modulation_row + *convolution_.modulation;
    std::copy(bias_.begin(), bias_.end(), sum);
    for (int64_t c = 0; c < convolution_.out; ++c) sum[c] += more[c];
    return sum;
  }

  void weight_gradient(Frame<Bfloat16>& frame) const {
    const DirectKernelGradient gradient(x().size, convolution_.out, convolution_.kernel, frame.rows);
    const int64_t numbers = before_.nothing() ? 0 : x().size.numbers();
    Scratch scratch(Scratch::sum({in_floats(frame.rows * numbers), gradient.scratch_numbers()}));
    Bfloat16* z = take_halves(scratch, frame.rows * numbers);
    for (int64_t row = 0; row < frame.rows; ++row) input(frame, row, z + row * numbers);
    gradient.add(before_.nothing() ? frame.value(x()) : z, output_gradient(frame),
                 frame.parameter_gradients[convolution_.weight.index],
                 scratch.take(gradient.scratch_numbers()));
  }

  void input_gradient(Frame<Bfloat16>& frame) const {
    const DirectConvolution& layer = adjoint_.get([&] {
      return DirectConvolution::adjoint(output.size, convolution_.weight.data, x().size.channels,
                                        convolution_.kernel, OutputKind::float32);
    });
    const bool wanted = frame.gradients[x().index] != nullptr;
    const auto [dx, add] = wanted ? frame.begin_gradient(x()) : Frame<Bfloat16>::Gradient{nullptr, false};
    const int64_t numbers = x().size.numbers(), lanes = x().size.lanes();
    Scratch scratch(Scratch::sum({numbers, layer.scratch_numbers(), lanes}));
    float *dz = scratch.take(numbers), *work = scratch.take(layer.scratch_numbers()),
          *no_bias = scratch.take(lanes);
    std::fill_n(no_bias, lanes, 0.0F);
    for (int64_t row = 0; row < frame.rows; ++row) {
      layer.run(output_gradient(frame, row), no_bias, dz, work);
      before_.gradient(frame, frame.value(x(), row), row, dz, add,
                       dx == nullptr ? nullptr : dx + row * numbers);
    }
  }

  Once<DirectConvolution> forward_, adjoint_;
};

}  // namespace

template <>
std::unique_ptr<Operation<Bfloat16>> make_convolution(const Value& x, const Convolution& convolution) {
  return std::make_unique<DirectConvolutions>(x, convolution);
}

}  // namespace tweedie
