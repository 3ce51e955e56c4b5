// 3 x 3 convolutions of a plan in float32, on Winograd's kernels

#include "kernel/scratch.h"
#include "kernel/winograd.h"
#include "network/plan_convolution.h"

#include <functional>

namespace tweedie {

namespace {

class WinogradConvolution final : public SeparateGradients<float> {
 public:
  WinogradConvolution(const Value& x, const Convolution& convolution)
      : SeparateGradients<float>(x, convolution), grid_{x.size.height, x.size.width} {
    in_place = place_of_addend();
  }

  void forward(const Frame<float>& frame) const override {
    const WinogradKernel& kernel = forward_.get([&] {
      return WinogradKernel::forward(convolution_.weight.data, convolution_.out, x().size.channels);
    });
    const auto fill = [&](int64_t row, ImageView<float> to) {
      before_.apply(frame, frame.value(x(), row), row, to);
    };
    const float* addend = convolution_.addend ? frame.value(*convolution_.addend) : nullptr;
    convolve(kernel, 0, frame.rows, fill, bias_.data(), addend, frame.value(output));
  }

 private:
  // Fills the middle of a padded image with that of a row.
  using Fill = std::function<void(int64_t row, ImageView<float> to)>;

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
  void input_gradient(Frame<float>& frame) const override {
    const WinogradKernel& kernel = adjoint_.get([&] {
      return WinogradKernel::adjoint(convolution_.weight.data, convolution_.out, x().size.channels);
    });
    const auto fill = [&](int64_t row, ImageView<float> to) {
      copy_image(output_gradient(frame, row), output.size, to);
    };
    const bool wanted = frame.gradients[x().index] != nullptr;
    const auto [dx, add] = wanted ? frame.begin_gradient(x()) : Frame<float>::Gradient{nullptr, false};
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

  void weight_gradient(Frame<float>& frame) const override {
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
    const Fill fill_z = [&](int64_t row, ImageView<float> to) {
      before_.apply(frame, frame.value(x(), row), row, to);
    };
    const Fill fill_dy = [&](int64_t row, ImageView<float> to) {
      copy_image(output_gradient(frame, row), output.size, to);
    };
    for_each_block(frame.rows, most, [&](int64_t begin, int64_t end) {
      for_each_row(begin, end, [&](int64_t row, const TileRange& tiles, int64_t done) {
        transform_inputs(tiles, z.of(row, fill_z), v.from(done));
        transform_output_gradients(tiles, dy.of(row, fill_dy), w.from(done));
      });
      for (int64_t point = 0; point < winograd_points; ++point) {
        float* sum = sums + point * sum_point;
        multiply({w.data + point * out_point, 1, out}, {v.data + point * in_point, in, panel_columns}, sum,
                 in, convolution_.out, end - begin, in, {.all = begin > 0 ? sum : nullptr});
      }
    });
    add_kernel_gradient(sums, sum_point, convolution_.out, x().size.channels,
                        frame.sum_of_gradient(convolution_.weight));
  }

  TileGrid grid_;
  Once<WinogradKernel> forward_, adjoint_;
};

}  // namespace

std::unique_ptr<Operation<float>> make_winograd_convolution(const Value& x, const Convolution& convolution) {
  return std::make_unique<WinogradConvolution>(x, convolution);
}

}  // namespace tweedie
