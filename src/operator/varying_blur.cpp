// y = sum_k w_k (K_k x), A^T y = sum_k K_k^T (w_k y): the blur at a pixel is the mixture of those of the
// centres around it (Nagy & O'Leary, SIAM J. Sci. Comput. 19, 1998).

#include "operator/linear.h"
#include "tweedie/image_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {
namespace {

// (cells, size): hat functions of the cells' centres, constant beyond the outermost; columns sum to 1
Tensor hats(int64_t size, int64_t cells) {
  const Tensor place =
      (at::arange(size, at::kDouble) + 0.5) * (static_cast<double>(cells) / static_cast<double>(size));
  const Tensor clamped = (place - 0.5).clamp(0, static_cast<double>(cells - 1));
  const Tensor cell = at::arange(cells, at::kDouble).unsqueeze(1);
  return (1 - (clamped - cell).abs()).clamp_min(0);
}

class VaryingBlurOperator final : public FixedShape {
 public:
  VaryingBlurOperator(const Shape& domain, const Tensor& kernels, Boundary boundary)
      : FixedShape(domain, domain) {
    const Tensor rows = hats(domain[domain.size() - 2], kernels.size(0)),
                 columns = hats(domain.back(), kernels.size(1));
    for (int64_t i = 0; i < kernels.size(0); ++i) {
      for (int64_t j = 0; j < kernels.size(1); ++j) {
        blurs_.push_back(make_blur(domain, kernels[i][j], boundary));
        weights_.push_back(std::make_unique<Constant>(rows[i].outer(columns[j])));
      }
    }
  }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    Tensor y = at::zeros_like(x);
    for (size_t k = 0; k < blurs_.size(); ++k) y = y + weights_[k]->like(x) * blurs_[k]->apply(x);
    return y;
  }
  Tensor do_adjoint(const Tensor& y) const override {
    Tensor x = at::zeros_like(y);
    for (size_t k = 0; k < blurs_.size(); ++k) x = x + blurs_[k]->adjoint(weights_[k]->like(y) * y);
    return x;
  }

 private:
  std::vector<LinearOperatorPtr> blurs_;
  std::vector<std::unique_ptr<Constant>> weights_;
};

}  // namespace

LinearOperatorPtr make_varying_blur(Shape domain, const Tensor& kernels, Boundary boundary) {
  require_domain(domain, 2, "varying-blur.domain");
  if (kernels.dim() != 4 || kernels.numel() == 0) {
    throw Error("varying-blur.kernels",
                fmt::format("shape {}, but (rows of kernels, columns of kernels, height, width) "
                            "is needed",
                            to_string(kernels.sizes())));
  }
  const int64_t height = domain[domain.size() - 2], width = domain.back();
  if (kernels.size(0) > height || kernels.size(1) > width) {
    throw Error("varying-blur.kernels",
                fmt::format("a grid of {} x {} kernels for {} x {} pixels; no more than pixels "
                            "are meant",
                            kernels.size(0), kernels.size(1), height, width));
  }
  require_real(kernels, "varying-blur.kernels");
  require_finite(kernels, "varying-blur.kernels");
  return std::make_shared<VaryingBlurOperator>(domain, kernels.detach().to(at::kCPU, at::kDouble), boundary);
}

}  // namespace tweedie
