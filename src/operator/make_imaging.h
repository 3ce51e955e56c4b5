#pragma once
// Operators of imaging from their options.

#include "operator/operator_context.h"

namespace tweedie {

LinearOperatorPtr make_imaging(const FourierOptions& options, const OperatorContext& context);
LinearOperatorPtr make_imaging(const MultiCoilOptions& options, const OperatorContext& context);
LinearOperatorPtr make_imaging(const NufftOptions& options, const OperatorContext& context);
LinearOperatorPtr make_imaging(const RadonOptions& options, const OperatorContext& context);

}  // namespace tweedie
