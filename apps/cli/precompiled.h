// What every subcommand includes and is slow to parse.
#include "tweedie/tensor.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
