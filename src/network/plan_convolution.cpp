// Convolutions of a plan: what precedes one (GroupNorm, SiLU) is done while its input is copied to where it
// is read from, what follows (bias, residual) while its output is written.

#include "kernel/image.h"
#include "kernel/product.h"
#include "kernel/scratch.h"
#include "kernel/winograd.h"
#include "network/plan.h"

#include <algorithm>
#include <functional>
#include <mutex>

namespace tweedie {

namespace {

// Zeros behind the values, as images have behind their channels
std::vector<float> in_lanes(const float* values, int64_t count) {
  std::vector<float> result(values, values + count);
  result.resize(static_cast<size_t>(lanes_of(count)), 0.0F);
  return result;
}

// activation(norm(x)) of one image: as a x + b per lane, and what its derivative needs besides.
class Before {
 public:
  Before(const ImageSize& size, const std::optional<Normalisation>& norm, Activation activation)
      : size_(size), norm_(norm), activation_(activation) {}

  bool nothing() const { return !norm_ && activation_ == Activation::none; }

  struct Affine {
    std::vector<float> scale, a, b, mean, rstd;
  };
  Affine affine(const Frame& frame, const float* x, int64_t row) const {
    const int64_t lanes = size_.lanes();
    Affine result{.scale = std::vector<float>(lanes, 0.0F),
                  .a = std::vector<float>(lanes, 1.0F),
                  .b = std::vector<float>(lanes, 0.0F),
                  .mean = std::vector<float>(lanes, 0.0F),
                  .rstd = std::vector<float>(lanes, 1.0F)};
    if (!norm_) return result;
    group_statistics(x, size_, norm_->groups, result.mean.data(), result.rstd.data());
    const float* modulation = modulation_of(frame, row);
    for (int64_t c = 0; c < size_.channels; ++c) {
      const float gain = modulation == nullptr ? 1 : 1 + modulation[c];
      const float shift = modulation == nullptr ? 0 : modulation[size_.channels + c];
      result.scale[c] = norm_->weight.data[c] * gain;
      result.a[c] = result.scale[c] * result.rstd[c];
      result.b[c] = norm_->bias.data[c] * gain + shift - result.a[c] * result.mean[c];
    }
    std::fill(result.a.begin() + size_.channels, result.a.end(), 0.0F);
    return result;
  }

  void apply(const Frame& frame, const float* x, int64_t row, ImageView y) const {
    if (nothing()) return copy_image(x, size_, y);
    const Affine affine = this->affine(frame, x, row);
    affine_activation(x, size_, affine.a.data(), affine.b.data(), activation_, y);
  }

  // dx (= or +=) from dz, which is lost; the gradients of the norm's parameters and of the modulation are
  // added to. With x^ = (x - mean) rstd and g = dz activation'(z):
  //   dscale = sum g x^,  dshift = sum g,
  //   dx = rstd (scale g - mean_group(scale g) - x^ mean_group(scale g x^))
  void gradient(Frame& frame, const float* x, int64_t row, float* dz, bool add, float* dx) const {
    if (nothing()) return add_numbers(dz, size_.numbers(), add, dx);
    const int64_t lanes = size_.lanes();
    const Affine affine = this->affine(frame, x, row);
    std::vector<float> sum_g(lanes), sum_gx(lanes), u(lanes, 0.0F), v(lanes, 0.0F);
    activation_gradient(x, size_, affine.a.data(), affine.b.data(), affine.mean.data(), activation_, dz,
                        sum_g.data(), sum_gx.data());
    if (norm_) {
      const int64_t group_channels = size_.channels / norm_->groups;
      const double count = static_cast<double>(size_.pixels() * group_channels);
      for (int64_t begin = 0; begin < size_.channels; begin += group_channels) {
        double mean_g = 0, mean_gx = 0;
        for (int64_t c = begin; c < begin + group_channels; ++c) {
          mean_g += static_cast<double>(affine.scale[c]) * sum_g[c] / count;
          mean_gx += static_cast<double>(affine.scale[c]) * sum_gx[c] / count;
        }
        const double rstd = affine.rstd[begin];
        std::fill_n(u.begin() + begin, group_channels, static_cast<float>(rstd * mean_g));
        std::fill_n(v.begin() + begin, group_channels, static_cast<float>(rstd * rstd * rstd * mean_gx));
      }
      add_parameter_gradients(frame, row, affine, sum_g, sum_gx);
    }
    if (dx != nullptr)
      norm_gradient(x, size_, affine.a.data(), u.data(), v.data(), affine.mean.data(), dz, add, dx);
  }

 private:
  const float* modulation_of(const Frame& frame, int64_t row) const {
    return norm_->modulation ? frame.modulation + row * frame.modulation_row + *norm_->modulation : nullptr;
  }

