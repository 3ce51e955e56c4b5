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

class DirectConvolutions final : public SeparateGradients<Bfloat16> {
 public:
  DirectConvolutions(const Value& x, const Convolution& convolution)
      : SeparateGradients<Bfloat16>(x, convolution) {
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

  void weight_gradient(Frame<Bfloat16>& frame) const override {
    const DirectKernelGradient gradient(x().size, convolution_.out, convolution_.kernel, frame.rows);
    const int64_t numbers = before_.nothing() ? 0 : x().size.numbers();
    Scratch scratch(Scratch::sum({in_floats(frame.rows * numbers), gradient.scratch_numbers()}));
    Bfloat16* z = take_halves(scratch, frame.rows * numbers);
    for (int64_t row = 0; row < frame.rows; ++row) input(frame, row, z + row * numbers);
    gradient.add(before_.nothing() ? frame.value(x()) : z, output_gradient(frame),
                 frame.sum_of_gradient(convolution_.weight), scratch.take(gradient.scratch_numbers()));
  }

  void input_gradient(Frame<Bfloat16>& frame) const override {
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

// 1 x 1 on single pixels, which is a layer of an MLP: a block of rows is multiplied as one image, the last
// one filled up with zeros, so that a row's bits do not depend on how many there are.
class VectorProducts final : public ConvolutionBase<Bfloat16> {
 public:
  VectorProducts(const Value& x, const Convolution& convolution) : ConvolutionBase<Bfloat16>(x, convolution) {
    in_place = place_of_addend();
  }

  void forward(const Frame<Bfloat16>& frame) const override {
    const bool added = convolution_.modulation || convolution_.addend;
    const DirectConvolution& layer = forward_.get([&] {
      return DirectConvolution::forward(block_of(x(), block_rows), convolution_.weight.data, convolution_.out,
                                        1, added ? OutputKind::added_bfloat16 : OutputKind::bfloat16);
    });
    const int64_t in = x().size.lanes(), out = output.size.lanes();
    Scratch scratch(Scratch::sum(
        {in_floats(block_rows * in), in_floats(block_rows * out), out, layer.scratch_numbers()}));
    Bfloat16 *z = take_halves(scratch, block_rows * in), *sum = take_halves(scratch, block_rows * out);
    float* work = scratch.take(layer.scratch_numbers());
    for_each_block(frame, [&](int64_t row, int64_t rows) {
      const bool whole = rows == block_rows;
      Bfloat16 *to = frame.value(output, row), *y = whole ? to : sum;
      if (convolution_.addend && frame.value(*convolution_.addend, row) != y)
        std::copy_n(frame.value(*convolution_.addend, row), rows * out, y);
      if (convolution_.modulation) modulate(frame, row, rows, y);
      layer.run(input(frame, row, rows, z), bias_.data(), y, work);
      if (!whole) std::copy_n(y, rows * out, to);
    });
  }

 private:
  static constexpr int64_t block_rows = 64;

  static ImageSize block_of(const Value& value, int64_t rows) { return {1, rows, value.size.channels}; }

  template <class Work>
  void for_each_block(const Frame<Bfloat16>& frame, Work work) const {
    for (int64_t row = 0; row < frame.rows; row += block_rows)
      work(row, std::min(block_rows, frame.rows - row));
  }

  // activation(x) of some rows, and zeros behind them up to a block
  const Bfloat16* input(const Frame<Bfloat16>& frame, int64_t row, int64_t rows, Bfloat16* z) const {
    const Bfloat16* from = frame.value(x(), row);
    if (rows == block_rows && before_.nothing()) return from;
    const int64_t numbers = rows * x().size.lanes();
    if (before_.nothing()) {
      std::copy_n(from, numbers, z);
    } else {
      silu(from, numbers, z);
    }
    std::fill(z + rows * x().size.lanes(), z + block_rows * x().size.lanes(), Bfloat16{});
    return z;
  }

  // y = (or +=) the modulation of each row, rounded whether all have the same or not
  void modulate(const Frame<Bfloat16>& frame, int64_t row, int64_t rows, Bfloat16* y) const {
    const int64_t out = output.size.lanes();
    const bool add = convolution_.addend.has_value(), same = frame.modulation_row == 0;
    std::vector<float> more(static_cast<size_t>(out), 0.0F);
    for (int64_t i = 0; i < rows; ++i) {
      const float* from = frame.modulation + (row + i) * frame.modulation_row + *convolution_.modulation;
      if (convolution_.out == out && (add || !same)) {
        add_numbers(from, out, add, y + i * out);
        continue;
      }
      std::copy_n(from, convolution_.out, more.data());
      if (same && !add) return fill_pixels<Bfloat16>(more.data(), rows, out, nullptr, y);
      add_numbers(more.data(), out, add, y + i * out);
    }
  }

  // activation(x) comes with the gradient of x, in one pass.
  void product_gradients(Frame<Bfloat16>& frame, bool of_weights, bool of_input) const override {
    const DirectConvolution* adjoint = of_input ? &this->adjoint() : nullptr;
    const DirectKernelGradient gradient(block_of(x(), frame.rows), convolution_.out, 1, 1);
    const int64_t in = x().size.lanes(), out = output.size.lanes();
    const int64_t activated = of_weights && !before_.nothing() ? frame.rows * in : 0;
    const int64_t shared =
        std::max(adjoint == nullptr ? 0 : adjoint->scratch_numbers(), gradient.scratch_numbers());
    Scratch scratch(
        Scratch::sum({in_floats(activated), in_floats(block_rows * out), block_rows * in, in, shared}));
    Bfloat16* z = activated > 0 ? take_halves(scratch, activated) : nullptr;
    Bfloat16* dy_block = take_halves(scratch, block_rows * out);
    float *dz = scratch.take(block_rows * in), *no_bias = scratch.take(in), *work = scratch.take(shared);
    if (of_input) {
      std::fill_n(no_bias, in, 0.0F);
      const bool wanted = frame.gradients[x().index] != nullptr;
      const auto [dx, add] = wanted ? frame.begin_gradient(x()) : Frame<Bfloat16>::Gradient{nullptr, false};
      for_each_block(frame, [&, dx = dx, add = add](int64_t row, int64_t rows) {
        const Bfloat16* dy = output_gradient(frame, row);
        if (rows < block_rows) {
          std::copy_n(dy, rows * out, dy_block);
          std::fill(dy_block + rows * out, dy_block + block_rows * out, Bfloat16{});
          dy = dy_block;
        }
        if (dx != nullptr) adjoint->run(dy, no_bias, dz, work);
        Bfloat16* to = dx == nullptr ? nullptr : dx + row * in;
        if (before_.nothing()) {
          add_numbers(dz, rows * in, add, to);
        } else {
          silu_gradient(frame.value(x(), row), rows * in, dz, add, to, z == nullptr ? nullptr : z + row * in);
        }
      });
    }
    if (!of_weights) return;
    gradient.add(activated > 0 ? z : frame.value(x()), output_gradient(frame),
                 frame.sum_of_gradient(convolution_.weight), work);
  }

  const DirectConvolution& adjoint() const {
    return adjoint_.get([&] {
      return DirectConvolution::adjoint(block_of(output, block_rows), convolution_.weight.data,
                                        x().size.channels, 1, OutputKind::float32);
    });
  }

  Once<DirectConvolution> forward_, adjoint_;
};

}  // namespace

template <>
std::unique_ptr<Operation<Bfloat16>> make_convolution(const Value& x, const Convolution& convolution) {
  if (convolution.kernel == 1 && x.size.pixels() == 1 && !convolution.norm)
    return std::make_unique<VectorProducts>(x, convolution);
  return std::make_unique<DirectConvolutions>(x, convolution);
}

}  // namespace tweedie
