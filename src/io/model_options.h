#pragma once
// The families of models that `tweedie train` learns.

#include "io/train_fields.h"

namespace tweedie {

using ModelOptions = std::variant<DiffusionOptions>;

// Whether [network] is the model's
inline bool takes_network(const ModelOptions& model) {
  return std::holds_alternative<DiffusionOptions>(model);
}

}  // namespace tweedie