  // scale = w (1 + m) and shift = b (1 + m) + n
  void add_parameter_gradients(Frame& frame, int64_t row, const Affine& affine,
                               const std::vector<float>& sum_g, const std::vector<float>& sum_gx) const {
    float* d_weight = frame.parameter_gradients[norm_->weight.index];
    float* d_bias = frame.parameter_gradients[norm_->bias.index];
    float* d_modulation = norm_->modulation && frame.modulation_gradient != nullptr
                              ? frame.modulation_gradient + row * frame.modulation_row + *norm_->modulation
                              : nullptr;
    const float* modulation = modulation_of(frame, row);
    for (int64_t c = 0; c < size_.channels; ++c) {
      const float gain = modulation == nullptr ? 1 : 1 + modulation[c];
      const float d_scale = sum_gx[c] * affine.rstd[c], d_shift = sum_g[c];
      if (d_weight != nullptr) d_weight[c] += d_scale * gain;
      if (d_bias != nullptr) d_bias[c] += d_shift * gain;
      if (d_modulation != nullptr) {
        d_modulation[c] += d_scale * norm_->weight.data[c] + d_shift * norm_->bias.data[c];
        d_modulation[size_.channels + c] += d_shift;
      }
    }
  }

  ImageSize size_;
  std::optional<Normalisation> norm_;
  Activation activation_;
};

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

class ConvolutionBase : public Operation {
 protected:
  ConvolutionBase(const Value& x, const Convolution& convolution)
      : convolution_(convolution),
        before_(x.size, convolution.norm, convolution.activation),
        bias_(in_lanes(convolution.bias.data, convolution.out)) {
    inputs = kept = {x};
    if (convolution.addend) inputs.push_back(*convolution.addend);
  }

  const Value& x() const { return inputs[0]; }
  const float* output_gradient(const Frame& frame, int64_t row = 0) const {
    return frame.gradients[output.index] + row * output.size.numbers();
  }

  void addend_and_bias_gradients(Frame& frame) const {
    if (convolution_.addend) {
      const auto [d, add] = frame.begin_gradient(*convolution_.addend);
      add_numbers(output_gradient(frame), frame.rows * output.size.numbers(), add, d);
    }
    if (float* d_bias = frame.parameter_gradients[convolution_.bias.index]) {
      std::vector<float> sum(static_cast<size_t>(output.size.lanes()), 0.0F);
      add_pixel_sums(output_gradient(frame), frame.rows * output.size.pixels(), output.size.lanes(),
                     sum.data());
      for (int64_t c = 0; c < output.size.channels; ++c) d_bias[c] += sum[c];
    }
  }

  Convolution convolution_;
  Before before_;
  std::vector<float> bias_;
};

// 3 x 3
class WinogradConvolution final : public ConvolutionBase {
 public:
  WinogradConvolution(const Value& x, const Convolution& convolution)
      : ConvolutionBase(x, convolution), grid_{x.size.height, x.size.width} {}

  void forward(const Frame& frame) const override {
    const WinogradKernel& kernel = forward_.get([&] {
      return WinogradKernel::forward(convolution_.weight.data, convolution_.out, x().size.channels);
    });
    const auto fill = [&](int64_t row, ImageView to) {
      before_.apply(frame, frame.value(x(), row), row, to);
    };
    const float* addend = convolution_.addend ? frame.value(*convolution_.addend) : nullptr;
    convolve(kernel, 0, frame.rows, fill, bias_.data(), addend, frame.value(output));
  }

  void backward(Frame& frame) const override {
    addend_and_bias_gradients(frame);
    if (frame.parameter_gradients[convolution_.weight.index] != nullptr) weight_gradient(frame);
    if (frame.gradients[x().index] == nullptr && before_.nothing()) return;
    input_gradient(frame);
  }

 private:
  // Fills the middle of a padded image with that of a row.
  using Fill = std::function<void(int64_t row, ImageView to)>;

  static int64_t block_tiles(int64_t in_lanes) {
    constexpr int64_t cache = 1400000;  // bytes of the second-level cache for the transformed tiles
    const int64_t most = cache / (winograd_points * (in_lanes + panel_columns) * int64_t{sizeof(float)});
    return std::clamp<int64_t>(most, 14, 64);
  }

  // work(row, tiles of it, how many of the block come before them)
  template <class Work>
  void for_each_row(int64_t begin, int64_t end, Work work) const {
    const int64_t tiles = grid_.tiles();
    for (int64_t tile = begin; tile < end;) {
      const int64_t row = tile / tiles, next = std::min(end, (row + 1) * tiles);
      work(row, TileRange{grid_, tile - row * tiles, next - row * tiles}, tile - begin);
      tile = next;
    }
  }
  // work(begin, end) on the tiles of `rows` images, in equal blocks of at most `most`
  template <class Work>
  void for_each_block(int64_t rows, int64_t most, Work work) const {
    const int64_t tiles = rows * grid_.tiles(), blocks = (tiles + most - 1) / most;
    for (int64_t i = 0; i < blocks; ++i) work(i * tiles / blocks, (i + 1) * tiles / blocks);
  }

