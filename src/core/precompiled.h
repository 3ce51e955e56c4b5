// Everything slow to parse that most files need. Only build time depends on this list: each file includes
// what it uses, and compiles without it.
#include "tweedie/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>
