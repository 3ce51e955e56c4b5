#include "io/fits_cards.h"

#include "tweedie/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace tweedie {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

// What follows "= ": a quoted string, in which '' is a quote, or all up to the slash of the comment
std::string value_of(std::string_view card) {
  std::string_view rest = trimmed(card.substr(10));
  if (rest.empty() || rest[0] != '\'') return std::string(trimmed(rest.substr(0, rest.find('/'))));
  std::string result;
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '\'' && (i + 1 == rest.size() || rest[i + 1] != '\'')) break;
    if (rest[i] == '\'') ++i;
    result += rest[i];
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

// KEYWORDn, the number from 1 to 999
bool is_numbered(std::string_view keyword, std::string_view stem) {
  return keyword.size() > stem.size() && keyword.starts_with(stem) &&
         std::all_of(keyword.begin() + static_cast<std::ptrdiff_t>(stem.size()), keyword.end(),
                     [](char c) { return (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

std::string keyword_of(const std::string& card) {
  return std::string(trimmed(std::string_view(card).substr(0, 8)));
}

FitsHeader parse_fits_header(ByteView bytes, const std::string& place) {
  FitsHeader header;
  for (size_t at = 0;; at += fits_card) {
    if (at + fits_card > bytes.size()) throw Error(place, "truncated: its header has no END");
    const std::string card(reinterpret_cast<const char*>(bytes.data()) + at, fits_card);
    if (!std::all_of(card.begin(), card.end(), [](char c) { return c >= ' ' && c <= '~'; }))
      throw Error(place,
                  fmt::format("card {} of the header holds other than printed ASCII", at / fits_card + 1));
    const std::string keyword = keyword_of(card);
    if (keyword == "END") {
      header.size = (at + fits_card + fits_block - 1) / fits_block * fits_block;
      break;
    }
    if (card.compare(8, 2, "= ") == 0) header.values.emplace(keyword, value_of(card));
    header.cards.push_back(card);
  }
  if (header.size > bytes.size()) throw Error(place, "truncated in the block of its header");
  return header;
}

std::optional<int64_t> FitsHeader::whole(const std::string& keyword, const std::string& place) const {
  const auto found = values.find(keyword);
  if (found == values.end()) return std::nullopt;
  std::string_view text = found->second;
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(place, fmt::format("{} = {}, but a whole number is meant", keyword, one_line(found->second)));
  return value;
}

std::optional<double> FitsHeader::real(const std::string& keyword, const std::string& place) const {
  const auto found = values.find(keyword);
  if (found == values.end()) return std::nullopt;
  std::string text = found->second;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == 'D' || c == 'd'; }, 'E');  // Fortran's
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value))
    throw Error(place,
                fmt::format("{} = {}, but a finite number is meant", keyword, one_line(found->second)));
  return value;
}

std::string FitsHeader::text(const std::string& keyword) const {
  const auto found = values.find(keyword);
  return found == values.end() ? "" : found->second;
}

bool is_structural(const std::string& keyword) {
  constexpr std::array known{"SIMPLE",  "XTENSION", "BITPIX",  "NAXIS", "PCOUNT", "GCOUNT",
                             "EXTEND",  "GROUPS",   "BSCALE",  "BZERO", "BLANK",  "DATAMIN",
                             "DATAMAX", "CHECKSUM", "DATASUM", "BUNIT", "END"};
  return std::find(known.begin(), known.end(), keyword) != known.end() || is_numbered(keyword, "NAXIS");
}

bool is_of_coordinates(const std::string& keyword) {
  constexpr std::array known{"WCSAXES", "LONPOLE", "LATPOLE"};
  constexpr std::array numbered{"CTYPE", "CRVAL", "CRPIX", "CDELT", "CROTA", "CUNIT", "CD", "PC", "PV", "PS"};
  return std::find(known.begin(), known.end(), keyword) != known.end() ||
         std::any_of(numbered.begin(), numbered.end(),
                     [&](const char* stem) { return is_numbered(keyword, stem); });
}

}  // namespace tweedie