  // A padded image that one row after another is put into
  class Padded {
   public:
    Padded(const TileGrid& grid, int64_t lanes, float* memory) : grid_(grid), lanes_(lanes), data_(memory) {
      zero_border(grid, lanes, data_);
    }
    static int64_t numbers(const TileGrid& grid, int64_t lanes) { return grid.padded_pixels() * lanes; }
    const float* of(int64_t row, const Fill& fill) {
      const int64_t width = grid_.padded_width() * lanes_;
      if (row != row_) fill(row, {data_ + width + lanes_, width, lanes_});
      row_ = row;
      return data_;
    }

   private:
    TileGrid grid_;
    int64_t lanes_;
    float* data_;
    int64_t row_ = -1;
  };

  // Images first .. first + rows - 1; addend and y: of the first
  void convolve(const WinogradKernel& kernel, int64_t first, int64_t rows, const Fill& fill,
                const float* bias, const float* addend, float* y) const {
    const int64_t in = lanes_of(kernel.in()), out = lanes_of(kernel.out());
    const int64_t most = block_tiles(in), image = grid_.height * grid_.width * out;
    const int64_t padded_numbers = Padded::numbers(grid_, in);
    const int64_t in_point = point_stride(most, in), out_point = point_stride(most, panel_columns);
    Scratch scratch(Scratch::sum({padded_numbers, winograd_points * in_point, winograd_points * out_point}));
    Padded padded(grid_, in, scratch.take(padded_numbers));
    const Transformed v{scratch.take(winograd_points * in_point), in, in_point};
    float* products = scratch.take(winograd_points * out_point);
    for_each_block(rows, most, [&](int64_t begin, int64_t end) {
      for_each_row(begin, end, [&](int64_t row, const TileRange& tiles, int64_t done) {
        transform_inputs(tiles, padded.of(first + row, fill), v.from(done));
      });
      for (int64_t panel = 0; panel < out; panel += panel_columns) {
        const int64_t columns = std::min(panel_columns, out - panel);
        for (int64_t point = 0; point < winograd_points; ++point) {
          multiply({v.data + point * v.point, in}, kernel.panel(panel, point), products + point * out_point,
                   columns, end - begin, kernel.in(), columns);
        }
        const Transformed m{products, columns, out_point};
        for_each_row(begin, end, [&](int64_t row, const TileRange& tiles, int64_t done) {
          transform_outputs(tiles, m.from(done), out, panel, bias == nullptr ? nullptr : bias + panel,
                            addend == nullptr ? nullptr : addend + row * image, y + row * image);
        });
      }
    });
  }

  // Some images at a time, so that dz stays in the cache until it is used.
  void input_gradient(Frame& frame) const {
    const WinogradKernel& kernel = adjoint_.get([&] {
      return WinogradKernel::adjoint(convolution_.weight.data, convolution_.out, x().size.channels);
    });
    const auto fill = [&](int64_t row, ImageView to) {
      copy_image(output_gradient(frame, row), output.size, to);
    };
    const bool wanted = frame.gradients[x().index] != nullptr;
    const auto [dx, add] = wanted ? frame.begin_gradient(x()) : Frame::Gradient{nullptr, false};
    const int64_t group = std::max<int64_t>(1, block_tiles(output.size.lanes()) / grid_.tiles());
    const int64_t image = x().size.numbers();
    std::vector<float> dz(static_cast<size_t>(std::min(group, frame.rows) * image));
    for (int64_t begin = 0; begin < frame.rows; begin += group) {
      const int64_t end = std::min(frame.rows, begin + group);
      convolve(kernel, begin, end - begin, fill, nullptr, nullptr, dz.data());
      for (int64_t row = begin; row < end; ++row) {
        before_.gradient(frame, frame.value(x(), row), row, dz.data() + (row - begin) * image, add,
                         dx == nullptr ? nullptr : dx + row * image);
      }
    }
  }

