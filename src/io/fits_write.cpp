#include "core/shape.h"
#include "io/fits.h"
#include "io/fits_cards.h"
#include "io/numbers.h"

#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

class Cards {
 public:
  void add(std::string card) {
    card.resize(fits_card, ' ');
    text_ += card;
  }
  template <class Number>
  void number(const std::string& keyword, Number value) {
    add(fmt::format("{:<8}= {:>20}", keyword, value));
  }
  void logical(const std::string& keyword, bool value) { number(keyword, value ? "T" : "F"); }
  void text(const std::string& keyword, const std::string& value) {
    std::string quoted;
    for (const char c : value.substr(0, 60)) quoted += c == '\'' ? "''" : std::string(1, c);
    add(fmt::format("{:<8}= '{:<8}'", keyword, quoted));
  }
  std::string padded() {
    add("END");
    text_.resize((text_.size() + fits_block - 1) / fits_block * fits_block, ' ');
    return text_;
  }

 private:
  std::string text_;
};

int bits_of(const NumberType& type) {
  const int bits = 8 * static_cast<int>(type.size);
  return type.name[0] == 'f' ? -bits : bits;
}

}  // namespace

Bytes encode_fits(const Tensor& x, const ArrayMeta& meta, const std::string& place) {
  if (x.dim() < 1 || x.dim() > 16 || x.numel() == 0 || x.is_complex()) {
    throw Error(place, fmt::format("{} of shape {}, but a FITS image has 1 to 16 axes of real numbers",
                                   toString(x.scalar_type()), to_string(x.sizes())));
  }
  StoredNumbers numbers = stored_numbers(x, meta, true);
  const bool is_unsigned = numbers.type->name == "uint16";
  if (is_unsigned) {  // the sign bit turned
    for (size_t i = 0; i < numbers.bytes.size(); i += 2) numbers.bytes[i] ^= 0x80;
    numbers.intercept = 32768;
  } else if (numbers.type->name == "int8" || numbers.type->name == "uint32") {
    ArrayMeta other = meta;
    other.dtype = numbers.type->name == "int8" ? "int16" : "int64";
    numbers = stored_numbers(x, other, true);
  }
  const bool kept = meta.format == FileFormat::fits && !meta.header.empty(),
             on_grid = on_grid_of(meta, x.sizes());
  Cards cards;
  cards.logical("SIMPLE", true);
  cards.number("BITPIX", is_unsigned ? 16 : bits_of(*numbers.type));
  cards.number("NAXIS", x.dim());
  for (int64_t axis = 1; axis <= x.dim(); ++axis)
    cards.number(fmt::format("NAXIS{}", axis), x.size(x.dim() - axis));
  if (numbers.slope != 1 || numbers.intercept != 0) {
    cards.number("BSCALE", fmt::format("{:.17G}", numbers.slope));
    cards.number("BZERO", fmt::format("{:.17G}", numbers.intercept));
  }
  if (!meta.units.empty()) cards.text("BUNIT", meta.units);
  if (kept) {
    for (size_t at = 0; at + fits_card <= meta.header.size(); at += fits_card) {
      const std::string card = meta.header.substr(at, fits_card);
      if (on_grid || !is_of_coordinates(keyword_of(card))) cards.add(card);
    }
  } else if (on_grid) {
    const size_t n = meta.spacing.size();
    for (size_t i = 0; i < n; ++i) {
      if (meta.spacing[n - 1 - i] > 0)
        cards.number(fmt::format("CDELT{}", i + 1), fmt::format("{:.17G}", meta.spacing[n - 1 - i]));
      if (!meta.spacing_units.empty()) cards.text(fmt::format("CUNIT{}", i + 1), meta.spacing_units);
    }
  }
  const std::string header = cards.padded();
  Bytes result(header.begin(), header.end());
  result.insert(result.end(), numbers.bytes.begin(), numbers.bytes.end());
  result.resize((result.size() + fits_block - 1) / fits_block * fits_block);
  return result;
}

}  // namespace tweedie
