#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/cfl.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

void write_cfl(const std::filesystem::path& path, const Tensor& x, const ArrayMeta& meta) {
  if (x.dim() > 16 || x.numel() == 0) {
    throw Error(path.string(), fmt::format("shape {}, but a BART file has up to 16 axes, none of them empty",
                                           to_string(x.sizes())));
  }
  const Tensor numbers = plain(x).to(at::kComplexFloat).contiguous();
  // The numbers first: a header without them would be taken for a file that was cut short.
  write_atomically(std::filesystem::path(path).replace_extension(".cfl"), view_of(numbers));
  write_atomically(std::filesystem::path(path).replace_extension(".hdr"), cfl_header(x, meta));
}

}  // namespace tweedie
