// 1 x 1 convolutions of a plan in float32

#include "kernel/product.h"
#include "kernel/scratch.h"
#include "network/plan_convolution.h"

namespace tweedie {

namespace {

// A matrix product over the pixels, of all images together where no norm tells them apart
class PointwiseConvolution final : public SeparateGradients<float> {
 public:
  PointwiseConvolution(const Value& x, const Convolution& convolution)
      : SeparateGradients<float>(x, convolution) {}

  void forward(const Frame<float>& frame) const override {
    const PackedMatrix& matrix = forward_.get([&] {
      const int64_t in = x().size.channels;
      return PackedMatrix(convolution_.weight.data, 1, in, in, convolution_.out);
    });
    begin_output(frame);
    for_each_stack(frame, [&](const Stack& stack, float* z) {
      multiply({stack.input(frame, z), stack.size.lanes()}, matrix.view(), frame.value(output, stack.row),
               output.size.lanes(), stack.size.pixels(), matrix.rows(), output.size.lanes(), true);
    });
  }

 private:
  // Images that are multiplied together: as one that has the pixels of all
  struct Stack {
    int64_t row;
    ImageSize size;
    Before<float> before;
    const float* x;

    const float* input(const Frame<float>& frame, float* z) const {
      if (before.nothing()) return x;
      before.apply(frame, x, row, ImageView<float>::of(z, size));
      return z;
    }
  };
  // work(stack, scratch memory for its numbers)
  template <class Work>
  void for_each_stack(const Frame<float>& frame, Work work) const {
    const int64_t rows = convolution_.norm ? 1 : frame.rows;
    const ImageSize size{1, rows * x().size.pixels(), x().size.channels};
    const Before<float> before(size, convolution_.norm, convolution_.activation);
    Scratch scratch(size.numbers());
    float* z = scratch.take(size.numbers());
    for (int64_t row = 0; row < frame.rows; row += rows)
      work(Stack{row, size, before, frame.value(x(), row)}, z);
  }

  // bias (+ modulation) (+ addend)
  void begin_output(const Frame<float>& frame) const {
    const int64_t pixels = output.size.pixels(), lanes = output.size.lanes();
    const bool each = convolution_.modulation && frame.modulation_row != 0;
    std::vector<float> offset = bias_;
    for (int64_t row = 0; row < frame.rows; row += each ? 1 : frame.rows) {
      if (convolution_.modulation) {
        const float* more = frame.modulation + row * frame.modulation_row + *convolution_.modulation;
        for (int64_t c = 0; c < convolution_.out; ++c) offset[c] = bias_[c] + more[c];
      }
      fill_pixels(offset.data(), each ? pixels : frame.rows * pixels, lanes, frame.value(output, row));
    }
    if (convolution_.addend) {
      add_numbers(frame.value(*convolution_.addend), frame.rows * output.size.numbers(), true,
                  frame.value(output));
    }
  }

  void weight_gradient(Frame<float>& frame) const override {
    const int64_t channels = x().size.channels, in = x().size.lanes(), out = convolution_.out;
    std::vector<float> sums(static_cast<size_t>(out * in));
    for_each_stack(frame, [&](const Stack& stack, float* z) {
      multiply({output_gradient(frame, stack.row), 1, output.size.lanes()},
               {stack.input(frame, z), in, panel_columns}, sums.data(), in, out, stack.size.pixels(), in,
               stack.row > 0);
    });
    float* to = frame.parameter_gradients[convolution_.weight.index];
    add_channels(sums.data(), {in, 0}, out, channels, to, {channels, 0});
  }

  void input_gradient(Frame<float>& frame) const override {
    const PackedMatrix& matrix = adjoint_.get([&] {
      const int64_t in = x().size.channels;
      return PackedMatrix(convolution_.weight.data, in, 1, convolution_.out, in);
    });
    const bool wanted = frame.gradients[x().index] != nullptr;
    const auto [dx, add] = wanted ? frame.begin_gradient(x()) : Frame<float>::Gradient{nullptr, false};
    const int64_t numbers = x().size.numbers();
    for_each_stack(frame, [&, dx = dx, add = add](const Stack& stack, float* dz) {
      multiply({output_gradient(frame, stack.row), output.size.lanes()}, matrix.view(), dz,
               stack.size.lanes(), stack.size.pixels(), matrix.rows(), stack.size.lanes());
      stack.before.gradient(frame, stack.x, stack.row, dz, add,
                            dx == nullptr ? nullptr : dx + stack.row * numbers);
    });
  }

  Once<PackedMatrix> forward_, adjoint_;
};

}  // namespace

std::unique_ptr<Operation<float>> make_pointwise_convolution(const Value& x, const Convolution& convolution) {
  return std::make_unique<PointwiseConvolution>(x, convolution);
}

template <>
std::unique_ptr<Operation<float>> make_convolution(const Value& x, const Convolution& convolution) {
  return convolution.kernel == 3 ? make_winograd_convolution(x, convolution)
                                 : make_pointwise_convolution(x, convolution);
}

}  // namespace tweedie
