#include "io/bytes.h"

#include <ATen/ATen.h>

namespace tweedie {

Tensor plain(const Tensor& tensor) {
  return tensor.detach().resolve_conj().resolve_neg().cpu().contiguous();
}

}  // namespace tweedie
