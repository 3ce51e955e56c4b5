#pragma once
// tweedie info, as far as it takes none of libtorch's operators.

#include "io/model.h"
#include "run/context.h"

#include <functional>
#include <optional>

namespace tweedie {

// Operations of one evaluation of a model's network, where its file does not say them.
using FlopsOf = std::function<double(const ModelCard&)>;

// What info() returns; nothing where reading the file does not tell: a .toml or .pt prior, which has to be
// loaded, and without flops_of_card a model that an earlier version wrote.
std::optional<Summary> info_by_reading(const std::filesystem::path& file,
                                       const FlopsOf& flops_of_card = nullptr);

}  // namespace tweedie
