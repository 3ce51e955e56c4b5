#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

void require_batch_of(const Tensor& x, at::IntArrayRef shape, const std::string& place) {
  if (x.dim() != static_cast<int64_t>(shape.size()) + 1 || x.sizes().slice(1) != shape) {
    throw Error(place,
                fmt::format("shape {}, but a batch of {} is needed", to_string(x.sizes()), to_string(shape)));
  }
}

void require_finite(const Tensor& x, const std::string& place) {
  if (!x.is_floating_point() && !x.is_complex()) return;
  if (x.is_cuda() && at::isfinite(x).all().item<bool>()) return;
  const Tensor values = x.detach().cpu().contiguous();
  require_finite(values.data_ptr(), values.scalar_type(), values.sizes(), place);
}

void require_real(const Tensor& x, const std::string& place) {
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble) {
    throw Error(place, fmt::format("dtype {}, but float32 or float64 is needed", toString(x.scalar_type())));
  }
}

}  // namespace tweedie
