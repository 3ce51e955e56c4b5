#pragma once
// What a Config holds. Included by the few files that know the TOML library, which is slow to parse.

#include "io/config.h"

#include <toml++/toml.h>
#include <map>

namespace tweedie {

struct Config::Document {
  toml::table root;
  std::string name;
  std::filesystem::path folder;
  std::map<std::string, std::string, std::less<>> overrides;  // key -> the text of its value

  // nullptr when there is none
  const toml::node* find(std::string_view key) const;
  // The override that set this key, itself or with a table around it; "" when the file did.
  std::string override_of(std::string_view key) const;
  std::string place(std::string_view key, const toml::source_region& region) const;
};

// A value in an error message: 3.5, "text", a list, a table.
std::string describe(const toml::node& node);

}  // namespace tweedie
