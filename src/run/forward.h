#pragma once
// The operator of a config, ready for use.

#include "tweedie/operator_options.h"

namespace tweedie {

// make_operator with the files that the config names. A user's own operator is put to a short test first: an
// adjoint that is none, or a derivative, is an Error.
ForwardOperatorPtr load_operator(const OperatorOptions& options, const Shape& shape, const Noise& noise);

// Whether the user's own code is in it.
bool is_users_own(const OperatorOptions& options);

}  // namespace tweedie
