#include "tweedie/tiled_denoiser.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

// As few windows of this size as share `overlap`, evenly spread
std::vector<int64_t> starts_of(int64_t size, int64_t window, int64_t overlap) {
  const int64_t step = window - overlap, gaps = (size - window + step - 1) / step;
  std::vector<int64_t> result{0};
  for (int64_t i = 1; i <= gaps; ++i)
    result.push_back(std::llround(static_cast<double>(i * (size - window)) / static_cast<double>(gaps)));
  return result;
}

// Rises as sin^2 over what is shared with the windows beside, then is scaled to sum 1 at each pixel.
std::vector<Tensor> weights_of(const std::vector<int64_t>& starts, int64_t size, int64_t window) {
  const auto ramp = [](int64_t place, int64_t length) {
    const double angle =
        std::numbers::pi / 2 * (static_cast<double>(place) + 0.5) / static_cast<double>(length);
    return place < length ? std::sin(angle) * std::sin(angle) : 1.0;
  };
  std::vector<double> total(static_cast<size_t>(size), 0);
  std::vector<std::vector<double>> all;
  for (size_t k = 0; k < starts.size(); ++k) {
    const int64_t before = k > 0 ? starts[k - 1] + window - starts[k] : 0;
    const int64_t after = k + 1 < starts.size() ? starts[k] + window - starts[k + 1] : 0;
    std::vector<double>& weight = all.emplace_back();
    for (int64_t i = 0; i < window; ++i) {
      const double w = (before > 0 ? ramp(i, before) : 1) * (after > 0 ? ramp(window - 1 - i, after) : 1);
      weight.push_back(w);
      total[static_cast<size_t>(starts[k] + i)] += w;
    }
  }
  std::vector<Tensor> result;
  for (size_t k = 0; k < starts.size(); ++k) {
    for (int64_t i = 0; i < window; ++i)
      all[k][static_cast<size_t>(i)] /= total[static_cast<size_t>(starts[k] + i)];
    result.push_back(at::tensor(all[k], at::kDouble));
  }
  return result;
}

// Windows, one row of the batch after the other
struct Windows {
  struct One {
    int64_t row;  // of the batch
    size_t i, j;  // which row and column of windows
  };
  std::vector<One> all;
  Tensor sigma;  // (windows) or ()
};

}  // namespace

struct TiledDenoiser::Tiling {
  std::shared_ptr<const Denoiser> tile;
  TileOptions options;
  Shape shape, tile_shape;
  std::vector<int64_t> rows, columns;               // where windows begin
  std::vector<Tensor> row_weights, column_weights;  // (h, 1) and (1, w) float64, for each of them

  int64_t windows() const { return static_cast<int64_t>(rows.size() * columns.size()); }

  // All windows of a batch, `together` at a time
  template <class Visit>
  void for_each(int64_t batch, const Tensor& sigma, Visit visit) const {
    for (int64_t first = 0; first < batch * windows(); first += options.together) {
      Windows some;
      std::vector<int64_t> of_rows;
      for (int64_t k = first; k < std::min(first + options.together, batch * windows()); ++k) {
        const auto window = static_cast<size_t>(k % windows());
        some.all.push_back({k / windows(), window / columns.size(), window % columns.size()});
        of_rows.push_back(k / windows());
      }
      some.sigma =
          sigma.dim() == 0 ? sigma : sigma.flatten().index_select(0, at::tensor(of_rows).to(sigma.device()));
      visit(std::move(some));
    }
  }

  Tensor view(const Tensor& x, const Windows::One& w) const {
    return x[w.row]
        .slice(1, rows[w.i], rows[w.i] + tile_shape[1])
        .slice(2, columns[w.j], columns[w.j] + tile_shape[2]);
  }

  Tensor cut(const Tensor& x, const Windows& some) const {
    std::vector<Tensor> tiles;
    for (const Windows::One& w : some.all) tiles.push_back(view(x, w));
    return at::stack(tiles);
  }

  Tensor weighted(const Tensor& tiles, const Windows& some) const {
    std::vector<Tensor> weights;
    for (const Windows::One& w : some.all)
      weights.push_back((row_weights[w.i] * column_weights[w.j]).unsqueeze(0));
    return tiles * at::stack(weights).to(tiles.options());
  }

