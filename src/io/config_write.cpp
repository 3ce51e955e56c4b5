// From options to a TOML document, and to the lines of --help.

#include "io/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace tweedie {

namespace {

std::string spell(bool value) {
  return value ? "true" : "false";
}
std::string spell(double value) {
  return to_toml(value);
}
std::string spell(int64_t value) {
  return fmt::format("{}", value);
}
std::string spell(const std::string& value) {
  return to_toml(value);
}
std::string spell(const std::filesystem::path& value) {
  return to_toml(value.string());
}
std::string spell(const FieldChoice& value) {
  return to_toml(value.names[value.index]);
}

std::string spell(uint64_t value) {
  const bool fits = value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  return fits ? fmt::format("{}", value) : fmt::format("\"{}\"", value);
}

template <class T>
std::string spell(const std::vector<T>& values) {
  std::vector<std::string> items;
  for (const T& value : values) items.push_back(spell(value));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string spell(const FieldRef& ref) {
  return std::visit([](const auto* member) { return spell(*member); }, ref);
}

const char* type_name(const FieldRef& ref) {
  constexpr std::array names{"true or false", "number", "whole number",    "whole number",
                             "text",          "path",   "list of numbers", "list of whole numbers",
                             "list of texts", "choice"};
  static_assert(names.size() == std::variant_size_v<FieldRef>);
  return names[ref.index()];
}

class FieldWriter final : public FieldVisitor {
 public:
  // A table's own keys come before the tables in it, whatever the order of the visit.
  std::string text() const {
    std::string result;
    for (const Section& section : sections_) {
      const std::string name =
          section.item ? fmt::format("[[{}]]", section.path) : fmt::format("[{}]", section.path);
      if (!section.path.empty()) result += fmt::format("{}{}\n", result.empty() ? "" : "\n", name);
      for (const auto& [key, value] : section.keys) result += fmt::format("{} = {}\n", key, value);
    }
    return result;
  }

 protected:
  void value(FieldRef ref, const FieldInfo& info) override {
    auto& keys = sections_[open_.back()].keys;
    const bool twice =
        std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return key.first == info.name; });
    if (twice)
      throw Error(sections_[open_.back()].path, fmt::format("two fields are called '{}'", info.name));
    // An empty path is one that was never given.
    const auto* path = std::get_if<std::filesystem::path*>(&ref);
    if (path == nullptr || !(*path)->empty()) keys.emplace_back(info.name, spell(ref));
  }

  void enter_table(const FieldInfo& info) override {
    std::string path = join_key(sections_[open_.back()].path, info.name);
    open_.push_back(sections_.size());
    sections_.push_back({std::move(path), {}});
  }

  void leave_table() override { open_.pop_back(); }

  size_t enter_list(size_t size, const FieldInfo&) override { return size; }
  void enter_item(const FieldInfo& info, size_t) override {
    enter_table(info);
    sections_.back().item = true;
  }
  void leave_item() override { leave_table(); }
  bool enter_optional(bool set, const FieldInfo&) override { return set; }

  size_t choose(std::span<const char* const> kinds, size_t current, const FieldInfo& info) override {
    FieldChoice choice{kinds, current};
    value(&choice, info);
    return current;
  }

 private:
  struct Section {
    std::string path;
    std::vector<std::pair<std::string, std::string>> keys;
    bool item = false;  // of an array of tables
  };
  std::vector<Section> sections_{{"", {}}};
  std::vector<size_t> open_{0};
};

class FieldDescriber final : public FieldVisitor {
 public:
  std::vector<FieldDescription> result;

