#include "cli.h"
#include "tweedie/error.h"

#include <dlfcn.h>

#include <iostream>

namespace tweedie::cli {

namespace {

// The module lies beside the program, or where it is installed: the program's RUNPATH has the folder.
const Services& load() {
  const auto failed = [] { throw Error(TWEEDIE_MODULE, fmt::format("can't be loaded: {}", dlerror())); };
  // Global, as if linked: what libtorch loads in its turn may look for its symbols, as MKL's kernels do.
  void* module = dlopen(TWEEDIE_MODULE, RTLD_LAZY | RTLD_GLOBAL);
  if (module == nullptr) failed();
  const auto entry = reinterpret_cast<decltype(&tweedie_services)>(dlsym(module, "tweedie_services"));
  if (entry == nullptr) failed();
  const Services* services = entry(TWEEDIE_VERSION);
  if (services == nullptr) throw Error(TWEEDIE_MODULE, "is of another version than " TWEEDIE_VERSION);
  return *services;
}

}  // namespace

const Services& Shared::services() const {
  static const Services& loaded = load();
  static bool warned = false;
  if (!warned && !quiet && loaded.blas_is_reference()) {
    std::cerr << "tweedie: the BLAS in use is the slow reference one (" << loaded.blas_library()
              << "); install libopenblas0-openmp\n";
  }
  warned = true;
  return loaded;
}

}  // namespace tweedie::cli
