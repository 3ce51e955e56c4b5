#pragma once
// Loops of the dual of total variation, on images as planes (channels, height, width) of float or double. A
// dual image has two planes for each channel, (2, channels, height, width): of vertical and of horizontal
// differences
//   (D x)_v[i, j] = x[i + 1, j] - x[i, j],   (D x)_h[i, j] = x[i, j + 1] - x[i, j],
// 0 at the last row or column.

#include <cstdint>

namespace tweedie {

struct Planes {
  int64_t channels, height, width;
  int64_t row() const { return channels * width; }
  int64_t plane() const { return height * width; }
  int64_t numbers() const { return channels * plane(); }
};

// Rows begin .. end of an image whose other rows are worked on at the same time: what is read of those, as it
// was before.
template <class Value>
struct TvBand {
  int64_t begin, end;
  Value* above;  // (channels, width): row begin - 1 of r_v
  Value* below;  // (2, channels, width): row `end` of r
  Value* work;   // work_size() numbers
  static int64_t work_size(const Planes& size) { return 5 * size.channels * size.width + size.width; }
};

// Copies what the band needs of its neighbours, which none may be writing.
template <class Value>
void tv_read_neighbours(const Planes& size, const Value* r, const TvBand<Value>& band);

// One step of projected gradients on the dual of min_x 1/2 ||x - z||^2 + weight TV(x), from r, with momentum:
//   q = r + step D (z - weight D^T r),   q <- q / max(1, |q|),   r = q + momentum (q - p),   p = q,
// |q| over the two directions, and over the channels if joint.
template <class Value>
struct TvStep {
  const Value* z;
  Value *r, *p;
  Value weight, step, momentum;
  bool joint;
};
template <class Value>
void tv_step(const Planes& size, const TvStep<Value>& step, const TvBand<Value>& band);

// x = z - weight D^T p, rows begin .. end
template <class Value>
void tv_primal(const Planes& size, const Value* z, const Value* p, Value weight, int64_t begin, int64_t end,
               Value* x);

// For each of the rows begin .. end the sums over pixels of |D x| and of <p, D x>, p none where null.
// work: size.width numbers
template <class Value>
void tv_sums(const Planes& size, const Value* x, const Value* p, bool joint, int64_t begin, int64_t end,
             Value* work, double* variation, double* inner);

}  // namespace tweedie
