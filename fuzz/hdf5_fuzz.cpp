// HDF5 and ISMRMRD: the library may break down in its process, this one must not. A process for each input,
// so slow.
#include "io/hdf5.h"

#include "refuse.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  static const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("tweedie-fuzz-" + std::to_string(::getpid()) + ".h5");
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  return fuzz::refuse(data, size, [](ByteView) { read_hdf5(file, ""); });
}
