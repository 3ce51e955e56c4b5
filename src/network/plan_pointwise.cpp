// 1 x 1 convolutions of a plan in float32

#include "kernel/product.h"
#include "kernel/scratch.h"
#include "network/plan_convolution.h"

namespace tweedie {

namespace {

// A matrix product over the pixels, of all images together where no norm tells them apart
class PointwiseConvolution final : public ConvolutionBase<float> {
 public:
  PointwiseConvolution(const Value& x, const Convolution& convolution)
      : ConvolutionBase<float>(x, convolution) {
    in_place = place_of_addend();
  }

  void forward(const Frame<float>& frame) const override {
    const PackedMatrix& matrix = forward_.get([&] {
      const int64_t in = x().size.channels;
      return PackedMatrix(convolution_.weight.data, 1, in, in, convolution_.out);
    });
    const bool each = convolution_.modulation && frame.modulation_row != 0;
    std::vector<float> row(bias_.size());
    if (each) modulate(frame, row);
    offset(frame, 0, row);
    for_each_stack(frame, before_.nothing() ? 0 : 1, [&](const Stack& stack) {
      if (!before_.nothing())
        stack.before.apply(frame, stack.x, stack.row, ImageView<float>::of(stack.scratch, stack.size));
      float* y = frame.value(output, stack.row);
      const float* added = convolution_.addend ? frame.value(*convolution_.addend, stack.row) : nullptr;
      multiply({before_.nothing() ? stack.x : stack.scratch, stack.size.lanes()}, matrix.view(), y,
               output.size.lanes(), stack.size.pixels(), matrix.rows(), output.size.lanes(),
               each ? Addend{.all = y} : Addend{.all = added, .row = row.data()});
    });
  }

 private:
  // Images that are multiplied together: as one that has the pixels of all
  struct Stack {
    int64_t row;
    ImageSize size;
    Before<float> before;
    const float* x;
    float* scratch;
  };
  // work(stack), with scratch memory for `copies` of its numbers
  template <class Work>
  void for_each_stack(const Frame<float>& frame, int64_t copies, Work work) const {
    const int64_t rows = convolution_.norm ? 1 : frame.rows;
    const ImageSize size{1, rows * x().size.pixels(), x().size.channels};
    const Before<float> before(size, convolution_.norm, convolution_.activation);
    Scratch scratch(copies * size.numbers());
    float* memory = scratch.take(copies * size.numbers());
    for (int64_t row = 0; row < frame.rows; row += rows)
      work(Stack{row, size, before, frame.value(x(), row), memory});
  }

  // bias (+ modulation)
  void offset(const Frame<float>& frame, int64_t row, std::vector<float>& sum) const {
    sum = bias_;
    if (!convolution_.modulation) return;
    const float* more = frame.modulation + row * frame.modulation_row + *convolution_.modulation;
    for (int64_t c = 0; c < convolution_.out; ++c) sum[c] += more[c];
  }
  // y = offset of each row (+ addend)
  void modulate(const Frame<float>& frame, std::vector<float>& sum) const {
    for (int64_t row = 0; row < frame.rows; ++row) {
      offset(frame, row, sum);
      const float* addend = convolution_.addend ? frame.value(*convolution_.addend, row) : nullptr;
      fill_pixels(sum.data(), output.size.pixels(), output.size.lanes(), addend, frame.value(output, row));
    }
  }

  void product_gradients(Frame<float>& frame, bool of_weights, bool of_input) const override {
    const PackedMatrix* matrix = of_input ? &adjoint() : nullptr;
    const bool wanted = of_input && frame.gradients[x().index] != nullptr;
    const auto [dx, add] = wanted ? frame.begin_gradient(x()) : Frame<float>::Gradient{nullptr, false};
    for_each_stack(frame, before_.nothing() ? 0 : 2, [&, dx = dx, add = add](const Stack& stack) {
      const float *dy = output_gradient(frame, stack.row), *input = stack.x;
      float* to = dx == nullptr ? nullptr : dx + stack.row * x().size.numbers();
      const auto multiply_into = [&](float* result, bool add_to_it) {
        multiply({dy, output.size.lanes()}, matrix->view(), result, stack.size.lanes(), stack.size.pixels(),
                 matrix->rows(), stack.size.lanes(), {.all = add_to_it ? result : nullptr});
      };
      if (before_.nothing()) {
        if (of_input) multiply_into(to, add);
      } else {
        float *z = stack.scratch, *dz = z + stack.size.numbers();
        multiply_into(dz, false);
        stack.before.gradient(frame, stack.x, stack.row, dz, add, to, of_weights ? z : nullptr);
        input = z;
      }
      if (of_weights) add_weight_gradient(frame, dy, input, stack.size.pixels());
    });
  }

  void add_weight_gradient(Frame<float>& frame, const float* dy, const float* z, int64_t pixels) const {
    const int64_t channels = x().size.channels, in = x().size.lanes(), out = convolution_.out;
    const StridedMatrix adjoint_dy{dy, 1, output.size.lanes()};
    const PanelMatrix input{z, in, panel_columns};
    if (in == channels) {
      const auto [dw, add] = frame.begin_gradient(convolution_.weight);
      return multiply(adjoint_dy, input, dw, in, out, pixels, in, {.all = add ? dw : nullptr});
    }
    std::vector<float> sums(static_cast<size_t>(out * in));
    multiply(adjoint_dy, input, sums.data(), in, out, pixels, in);
    add_channels(sums.data(), {in, 0}, out, channels, frame.sum_of_gradient(convolution_.weight),
                 {channels, 0});
  }

  const PackedMatrix& adjoint() const {
    return adjoint_.get([&] {
      const int64_t in = x().size.channels;
      return PackedMatrix(convolution_.weight.data, in, 1, convolution_.out, in);
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