  // Window after window, so that sums do not depend on how many are evaluated at a time
  void add(const Tensor& tiles, const Windows& some, const Tensor& sum) const {
    for (size_t k = 0; k < some.all.size(); ++k) view(sum, some.all[k]).add_(tiles[static_cast<int64_t>(k)]);
  }
};

TiledDenoiser::TiledDenoiser(std::shared_ptr<const Denoiser> tile, int64_t height, int64_t width,
                             const TileOptions& options) {
  auto tiling = std::make_shared<Tiling>();
  tiling->tile_shape = tile->shape();
  tiling->tile = std::move(tile);
  tiling->options = options;
  const Shape& inner = tiling->tile_shape;
  if (inner.size() != 3)
    throw Error("prior.tile",
                fmt::format("a model of shape {}, but tiles are images (C, h, w)", to_string(inner)));
  const int64_t h = inner[1], w = inner[2];
  if (height < h || width < w || height > (1 << 20) || width > (1 << 20)) {
    throw Error("prior.tile.size",
                fmt::format("{} x {}, but at least the model's {} x {} is meant", height, width, h, w));
  }
  if (options.overlap < 0 || options.overlap >= std::min(h, w)) {
    throw Error("prior.tile.overlap", fmt::format("{}, but 0 to {}, less than the model's {} x {}, is meant",
                                                  options.overlap, std::min(h, w) - 1, h, w));
  }
  if (options.together < 1)
    throw Error("prior.tile.together", fmt::format("{}, but >= 1 is meant", options.together));
  tiling->shape = {inner[0], height, width};
  tiling->rows = starts_of(height, h, options.overlap);
  tiling->columns = starts_of(width, w, options.overlap);
  for (const Tensor& weight : weights_of(tiling->rows, height, h))
    tiling->row_weights.push_back(weight.unsqueeze(1));
  for (const Tensor& weight : weights_of(tiling->columns, width, w))
    tiling->column_weights.push_back(weight.unsqueeze(0));
  tiling_ = std::move(tiling);
}

Shape TiledDenoiser::shape() const {
  return tiling_->shape;
}

int64_t TiledDenoiser::windows() const {
  return tiling_->windows();
}

Tensor TiledDenoiser::do_mean(const Tensor& x, const Tensor& sigma) const {
  const Tensor sum = at::zeros_like(x);
  tiling_->for_each(x.size(0), sigma, [&](const Windows& some) {
    tiling_->add(tiling_->weighted(tiling_->tile->mean(tiling_->cut(x, some), some.sigma), some), some, sum);
  });
  return sum;
}

Linearised TiledDenoiser::do_linearise(const Tensor& x, const Tensor& sigma) const {
  const auto tiling = tiling_;
  const int64_t batch = x.size(0);
  const int64_t bytes =
      batch * windows() * product(tiling->tile_shape) * static_cast<int64_t>(x.element_size());
  if (bytes > tiling->options.keep_bytes) {
    return {do_mean(x, sigma), [tiling, x, sigma, batch](const Tensor& v) {
              const Tensor result = at::zeros_like(v);
              tiling->for_each(batch, sigma, [&](const Windows& some) {
                const Linearised tile = linearise(*tiling->tile, tiling->cut(x, some), some.sigma);
                tiling->add(tile.vjp(tiling->weighted(tiling->cut(v, some), some)), some, result);
              });
              return result;
            }};
  }
  const Tensor sum = at::zeros_like(x);
  std::vector<std::pair<Windows, Linearised>> kept;
  tiling->for_each(batch, sigma, [&](Windows some) {
    Linearised tile = linearise(*tiling->tile, tiling->cut(x, some), some.sigma);
    tiling->add(tiling->weighted(tile.mean, some), some, sum);
    tile.mean.reset();
    kept.emplace_back(std::move(some), std::move(tile));
  });
  // J^T v = sum_k P_k^T J_k^T (w_k * P_k v)
  return {sum, [tiling, kept = std::move(kept)](const Tensor& v) {
            const Tensor result = at::zeros_like(v);
            for (const auto& [some, tile] : kept)
              tiling->add(tile.vjp(tiling->weighted(tiling->cut(v, some), some)), some, result);
            return result;
          }};
}

}  // namespace tweedie
