// How configs speak: numbers and strings in TOML, rules in words, and the word that was probably meant.

#include "io/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace tweedie {

namespace {

// Edit distance with swaps of neighbours (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

// Length of the UTF-8 character at the front, 0 when it is none.
size_t utf8_length(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xC2 ? 0
                        : lead < 0xE0 ? 2
                        : lead < 0xF0 ? 3
                        : lead < 0xF5 ? 4
                                      : 0;
  if (length > s.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (length < 3) return length;
  const unsigned char next = byte(1);
  const bool bad = (lead == 0xE0 && next < 0xA0) || (lead == 0xED && next > 0x9F) ||
                   (lead == 0xF0 && next < 0x90) ||
                   (lead == 0xF4 && next > 0x8F);  // overlong, surrogate, beyond U+10FFFF
  return bad ? 0 : length;
}

}  // namespace

std::string join_key(std::string_view table, std::string_view name) {
  return table.empty() ? std::string(name) : fmt::format("{}.{}", table, name);
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t least = 0;
  for (const std::string& candidate : candidates) {
    const size_t longest = std::max(word.size(), candidate.size());
    if (longest > 200) continue;
    const size_t d = distance(word, candidate);
    const bool near = d < longest && d <= std::max<size_t>(1, longest / 3);
    if (near && (best.empty() || d < least)) best = candidate, least = d;
  }
  return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates, bool both) {
  const std::string near = nearest(word, candidates);
  std::string result = near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
  if (candidates.empty()) return "; none is known here";
  if (near.empty()) return fmt::format("; known: {}", fmt::join(candidates, ", "));
  return both ? fmt::format("{} (known: {})", result, fmt::join(candidates, ", ")) : result;
}

std::string to_toml(double value) {
  if (!std::isfinite(value))
    throw Error("config", fmt::format("{} cannot be written; a finite number is meant", value));
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string to_toml(std::string_view text) {
  std::string result = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text.substr(i));
    if (length == 0) throw Error("config", "text that is not UTF-8 cannot be written");
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      result += {'\\', static_cast<char>(c)};
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (c < 0x20 || c == 0x7F) {
      result += fmt::format("\\u{:04X}", c);
    } else {
      result += text.substr(i, length);
    }
    i += length;
  }
  return result + '"';
}

std::string to_words(const FieldRule& rule) {
  const bool low = std::isfinite(rule.min), high = std::isfinite(rule.max);
  if (low && high) {
    return fmt::format("in {}{}, {}{}", rule.open_min ? '(' : '[', rule.min, rule.max,
                       rule.open_max ? ')' : ']');
  }
  if (low) return fmt::format("{} {}", rule.open_min ? ">" : ">=", rule.min);
  if (high) return fmt::format("{} {}", rule.open_max ? "<" : "<=", rule.max);
  return "";
}

}  // namespace tweedie