 protected:
  void value(FieldRef ref, const FieldInfo& info) override {
    FieldDescription line;
    line.table = tables_.back().path;
    line.kind = fmt::format("{}", fmt::join(tables_.back().kinds, ", "));
    line.name = info.name;
    line.type = type_name(ref);
    line.range = to_words(info.rule);
    line.help = info.help;
    line.required = info.rule.required;
    const auto* path = std::get_if<std::filesystem::path*>(&ref);
    const bool none = unset_ || line.required || (path != nullptr && (*path)->empty());
    if (!none) line.value = spell(ref);
    if (const auto* choice = std::get_if<FieldChoice*>(&ref)) {
      line.choices.assign((*choice)->names.begin(), (*choice)->names.end());
    }
    result.push_back(std::move(line));
    unset_ = false;
  }

  void enter_table(const FieldInfo& info) override {
    unset_ = false;
    tables_.push_back({join_key(tables_.back().path, info.name), {}});
  }

  void leave_table() override { tables_.pop_back(); }

  // Its tables may hold such arrays again, so that there is no end to listing their keys.
  size_t enter_list(size_t, const FieldInfo& info) override {
    FieldDescription line;
    line.table = tables_.back().path;
    line.kind = fmt::format("{}", fmt::join(tables_.back().kinds, ", "));
    line.name = info.name;
    line.type = "list of tables";
    line.help = info.help;
    line.required = info.rule.required;
    result.push_back(std::move(line));
    unset_ = false;
    return 0;
  }
  void enter_item(const FieldInfo&, size_t) override {}
  void leave_item() override {}

  bool enter_optional(bool set, const FieldInfo&) override {
    unset_ = !set;
    return true;
  }

  size_t choose(std::span<const char* const> kinds, size_t current, const FieldInfo& info) override {
    FieldChoice choice{kinds, current};
    value(&choice, info);
    return every_kind;
  }

  void enter_kind(const FieldInfo& key, const char* kind) override {
    tables_.back().kinds.push_back(fmt::format("{} = \"{}\"", key.name, kind));
  }

  void leave_kind() override { tables_.back().kinds.pop_back(); }

 private:
  struct Table {
    std::string path;
    std::vector<std::string> kinds;
  };
  std::vector<Table> tables_{{"", {}}};
  bool unset_ = false;
};

}  // namespace

std::string write_fields(const std::function<void(FieldVisitor&)>& fields) {
  FieldWriter writer;
  fields(writer);
  return writer.text();
}

std::vector<FieldDescription> describe_fields(const std::function<void(FieldVisitor&)>& fields) {
  FieldDescriber describer;
  fields(describer);
  return std::move(describer.result);
}

std::string help_fields(const std::vector<FieldDescription>& descriptions) {
  const auto default_of = [](const FieldDescription& line) {
    return line.required ? "required" : line.value.empty() ? "-" : line.value;
  };
  const auto type_of = [](const FieldDescription& line) {
    return line.range.empty() ? line.type : line.type + ' ' + line.range;
  };
  size_t name_width = 0, default_width = 0, type_width = 0;
  for (const FieldDescription& line : descriptions) {
    name_width = std::max(name_width, line.name.size());
    default_width = std::max(default_width, default_of(line).size());
    type_width = std::max(type_width, type_of(line).size());
  }
  std::string result, table, kind;
  for (const FieldDescription& line : descriptions) {
    if (line.table != table) result += fmt::format("{}[{}]\n", result.empty() ? "" : "\n", line.table);
    if (!line.kind.empty() && (line.kind != kind || line.table != table))
      result += fmt::format("  {}\n", line.kind);
    table = line.table;
    kind = line.kind;
    std::string help = line.help;
    if (!line.choices.empty())
      help += fmt::format("{}{}", help.empty() ? "" : ": ", fmt::join(line.choices, ", "));
    std::string text = fmt::format("  {}{:<{}}  {:<{}}  {:<{}}  {}", kind.empty() ? "" : "  ", line.name,
                                   name_width + (kind.empty() ? 2 : 0), default_of(line), default_width,
                                   type_of(line), type_width, help);
    result += text.substr(0, text.find_last_not_of(' ') + 1) + '\n';
  }
  return result;
}

}  // namespace tweedie
