#pragma once
// A denoiser of small images on large ones, by overlapping windows (as MultiDiffusion, Bar-Tal et al., ICML
// 2023, does in each step; here it is D itself that is put together):
//   D(x; sigma) = sum_k P_k^T (w_k * D_tile(P_k x; sigma)),   sum_k P_k^T w_k = 1 at every pixel.
// P_k cuts out window k, w_k rises smoothly from its edges, except at those of the image. So D is one
// function of the whole x, whose noise has no seams: what samplers and guidance do with it is as with any
// other denoiser, and no bit depends on the order of tiles. It is exact for priors whose pixels know of each
// other within a window only as far as w_k is small, and for independent pixels.

#include "tweedie/denoiser.h"

#include <memory>

namespace tweedie {

struct TileOptions {
  int64_t overlap = 0;   // pixels that neighbouring windows share at least, 0 <= overlap < the window's sides
  int64_t together = 8;  // windows that are evaluated at a time: what the memory of an evaluation grows with
  // Bytes of windows up to which their derivatives are kept until the vjp; of more, they are evaluated again
  // there, some at a time.
  int64_t keep_bytes = int64_t{1} << 24;
};

class TiledDenoiser final : public Denoiser {
 public:
  // tile: a denoiser of (C, h, w); height, width: of the image, at least h and w.
  TiledDenoiser(std::shared_ptr<const Denoiser> tile, int64_t height, int64_t width,
                const TileOptions& options);
  Shape shape() const override;

  int64_t windows() const;

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override;
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override;

 private:
  struct Tiling;
  std::shared_ptr<const Tiling> tiling_;  // shared with derivatives that are still to be asked for
};

}  // namespace tweedie
