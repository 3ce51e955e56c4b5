// From a TOML document to options: FieldReader looks each field up, checks it, and in the end names what is
// left over.

#include "io/config_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tweedie {

namespace {

// A value together with what an error about it says.
struct Entry {
  const toml::node& node;
  std::string key;  // "sampler.steps", "network.multipliers[2]"
  const FieldRule& rule;
  const Config::Document& document;

  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(document.place(key, node.source()), fmt::format("{}: {} {}", key, describe(node), what));
  }
};

template <class Number>
Number checked(const Entry& entry, Number value) {
  const FieldRule& rule = entry.rule;
  const auto x = static_cast<double>(value);
  if (!std::isfinite(x)) entry.refuse("is not a finite number");
  const bool low = rule.open_min ? x <= rule.min : x < rule.min;
  const bool high = rule.open_max ? x >= rule.max : x > rule.max;
  if (low || high) entry.refuse(fmt::format("is out of range; a value {} is meant", to_words(rule)));
  return value;
}

void convert(const Entry& entry, bool& value) {
  const auto* truth = entry.node.as_boolean();
  if (truth == nullptr) entry.refuse("is not true or false");
  value = truth->get();
}

void convert(const Entry& entry, double& value) {
  if (const auto* whole = entry.node.as_integer()) {
    value = checked(entry, static_cast<double>(whole->get()));
  } else if (const auto* real = entry.node.as_floating_point()) {
    value = checked(entry, real->get());
  } else {
    entry.refuse("is not a number");
  }
}

void convert(const Entry& entry, int64_t& value) {
  const auto* whole = entry.node.as_integer();
  if (whole == nullptr) entry.refuse("is not a whole number");
  value = checked(entry, whole->get());
}

// TOML's integers end at 2^63 - 1; larger ones are written as strings.
void convert(const Entry& entry, uint64_t& value) {
  if (const auto* whole = entry.node.as_integer()) {
    if (whole->get() < 0) entry.refuse("is out of range; a value >= 0 is meant");
    value = checked(entry, static_cast<uint64_t>(whole->get()));
    return;
  }
  const auto* text = entry.node.as_string();
  if (text == nullptr) entry.refuse("is not a whole number");
  uint64_t parsed = 0;
  const std::string& digits = text->get();
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
  if (failure != std::errc{} || end != digits.data() + digits.size()) {
    entry.refuse("is not a whole number between 0 and 2^64 - 1");
  }
  value = checked(entry, parsed);
}

void convert(const Entry& entry, std::string& value) {
  const auto* text = entry.node.as_string();
  if (text == nullptr) entry.refuse("is not a string; quotes are meant");
  value = text->get();
}

void convert(const Entry& entry, FieldChoice& value) {
  std::string name;
  convert(entry, name);
  const std::vector<std::string> names(value.names.begin(), value.names.end());
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) entry.refuse("is not known" + suggestion(name, names, true));
  value.index = static_cast<size_t>(found - names.begin());
}

template <class T>
void convert(const Entry& entry, std::vector<T>& value) {
  const toml::array* list = entry.node.as_array();
  if (list == nullptr) entry.refuse("is not a list; square brackets are meant");
  value.clear();
  for (size_t i = 0; i < list->size(); ++i) {
    const Entry element{(*list)[i], fmt::format("{}[{}]", entry.key, i), entry.rule, entry.document};
    convert(element, value.emplace_back());
  }
}

}  // namespace

class FieldReader final : public FieldVisitor {
 public:
  FieldReader(const Config::Document& document, std::string_view table) : document_(document) {
    const toml::node* node = table.empty() ? &document.root : document.find(table);
    push(node, std::string(table));
  }

  void finish() { leave_table(); }

 protected:
  void value(FieldRef ref, const FieldInfo& info) override {
    const toml::node* node = lookup(info);
    if (node == nullptr) return;
    const Entry entry{*node, join_key(levels_.back().path, info.name), info.rule, document_};
    std::visit([&](auto* member) { read(entry, *member); }, ref);
  }

  void enter_table(const FieldInfo& info) override {
    const toml::node* node = lookup(info);
    const bool absent = levels_.back().absent || (node == nullptr && info.rule.required);
    push(node, join_key(levels_.back().path, info.name));
    levels_.back().absent = absent;
  }

  void leave_table() override {
    refuse_unknown(levels_.back());
    refuse_missing(levels_.back());
    levels_.pop_back();
  }

  size_t enter_list(size_t size, const FieldInfo& info) override {
    const toml::node* node = lookup(info);
    if (node == nullptr) return size;
    const std::string path = join_key(levels_.back().path, info.name);
    const toml::array* list = node->as_array();
    if (list == nullptr) {
      throw Error(
          document_.place(path, node->source()),
          fmt::format("{}: {} is not a list of tables; [[{}]] is meant", path, describe(*node), path));
    }
    constexpr size_t deepest = 32;
    if (levels_.size() > deepest) {
      throw Error(document_.place(path, node->source()),
                  fmt::format("{}: more than {} tables deep", path, deepest));
    }
    return list->size();
  }

