#pragma once

namespace tweedie {

// An OpenBLAS that is older than the processor takes it for one of 2004, without AVX, and multiplies at a
// quarter of its speed. Gives it the kernels of the best processor that it knows; does nothing where OpenBLAS
// knew better, where OPENBLAS_CORETYPE is set, or under another BLAS. To be called before anything is
// multiplied.
void wake_blas();

}  // namespace tweedie
