#pragma once
// Every kind of operator that a config can ask for, once or more, in small.

#include "tweedie/operator_options.h"

namespace tweedie {

struct CatalogueEntry {
  std::string name;
  Shape domain;
  std::function<OperatorOptions()> options;
};

// All kinds but those of users' own code.
const std::vector<CatalogueEntry>& operator_catalogue();

// The arrays that its options name, by these names instead of files.
Tensor catalogue_array(const std::filesystem::path& name);

}  // namespace tweedie
