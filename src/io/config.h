#pragma once
// A TOML document as options structs and back, by way of their fields() (core/fields.h). Every error names
// its place: "file.toml:line:column", or "--set table.key" for a value given on the command line.

#include "core/fields.h"
#include "tweedie/error.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tweedie {

class Config {
 public:
  // overrides: "table.key=value"; the value is TOML, or else a string. Throws Error on syntax errors.
  static Config read(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
  // folder: what relative paths in the text are relative to; none leaves them as they are
  static Config parse(std::string_view text, const std::string& name,
                      const std::vector<std::string>& overrides = {},
                      const std::filesystem::path& folder = {});

  // The options struct that the whole document (or one table of it) describes, defaults where it is silent.
  // Throws Error on an unknown key, table or kind, a wrong type, a value out of its range, and a missing
  // required key.
  template <class T>
  T as(std::string_view table = "") const;

  // key: "method.steps"
  bool has(std::string_view key) const;
  // Where the key is, for an Error of the caller's own; the name of the file when it is not there.
  std::string place(std::string_view key) const;
  const std::string& name() const;

  // What as() does, for callers that bring the visit themselves.
  void visit(const std::function<void(FieldVisitor&)>& fields, std::string_view table = "") const;

  struct Document;

 private:
  explicit Config(std::shared_ptr<const Document> document) : document_(std::move(document)) {}
  std::shared_ptr<const Document> document_;
};

// Overwrites what the document gives and keeps the rest; on an Error, value is as it was.
template <class T>
void read_fields(const Config& config, T& value, std::string_view table = "") {
  T result = value;
  config.visit([&](FieldVisitor& visit) { visit.flatten(result); }, table);
  value = std::move(result);
}

template <class T>
T Config::as(std::string_view table) const {
  T result{};
  read_fields(*this, result, table);
  return result;
}

// One line of --help.
struct FieldDescription {
  std::string table;  // "measurement.noise", "" at the top level
  std::string kind;   // `kind = "ddim"` when only that alternative has the field
  std::string name;
  std::string
      type;  // "number", "whole number", "true or false", "text", "path", "choice", "list of numbers", ...
  std::string value;  // the default, as TOML; empty for none
  std::string range;  // ">= 1", "in [0, 1]"; empty for any
  std::string help;
  std::vector<std::string> choices;
  bool required = false;
};

std::string write_fields(const std::function<void(FieldVisitor&)>& fields);
std::vector<FieldDescription> describe_fields(const std::function<void(FieldVisitor&)>& fields);
std::string help_fields(const std::vector<FieldDescription>& descriptions);

// The whole document with every default in it; reads back to the same value, bit for bit. Throws Error on a
// number that is not finite and on text that is not UTF-8, neither of which a config can hold.
template <class T>
requires(!std::is_invocable_v<const T&, FieldVisitor&>) std::string write_fields(const T& value) {
  T copy = value;
  return write_fields([&](FieldVisitor& visit) { visit.flatten(copy); });
}

template <class T>
std::vector<FieldDescription> describe_fields() {
  T value{};
  return describe_fields([&](FieldVisitor& visit) { visit.flatten(value); });
}

// A readable table of keys, defaults, types, ranges and meanings.
template <class T>
std::string help_fields() {
  return help_fields(describe_fields<T>());
}

// "a.b" from "a" and "b"; "b" at the top level.
std::string join_key(std::string_view table, std::string_view name);

// The candidate nearest to word by edit distance, or "" when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
// "; did you mean 'steps'?", or else "; known: " and all of them, or both.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates, bool both = false);

// TOML's spelling of a value (text must be UTF-8), and a rule in words.
std::string to_toml(double value);
std::string to_toml(std::string_view text);
bool is_utf8(std::string_view text);
std::string to_words(const FieldRule& rule);

}  // namespace tweedie
