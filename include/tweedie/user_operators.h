#pragma once
// Operators that users bring. What they answer is checked: an Error(place) names what was expected.

#include "tweedie/operator_algebra.h"

#include <filesystem>

namespace tweedie {

// A module saved by torch.jit: forward(x), x (B, *domain) -> (B, *codomain), row by row. With `adjoint`, the
// name of a method (B, *codomain) -> (B, *domain), it is linear; else its derivative is that of libtorch's
// autograd. The codomain is found by running it once, on x = 1/2. Its parameters are converted to the dtype
// of x.
ForwardOperatorPtr load_torchscript_operator(const std::filesystem::path& file, Shape domain,
                                             const std::string& adjoint, const std::string& place);

// A program that reads requests on its stdin and answers on its stdout, started once. A request is a line
// "apply N", "adjoint N" or "vjp N M" followed by one array, or two, in NPY of N (and M) bytes: float64,
// little-endian, C order; one x of shape `domain`, one y, or x and v. The answer is one array in NPY of
// float32 or float64. Requests come one after the other. On end of file it is to end. What it writes on its
// stderr is quoted when it fails.
struct Subprocess {
  std::vector<std::string> command;  // program and arguments
  std::filesystem::path folder{};    // where it runs; empty: where we do
  bool linear = true;                // it answers apply and adjoint; else apply and vjp
  double timeout = 60;               // seconds for one answer
};
ForwardOperatorPtr start_subprocess_operator(const Subprocess& settings, Shape domain,
                                             const std::string& place);

}  // namespace tweedie
