#include "run/forward.h"

#include "run/measured_file.h"
#include "tweedie/error.h"
#include "tweedie/operator_check.h"

#include <fmt/format.h>

namespace tweedie {

bool is_users_own(const OperatorOptions& options) {
  return holds<TorchscriptOperatorOptions>(options) || holds<SubprocessOptions>(options);
}

ForwardOperatorPtr load_operator(const OperatorOptions& options, const Shape& shape, const Noise& noise) {
  auto forward = make_operator(options, shape, noise, read_for_operator);
  if (!is_users_own(options)) return forward;
  for (const OperatorCheck& check :
       check_operator(*forward, {.pairs = 2, .single_precision = true, .quick = true})) {
    if (check.passed()) continue;
    throw Error("measurement.operator",
                fmt::format("its {} is off by {:.2g} where {:.0e} is allowed; see `tweedie check-operator`",
                            check.name, check.value, check.bound));
  }
  return forward;
}

}  // namespace tweedie