  void enter_item(const FieldInfo& info, size_t index) override {
    const toml::node* list = get(info.name);
    const toml::node* node = list == nullptr ? nullptr : list->as_array()->get(index);
    push(node, fmt::format("{}[{}]", join_key(levels_.back().path, info.name), index));
  }

  void leave_item() override { leave_table(); }

  bool enter_optional(bool set, const FieldInfo& info) override {
    if (info.rule.required) return true;
    know(info.name);
    // A member that is already set keeps its own defaults where the document is silent.
    return set || get(info.name) != nullptr;
  }

  size_t choose(std::span<const char* const> kinds, size_t current, const FieldInfo& info) override {
    FieldChoice choice{kinds, current};
    value(&choice, info);
    levels_.back().kind = fmt::format("{} '{}'", info.name, kinds[choice.index]);
    return choice.index;
  }

 private:
  struct Level {
    const toml::table* table;  // nullptr: the document has none, all is default
    std::string path, place, kind;
    std::vector<std::string> known;
    std::vector<FieldInfo> missing;
    bool absent = false;  // a required table that is not there, which says more than that its keys are not
  };

  // Overridden text fields take what was typed: --set output.name=1 is the string "1".
  template <class T>
  void read(const Entry& entry, T& member) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::filesystem::path>) {
      const auto typed = document_.overrides.find(entry.key);
      std::string text;
      if (typed != document_.overrides.end() && !entry.node.is_string()) {
        text = typed->second;
      } else {
        convert(entry, text);
      }
      if constexpr (std::is_same_v<T, std::filesystem::path>) {
        if (text.find('\0') != std::string::npos) entry.refuse("is not a path");
        if (text.empty() && entry.rule.required) entry.refuse("is empty; a path is meant");
        member = text.empty() || document_.folder.empty() ? std::filesystem::path(text)
                                                          : (document_.folder / text).lexically_normal();
      } else {
        member = std::move(text);
      }
    } else {
      convert(entry, member);
    }
  }

  void push(const toml::node* node, std::string path) {
    if (node != nullptr && !node->is_table()) {
      throw Error(document_.place(path, node->source()),
                  fmt::format("{}: {} is not a table", path, describe(*node)));
    }
    Level level{
        node == nullptr ? nullptr : node->as_table(), std::move(path), document_.name, "", {}, {}, false};
    if (node != nullptr && !level.path.empty()) level.place = document_.place(level.path, node->source());
    levels_.push_back(std::move(level));
  }

  const toml::node* get(std::string_view name) const {
    const toml::table* table = levels_.back().table;
    return table == nullptr ? nullptr : table->get(name);
  }

  void know(const char* name) {
    auto& known = levels_.back().known;
    if (std::find(known.begin(), known.end(), name) == known.end()) known.emplace_back(name);
  }

  const toml::node* lookup(const FieldInfo& info) {
    Level& level = levels_.back();
    know(info.name);
    const toml::node* node = get(info.name);
    if (node == nullptr && info.rule.required) level.missing.push_back(info);
    return node;
  }

  static std::string where(const Level& level) {
    return level.path.empty() ? "at the top level" : fmt::format("in [{}]", level.path);
  }

  void refuse_unknown(const Level& level) const {
    if (level.table == nullptr) return;
    // In the order of the file, so that the first mistake is the one named.
    const toml::key* first = nullptr;
    for (const auto& [key, node] : *level.table) {
      if (std::find(level.known.begin(), level.known.end(), key.str()) != level.known.end()) continue;
      const auto before = [](const toml::key& a, const toml::key& b) {
        const auto p = a.source().begin, q = b.source().begin;
        return p.line != q.line ? p.line < q.line : p.column < q.column;
      };
      if (first == nullptr || before(key, *first)) first = &key;
    }
    if (first == nullptr) return;
    const std::string_view name = first->str();
    const toml::node& node = *level.table->get(name);
    const std::string key = join_key(level.path, name);
    const std::string place = document_.place(key, first->source().begin ? first->source() : node.source());
    const std::string printable = to_toml(name), quoted = printable.substr(1, printable.size() - 2);
    if (node.is_table() && level.path.empty()) {
      throw Error(place, fmt::format("unknown table [{}]{}", quoted, suggestion(name, level.known)));
    }
    const bool near = !nearest(name, level.known).empty();
    const std::string of = near || level.kind.empty() ? "" : fmt::format("; {}", level.kind);
    throw Error(place, fmt::format("unknown key '{}' {}{}{}", quoted, where(level), of,
                                   suggestion(name, level.known)));
  }

  void refuse_missing(const Level& level) const {
    if (level.missing.empty() || level.absent) return;
    const FieldInfo& info = level.missing.front();
    const std::string help = *info.help == '\0' ? "" : fmt::format(" ({})", info.help);
    throw Error(level.place, fmt::format("missing key '{}' {}{}", info.name, where(level), help));
  }

  const Config::Document& document_;
  std::vector<Level> levels_;
};

void Config::visit(const std::function<void(FieldVisitor&)>& fields, std::string_view table) const {
  FieldReader reader(*document_, table);
  fields(reader);
  reader.finish();
}

}  // namespace tweedie
