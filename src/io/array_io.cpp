#include "tweedie/array_io.h"

#include "io/array_file.h"
#include "io/atomic_file.h"
#include "io/npy.h"

namespace tweedie {

Tensor read_array(const std::filesystem::path& path) {
  return read_array_file(path).values;
}

ArrayData read_array_data(const std::filesystem::path& path) {
  ArrayFile file = read_array_file(path);
  return {std::move(file.values), std::move(file.meta)};
}

void write_npy(const std::filesystem::path& path, const Tensor& array) {
  const Tensor values = plain(array);
  AtomicFile file(path);
  file.write(npy_header(values, path.string()));
  file.write(view_of(values));
  file.commit();
}

}  // namespace tweedie
