#include "core/blas.h"

#include "core/vectorised.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

namespace tweedie {

void wake_blas() {
#if defined(__x86_64__)
  const auto find = [](const char* name) { return dlsym(RTLD_DEFAULT, name); };
  const auto name = reinterpret_cast<const char* (*)()>(find("openblas_get_corename"));
  const auto leave = reinterpret_cast<void (*)()>(find("gotoblas_dynamic_quit"));
  const auto enter = reinterpret_cast<void (*)()>(find("gotoblas_dynamic_init"));
  const InstructionSet best = instruction_set();
  if (name == nullptr || leave == nullptr || enter == nullptr || best == InstructionSet::baseline) return;
  if (std::strcmp(name(), "Prescott") != 0 || std::getenv("OPENBLAS_CORETYPE") != nullptr) return;
  setenv("OPENBLAS_CORETYPE", best == InstructionSet::avx512 ? "SkylakeX" : "Haswell", /*overwrite=*/0);
  leave();
  enter();
#endif
}

}  // namespace tweedie
