#pragma once
// tweedie check-operator: what operators promise, put to the test.

#include "run/context.h"
#include "tweedie/operator_check.h"
#include "tweedie/operator_options.h"

namespace tweedie {

struct CheckOperatorConfig {
  uint64_t seed = 0;
  struct Measurement {
    std::vector<int64_t> shape;  // of x
    OperatorOptions forward = IdentityOptions{};
  } measurement;
};

struct CheckedOperator {
  std::string name;  // its kind, or its name in the catalogue
  bool linear = false;
  Shape domain, codomain;
  std::vector<OperatorCheck> checks;
  bool passed() const;
};

struct OperatorReport {
  std::vector<CheckedOperator> operators;
  Summary summary;
  bool passed() const;
};

// The operator of the config; all of the catalogue. With a folder in the context its summary.json is written
// there.
OperatorReport check_operator_of(const CheckOperatorConfig& config, const RunContext& context);
OperatorReport check_all_operators(uint64_t seed, const RunContext& context);

}  // namespace tweedie
