#include "io/fits.h"

#include "core/shape.h"
#include "io/fits_cards.h"
#include "io/numbers.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

struct Unit {
  FitsHeader header;
  Shape shape;  // (..., NAXIS2, NAXIS1); empty: no numbers
  const NumberType* type;
  size_t data;     // where its numbers begin
  uint64_t bytes;  // how many there are, with a heap
  bool image;
};

const NumberType* type_of(int64_t bits) {
  switch (bits) {
    case 8:
      return find_number_type("uint8");
    case 16:
      return find_number_type("int16");
    case 32:
      return find_number_type("int32");
    case 64:
      return find_number_type("int64");
    case -32:
      return find_number_type("float32");
    case -64:
      return find_number_type("float64");
    default:
      return nullptr;
  }
}

Unit read_unit(ByteView bytes, size_t start, const std::string& place) {
  Unit unit;
  unit.header = parse_fits_header(bytes.subspan(start), place);
  const FitsHeader& h = unit.header;
  const int64_t bits = h.whole("BITPIX", place).value_or(0), axes = h.whole("NAXIS", place).value_or(-1);
  unit.type = type_of(bits);
  if (unit.type == nullptr)
    throw Error(place, fmt::format("BITPIX = {}, but 8, 16, 32, 64, -32 or -64 is meant", bits));
  if (axes < 0 || axes > 16) throw Error(place, fmt::format("NAXIS = {}, but 0 to 16 are read", axes));
  for (int64_t axis = axes; axis > 0; --axis) {
    const std::string keyword = fmt::format("NAXIS{}", axis);
    const int64_t size = h.whole(keyword, place).value_or(-1);
    if (size < 0)
      throw Error(place, fmt::format("{} = {}, but a whole number from 0 is meant", keyword, size));
    unit.shape.push_back(size);
  }
  const int64_t heap = h.whole("PCOUNT", place).value_or(0), groups = h.whole("GCOUNT", place).value_or(1);
  if (heap < 0 || groups != 1 || heap > (int64_t{1} << 60))
    throw Error(place, fmt::format("PCOUNT = {}, GCOUNT = {}, but random groups are not read", heap, groups));
  unit.bytes = unit.shape.empty() ? 0 : bytes_of(unit.shape, unit.type->size, place);
  if (unit.bytes > (uint64_t{1} << 62)) throw Error(place, "is larger than any memory");
  unit.bytes += static_cast<uint64_t>(heap) * unit.type->size;
  unit.data = start + h.size;
  if (unit.bytes > bytes.size() - unit.data) {
    throw Error(place,
                fmt::format("truncated: {} of data, but shape {} takes {}",
                            count_of_bytes(bytes.size() - unit.data), to_string(unit.shape), unit.bytes));
  }
  const std::string kind = h.text("XTENSION");
  unit.image = unit.bytes > 0 && heap == 0 && (start == 0 ? kind.empty() : kind == "IMAGE");
  return unit;
}

Unit find_unit(ByteView bytes, std::optional<int64_t> wanted, const std::string& place) {
  size_t start = 0;
  int64_t count = 0;
  bool compressed = false;
  for (; start < bytes.size(); ++count) {
    // What follows the last unit may be anything but a header.
    if (count > 0 && (bytes.size() - start < fits_block || bytes[start] != 'X')) break;
    Unit unit = read_unit(bytes, start, fmt::format("{}[{}]", place, count));
    compressed = compressed || unit.header.text("ZIMAGE") == "T";
    if (wanted && count == *wanted) {
      if (unit.image) return unit;
      throw Error(fmt::format("{}[{}]", place, count), unit.header.text("ZIMAGE") == "T"
                                                           ? "a compressed image; unpack it first (funpack)"
                                                           : "holds no image");
    }
    if (!wanted && unit.image) return unit;
    const uint64_t padded = (unit.bytes + fits_block - 1) / fits_block * fits_block;
    start = unit.data + std::min<uint64_t>(padded, bytes.size() - unit.data);
  }
  if (wanted) throw Error(place, fmt::format("has no unit {}: there are {}, counted from 0", *wanted, count));
  throw Error(place, compressed ? "a compressed image; unpack it first (funpack)" : "holds no image");
}