  void weight_gradient(Frame& frame) const {
    const int64_t in = x().size.lanes(), out = output.size.lanes(), most = block_tiles(in + out);
    const int64_t in_padded = Padded::numbers(grid_, in), out_padded = Padded::numbers(grid_, out);
    const int64_t in_point = point_stride(most, in), out_point = point_stride(most, out);
    const int64_t sum_point = point_stride(convolution_.out, in);
    Scratch scratch(Scratch::sum({in_padded, out_padded, winograd_points * in_point,
                                  winograd_points * out_point, winograd_points * sum_point}));
    Padded z(grid_, in, scratch.take(in_padded)), dy(grid_, out, scratch.take(out_padded));
    const Transformed v{scratch.take(winograd_points * in_point), in, in_point};
    const Transformed w{scratch.take(winograd_points * out_point), out, out_point};
    float* sums = scratch.take(winograd_points * sum_point);
    const Fill fill_z = [&](int64_t row, ImageView to) {
      before_.apply(frame, frame.value(x(), row), row, to);
    };
    const Fill fill_dy = [&](int64_t row, ImageView to) {
      copy_image(output_gradient(frame, row), output.size, to);
    };
    for_each_block(frame.rows, most, [&](int64_t begin, int64_t end) {
      for_each_row(begin, end, [&](int64_t row, const TileRange& tiles, int64_t done) {
        transform_inputs(tiles, z.of(row, fill_z), v.from(done));
        transform_output_gradients(tiles, dy.of(row, fill_dy), w.from(done));
      });
      for (int64_t point = 0; point < winograd_points; ++point) {
        multiply({w.data + point * out_point, 1, out}, {v.data + point * in_point, in, panel_columns},
                 sums + point * sum_point, in, convolution_.out, end - begin, in, begin > 0);
      }
    });
    add_kernel_gradient(sums, sum_point, convolution_.out, x().size.channels,
                        frame.parameter_gradients[convolution_.weight.index]);
  }

  TileGrid grid_;
  Once<WinogradKernel> forward_, adjoint_;
};

// 1 x 1: a matrix product over the pixels, of all images together where no norm tells them apart
class PointwiseConvolution final : public ConvolutionBase {
 public:
  PointwiseConvolution(const Value& x, const Convolution& convolution) : ConvolutionBase(x, convolution) {}

  void forward(const Frame& frame) const override {
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

  void backward(Frame& frame) const override {
    addend_and_bias_gradients(frame);
    modulation_gradient(frame);
    if (frame.parameter_gradients[convolution_.weight.index] != nullptr) weight_gradient(frame);
    if (frame.gradients[x().index] == nullptr && before_.nothing()) return;
    input_gradient(frame);
  }

 private:
  // Images that are multiplied together: as one that has the pixels of all
  struct Stack {
    int64_t row;
    ImageSize size;
    Before before;
    const float* x;

    const float* input(const Frame& frame, float* z) const {
      if (before.nothing()) return x;
      before.apply(frame, x, row, ImageView::of(z, size));
      return z;
    }
  };
  // work(stack, scratch memory for its numbers)
  template <class Work>
  void for_each_stack(const Frame& frame, Work work) const {
    const int64_t rows = convolution_.norm ? 1 : frame.rows;
    const ImageSize size{1, rows * x().size.pixels(), x().size.channels};
    const Before before(size, convolution_.norm, convolution_.activation);
    Scratch scratch(size.numbers());
    float* z = scratch.take(size.numbers());
    for (int64_t row = 0; row < frame.rows; row += rows)
      work(Stack{row, size, before, frame.value(x(), row)}, z);
  }

  // bias (+ modulation) (+ addend)
  void begin_output(const Frame& frame) const {
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

  void modulation_gradient(Frame& frame) const {
    if (!convolution_.modulation || frame.modulation_gradient == nullptr) return;
    std::vector<float> sum(static_cast<size_t>(output.size.lanes()));
    for (int64_t row = 0; row < frame.rows; ++row) {
      std::fill(sum.begin(), sum.end(), 0.0F);
      add_pixel_sums(output_gradient(frame, row), output.size.pixels(), output.size.lanes(), sum.data());
      float* to = frame.modulation_gradient + row * frame.modulation_row + *convolution_.modulation;
      for (int64_t c = 0; c < convolution_.out; ++c) to[c] += sum[c];
    }
  }

  void weight_gradient(Frame& frame) const {
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

  void input_gradient(Frame& frame) const {
    const PackedMatrix& matrix = adjoint_.get([&] {
      const int64_t in = x().size.channels;
      return PackedMatrix(convolution_.weight.data, in, 1, convolution_.out, in);
    });
    const bool wanted = frame.gradients[x().index] != nullptr;
    const auto [dx, add] = wanted ? frame.begin_gradient(x()) : Frame::Gradient{nullptr, false};
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

std::unique_ptr<Operation> make_convolution(const Value& x, const Convolution& convolution) {
  if (convolution.kernel == 3) return std::make_unique<WinogradConvolution>(x, convolution);
  return std::make_unique<PointwiseConvolution>(x, convolution);
}

}  // namespace tweedie
