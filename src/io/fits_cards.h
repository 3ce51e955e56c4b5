#pragma once
// The header of a FITS unit: cards "KEYWORD = value / comment" of 80 characters.

#include "io/bytes.h"

#include <map>
#include <optional>

namespace tweedie {

inline constexpr size_t fits_block = 2880, fits_card = 80;

struct FitsHeader {
  std::vector<std::string> cards;             // as they stand, without END
  std::map<std::string, std::string> values;  // of the first card of each keyword; strings without quotes
  size_t size = 0;                            // bytes, whole blocks

  std::optional<int64_t> whole(const std::string& keyword, const std::string& place) const;
  std::optional<double> real(const std::string& keyword, const std::string& place) const;
  std::string text(const std::string& keyword) const;  // "" without
};

// place: for errors, with the number of the unit
FitsHeader parse_fits_header(ByteView bytes, const std::string& place);

// Whether the keyword says how the array is stored, which the writer decides anew
bool is_structural(const std::string& keyword);
// Whether it is of the world coordinates, which hold on one grid only
bool is_of_coordinates(const std::string& keyword);
std::string keyword_of(const std::string& card);

}  // namespace tweedie
