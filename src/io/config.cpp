#include "io/config.h"

#include "io/config_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

namespace tweedie {

namespace {

constexpr size_t max_bytes = 4 << 20;
constexpr int max_dots = 1000;

std::string one_line(std::string_view text) {
  std::string result(text);
  std::replace_if(
      result.begin(), result.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  return result;
}

std::string at(const std::string& name, const toml::source_position& position) {
  return position ? fmt::format("{}:{}:{}", name, position.line, position.column) : name;
}

// Each dot of a dotted key is one more level of tables, all destroyed recursively: bound them.
void require_shallow(std::string_view text, const std::string& name) {
  int line = 1, dots = 0;
  for (const char c : text) {
    if (c == '\n') ++line, dots = 0;
    if (c == '.' && ++dots > max_dots) {
      throw Error(fmt::format("{}:{}:1", name, line),
                  fmt::format("more than {} dots on one line; break it into several", max_dots));
    }
  }
}

toml::table parse_toml(std::string_view text, const std::string& name) {
  if (text.size() > max_bytes)
    throw Error(name, fmt::format("{} bytes; at most {} are meant", text.size(), max_bytes));
  require_shallow(text, name);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw Error(at(name, error.source().begin), one_line(error.description()));
  }
}

bool is_bare_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('.', begin), key.size());
    parts.emplace_back(key.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// The text as a TOML value, or as the string it is.
toml::table parse_value(const std::string& text) {
  if (text.find('\n') == std::string::npos && std::count(text.begin(), text.end(), '.') <= max_dots) {
    try {
      toml::table parsed = toml::parse("value = " + text);
      if (parsed.size() == 1) return parsed;
    } catch (const toml::parse_error&) {
    }
  }
  toml::table result;
  result.insert("value", text);
  return result;
}

void set(toml::table& root, const std::vector<std::string>& parts, toml::table value,
         const std::string& place) {
  toml::table* table = &root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    toml::node* next = table->get(parts[i]);
    if (next == nullptr) next = &table->insert(parts[i], toml::table{}).first->second;
    if (!next->is_table())
      throw Error(place, fmt::format("'{}' is {}, not a table", parts[i], describe(*next)));
    table = next->as_table();
  }
  toml::node& node = *value.get("value");
  node.visit([&](auto& concrete) { table->insert_or_assign(parts.back(), std::move(concrete)); });
}

}  // namespace

std::string describe(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  if (const auto* text = node.as_string()) {
    constexpr size_t longest = 60;
    const std::string& s = text->get();
    if (s.size() <= longest) return to_toml(s);
    size_t cut = longest;
    while ((static_cast<unsigned char>(s[cut]) & 0xC0) == 0x80) --cut;  // not inside a UTF-8 character
    return to_toml(s.substr(0, cut)) + "...";
  }
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  std::ostringstream out;
  node.visit([&](const auto& concrete) {
    if constexpr (toml::is_chronological<decltype(concrete)>) out << concrete.get();
  });
  return out.str();
}

const toml::node* Config::Document::find(std::string_view key) const {
  const toml::node* node = &root;
  for (const std::string& part : split_key(key)) {
    const toml::table* table = node->as_table();
    node = table == nullptr ? nullptr : table->get(part);
    if (node == nullptr) return nullptr;
  }
  return node;
}

std::string Config::Document::override_of(std::string_view key) const {
  for (size_t end = key.size(); end != std::string_view::npos && end > 0;
       end = key.find_last_of(".[", end - 1)) {
    if (overrides.contains(key.substr(0, end))) return std::string(key.substr(0, end));
  }
  return "";
}

std::string Config::Document::place(std::string_view key, const toml::source_region& region) const {
  const std::string from = override_of(key);
  return from.empty() ? at(name, region.begin) : "--set " + from;
}

Config Config::read(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  std::error_code failure;
  const auto status = std::filesystem::status(file, failure);
  if (!std::filesystem::exists(status)) throw Error(file.string(), "no such file; a TOML config is meant");
  if (std::filesystem::is_directory(status)) throw Error(file.string(), "a folder; a TOML config is meant");
  std::ifstream in(file, std::ios::binary);
  std::string text(max_bytes + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in && !in.eof()) throw Error(file.string(), "cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  const auto folder = std::filesystem::absolute(file).parent_path();
  return parse(text, file.string(), overrides, folder);
}

Config Config::parse(std::string_view text, const std::string& name,
                     const std::vector<std::string>& overrides, const std::filesystem::path& folder) {
  auto document = std::make_shared<Document>();
  document->root = parse_toml(text, name);
  document->name = name;
  document->folder = folder;
  for (const std::string& item : overrides) {
    if (!is_utf8(item)) throw Error("--set", "text that is not UTF-8; table.key=value is meant");
    const size_t equals = item.find('=');
    const std::string key = item.substr(0, equals), place = "--set " + one_line(key);
    const auto parts = split_key(key);
    if (equals == std::string::npos) throw Error(place, "no value; table.key=value is meant");
    if (parts.size() > 100 || !std::all_of(parts.begin(), parts.end(), is_bare_key)) {
      throw Error(place, "not a key; table.key=value is meant");
    }
    set(document->root, parts, parse_value(item.substr(equals + 1)), place);
    std::erase_if(document->overrides, [&](const auto& old) { return old.first.starts_with(key + '.'); });
    document->overrides[key] = item.substr(equals + 1);
  }
  return Config(std::move(document));
}

bool Config::has(std::string_view key) const {
  return document_->find(key) != nullptr;
}

std::string Config::place(std::string_view key) const {
  const toml::node* node = document_->find(key);
  return node == nullptr ? document_->name : document_->place(key, node->source());
}

const std::string& Config::name() const {
  return document_->name;
}

}  // namespace tweedie
