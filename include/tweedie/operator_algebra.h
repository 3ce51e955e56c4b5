#pragma once
// Operators made of operators, linear or not. The result is a LinearOperator when all the parts are.

#include "tweedie/operators.h"

namespace tweedie {

using ForwardOperatorPtr = std::shared_ptr<const ForwardOperator>;

// x -> ... parts[1](parts[0](x)): in the order in which they act
ForwardOperatorPtr in_turn(std::vector<ForwardOperatorPtr> parts);
// x -> sum_k parts[k](x); one domain, one codomain
ForwardOperatorPtr sum_of(std::vector<ForwardOperatorPtr> parts);
// x -> (parts[0](x), parts[1](x), ...), flattened and joined; one domain
ForwardOperatorPtr stack_of(std::vector<ForwardOperatorPtr> parts);
// (x_0, x_1, ...) -> (parts[0](x_0), parts[1](x_1), ...), joined along the first axis where the other axes
// agree, else flattened and joined
ForwardOperatorPtr block_diagonal(std::vector<ForwardOperatorPtr> parts);
// x -> factor a(x), factor finite and not 0
ForwardOperatorPtr scaled(ForwardOperatorPtr a, double factor);
// y -> A^T y
LinearOperatorPtr adjoint_of(LinearOperatorPtr a);

}  // namespace tweedie
