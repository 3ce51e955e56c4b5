#include "io/hdf5_library.h"

#include "tweedie/error.h"

#include <dlfcn.h>

namespace tweedie {

namespace {

void* load(const std::string& place) {
  void* handle = dlopen(TWEEDIE_HDF5_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    throw Error(place, std::string("is an HDF5 file, and libhdf5 can't be loaded: ") + dlerror(),
                ErrorKind::resources);
  return handle;
}

}  // namespace

const Hdf5& Hdf5::library(const std::string& place) {
  static const Hdf5 loaded(load(place));
  return loaded;
}

template <class Function>
void Hdf5::find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(handle_, name));
  if (function == nullptr)
    throw Error(TWEEDIE_HDF5_LIBRARY, std::string("has no ") + name + ": another version is meant",
                ErrorKind::resources);
}

Hdf5::Hdf5(void* handle) : handle_(handle) {
#define TWEEDIE_FIND(name) find(name, #name);
  TWEEDIE_HDF5_FUNCTIONS(TWEEDIE_FIND)
#undef TWEEDIE_FIND
}

hid_t Hdf5::id(const std::string& symbol) const {
  const auto* found = static_cast<const hid_t*>(dlsym(handle_, symbol.c_str()));
  if (found == nullptr) throw Error(TWEEDIE_HDF5_LIBRARY, "has no " + symbol, ErrorKind::resources);
  return *found;
}

hid_t Hdf5::type(const std::string& name) const {
  return id("H5T_" + name + "_g");
}

hid_t Hdf5::property(const std::string& name) const {
  return id("H5P_CLS_" + name + "_ID_g");
}

}  // namespace tweedie