void read_coordinates(const FitsHeader& header, ArrayMeta& meta, const std::string& place) {
  meta.units = header.text("BUNIT");
  const auto last = static_cast<int64_t>(std::min<size_t>(3, meta.shape.size()));
  for (int64_t axis = last; axis > 0; --axis) {
    const auto step = header.real(fmt::format("CDELT{}", axis), place);
    if (!step) meta.spacing.clear();
    if (!step) break;
    meta.spacing.push_back(std::abs(*step));
  }
  if (!meta.spacing.empty()) meta.spacing_units = header.text("CUNIT1");
  for (int64_t axis = 1; axis <= last; ++axis) {
    const std::string kind = header.text(fmt::format("CTYPE{}", axis));
    meta.orientation += (axis > 1 ? " " : "") + (kind.empty() ? "?" : kind);
  }
  if (meta.orientation.find_first_not_of("? ") == std::string::npos) meta.orientation.clear();
}

// Pixels without a value are marked by one number.
void require_none_blank(ByteView data, const Unit& unit, int64_t blank, const std::string& place) {
  const size_t item = unit.type->size;
  uint64_t count = 0;
  for (size_t at = 0; at + item <= data.size(); at += item) {
    uint64_t bits = 0;
    for (size_t i = 0; i < item; ++i) bits = bits << 8 | data[at + i];
    const auto shift = static_cast<int>(64 - 8 * item);
    const int64_t value =
        item == 1 ? static_cast<int64_t>(bits) : static_cast<int64_t>(bits << shift) >> shift;
    count += value == blank;
  }
  if (count > 0)
    throw Error(place,
                fmt::format("{} pixels are blank (BLANK = {}); fill or crop them first", count, blank));
}

}  // namespace

bool is_fits(ByteView bytes) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with("SIMPLE  =");
}

ArrayData parse_fits(ByteView bytes, std::optional<int64_t> wanted, const std::string& place) {
  if (!is_fits(bytes)) throw Error(place, "is no FITS file: it does not begin with SIMPLE  =");
  const Unit unit = find_unit(bytes, wanted, place);
  const FitsHeader& header = unit.header;
  ArrayData result;
  ArrayMeta& meta = result.meta;
  meta.format = FileFormat::fits;
  meta.dtype = unit.type->name;
  meta.shape = unit.shape;
  meta.slope = header.real("BSCALE", place).value_or(1);
  meta.intercept = header.real("BZERO", place).value_or(0);
  read_coordinates(header, meta, place);
  for (const std::string& card : header.cards) {
    if (!is_structural(keyword_of(card))) meta.header += card;
  }
  const ByteView data = bytes.subspan(unit.data, unit.bytes);
  if (const auto blank = header.whole("BLANK", place); blank && c10::isIntegralType(unit.type->stored, false))
    require_none_blank(data, unit, *blank, place);
  const bool plain = meta.slope == 1 && meta.intercept == 0;
  if (plain) {
    result.values = numbers_from(data, *unit.type, unit.shape, true);
  } else if (meta.slope == 1 && meta.dtype == "int16" && meta.intercept == 32768) {
    // As the standard stores unsigned numbers: the sign bit turned
    Bytes turned(data.begin(), data.end());
    for (size_t i = 0; i < turned.size(); i += 2) turned[i] ^= 0x80;
    meta.dtype = "uint16";
    meta.slope = 1;
    meta.intercept = 0;
    result.values = numbers_from(turned, *find_number_type("uint16"), unit.shape, true);
  } else {
    result.values = floats_from(data, *unit.type, unit.shape, true, meta.slope, meta.intercept);
  }
  return result;
}

}  // namespace tweedie
