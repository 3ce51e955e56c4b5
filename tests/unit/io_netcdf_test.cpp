#include "io/netcdf.h"

#include "support/format_cases.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <bit>
#include <cmath>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

struct Big {
  Bytes bytes;
  Big& whole(uint64_t value, size_t size = 4) {
    for (size_t i = size; i-- > 0;) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
    return *this;
  }
  Big& real(double value) { return whole(std::bit_cast<uint64_t>(value), 8); }
  Big& single(float value) { return whole(std::bit_cast<uint32_t>(value)); }
  Big& pad() {
    while (bytes.size() % 4 != 0) bytes.push_back(0);
    return *this;
  }
};

// Monthly winds in small: u(time, lat, lon) and v alike as scaled int16 in records, with the axes'
// coordinates
struct Winds {
  uint8_t version = 1;
  uint64_t records = 2;
  bool second = true;  // v too
  int16_t fill = -99;
  bool is_unsigned = false;  // u and v, as _Unsigned says
  double degrees = 1;        // scale_factor of lon
  std::vector<int16_t> numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, -99, 15, 16, 17, 18};

  Big& count(Big& to, uint64_t value) const { return to.whole(value, version == 5 ? 8 : 4); }
  void name(Big& to, const std::string& text) const {
    count(to, text.size());
    to.bytes.insert(to.bytes.end(), text.begin(), text.end());
    to.pad();
  }
  void text(Big& to, const std::string& attribute, const std::string& value) const {
    name(to, attribute);
    to.whole(2);
    name(to, value);
  }
  Big header(uint64_t begin, uint64_t record) const {
    Big to;
    to.bytes = {'C', 'D', 'F', version};
    count(to, records);
    count(to.whole(10), 3);
    name(to, "time");
    count(to, 0);
    name(to, "lat");
    count(to, 3);
    name(to, "lon");
    count(to, 3);
    count(to.whole(12), 1);
    text(to, "title", "winds");
    count(to.whole(11), second ? 5 : 4);
    const auto variable = [&](const std::string& called, const std::vector<uint64_t>& axes,
                              const std::string& units, uint32_t type, uint64_t at) {
      name(to, called);
      count(to, axes.size());
      for (const uint64_t axis : axes) count(to, axis);
      const bool scaled = type == 3, coarse = called == "lon" && degrees != 1, timed = called == "time";
      count(to.whole(12), 1 + (scaled ? 3 : 0) + (scaled && is_unsigned) + coarse + timed);
      text(to, "units", units);
      if (timed) text(to, "calendar", "noleap");
      if (scaled && is_unsigned) text(to, "_Unsigned", "true");
      if (coarse) {
        name(to, "scale_factor");
        count(to.whole(6), 1).real(degrees);
      }
      if (scaled) {
        name(to, "scale_factor");
        count(to.whole(6), 1).real(0.5);
        name(to, "add_offset");
        count(to.whole(6), 1).real(10);
        name(to, "_FillValue");
        count(to.whole(3), 1).whole(static_cast<uint16_t>(fill), 2).pad();
      }
      to.whole(type);
      count(to, 0);
      to.whole(at, version == 1 ? 4 : 8);
    };
    variable("lat", {1}, "degrees_north", 5, begin);
    variable("lon", {2}, "degrees_east", 5, begin + 12);
    variable("time", {0}, "hours", 6, record);
    variable("u", {0, 1, 2}, "m/s", 3, record + 8);
    if (second) variable("v", {0, 1, 2}, "m/s", 3, record + 28);
    return to;
  }
  Bytes bytes() const {
    const uint64_t begin = header(0, 0).bytes.size();
    Big to = header(begin, begin + 24);
    for (const float lat : {-2.5F, 0.0F, 2.5F}) to.single(lat);
    for (const float lon : {0.0F, 5.0F, 10.0F}) to.single(lon);
    for (size_t record = 0; record < 2; ++record) {
      to.real(100.0 + 7 * record);
      for (int which = 0; which < (second ? 2 : 1); ++which) {
        for (size_t i = 0; i < 9; ++i)
          to.whole(static_cast<uint16_t>(numbers[9 * record + i] *
                                         (which == 0 || numbers[9 * record + i] < 0 ? 1 : 2)),
                   2);
        to.pad();
      }
    }
    return to.bytes;
  }
};

ArrayData read(const Winds& winds, const std::string& variable) {
  return parse_netcdf(winds.bytes(), variable, "x.nc");
}
std::string refusal(const Winds& winds, const std::string& variable = "u") {
  return message_of(winds.bytes(), [&](ByteView bytes) { parse_netcdf(bytes, variable, "x.nc"); });
}

TEST(IoNetcdf, RecordsAreTakenApartAndNumbersScaled) {
  for (const uint8_t version : {1, 2, 5}) {
    const Winds winds{.version = version};
    const ArrayData u = read(winds, "u"), v = read(winds, "v");
    ASSERT_EQ(u.values.sizes(), at::IntArrayRef({2, 3, 3}));
    EXPECT_EQ(u.values.scalar_type(), at::kFloat);
    EXPECT_EQ(u.values[1][0][2].item<float>(), 10 + 12 * 0.5F);
    EXPECT_EQ(v.values[1][0][2].item<float>(), 10 + 24 * 0.5F);
    EXPECT_EQ(u.meta.units, "m/s");
    EXPECT_EQ(u.meta.dtype, "int16");
    EXPECT_EQ(u.meta.spacing, (std::vector<double>{2.5, 5}));
    EXPECT_EQ(u.meta.spacing_units, "degrees");
    EXPECT_TRUE(at::equal(read(winds, "time").values, at::tensor({100.0, 107.0}, at::kDouble)));
  }
}

TEST(IoNetcdf, WhatIsMissingIsNaN) {
  const Tensor u = read({}, "u").values;
  EXPECT_TRUE(std::isnan(u[1][1][1].item<float>()));
  EXPECT_EQ(u.isnan().sum().item<int64_t>(), 1);
  EXPECT_FALSE(read({.fill = -98}, "u").values.isnan().any().item<bool>());
}

TEST(IoNetcdf, UnsignedNumbersInASignedType) {
  const ArrayData u = read({.is_unsigned = true, .numbers = std::vector<int16_t>(18, -2)}, "u");
  EXPECT_EQ(u.meta.dtype, "uint16");
  EXPECT_EQ(u.values[0][0][0].item<float>(), 10 + 65534 * 0.5F);
  EXPECT_TRUE(std::isnan(read({.is_unsigned = true}, "u").values[1][1][1].item<float>()));
}

TEST(IoNetcdf, CoordinatesAreScaledToo) {
  EXPECT_EQ(read({.degrees = 0.5}, "u").meta.spacing, (std::vector<double>{2.5, 2.5}));
}

TEST(IoNetcdf, TheOnlyVariableNeedsNoName) {
  EXPECT_TRUE(at::equal(read({.second = false}, "").values[0], read({}, "u").values[0]));
  EXPECT_THAT(refusal({}, ""), AllOf(HasSubstr("several variables"), HasSubstr("u, v")));
  EXPECT_THAT(refusal({}, "w"), AllOf(HasSubstr("no variable 'w'"), HasSubstr("u, v")));
}

TEST(IoNetcdf, ACountOfRecordsThatIsNotKnownIsThatOfTheFile) {
  EXPECT_EQ(read({.records = 0xFFFFFFFF}, "u").values.size(0), 2);
  EXPECT_THAT(refusal({.records = 3}), HasSubstr("truncated"));
  EXPECT_EQ(read({.records = 1}, "u").values.size(0), 1);
  EXPECT_THAT(refusal({.records = 0x7FFFFFFF}), HasSubstr("truncated"));
}

TEST(IoNetcdf, IsWrittenWithItsAxes) {
  const TemporaryFolder folder;
  write_text(folder / "u.nc", [] {
    const Bytes bytes = Winds{.fill = 1}.bytes();
    return std::string(bytes.begin(), bytes.end());
  }());
  const ArrayData first = read_array_data((folder / "u.nc").string() + ":v");
  ArrayMeta meta = first.meta;
  write_like(folder / "mean.nc", first.values[0], meta);
  const ArrayData again = read_array_data(folder / "mean.nc");
  EXPECT_TRUE(at::equal(again.values, first.values[0]));
  EXPECT_EQ(again.meta.dtype, "int16");
  EXPECT_EQ(again.meta.spacing, (std::vector<double>{2.5, 5}));
  EXPECT_EQ(again.meta.spacing_units, "degrees");
  EXPECT_EQ(again.meta.units, "m/s");
  // Whole, with its calendar
  write_like(folder / "whole.nc", first.values, meta);
  const Bytes written = bytes_at(folder / "whole.nc");
  EXPECT_THAT(std::string(written.begin(), written.end()), AllOf(HasSubstr("noleap"), HasSubstr("hours")));
  write_like((folder / "named.nc").string() + ":wind", first.values[0], meta);
  EXPECT_TRUE(at::equal(read_array((folder / "named.nc").string() + ":wind"), first.values[0]));
  // On another grid without its coordinates
  write_like(folder / "part.nc", first.values[0].slice(1, 0, 2), meta);
  EXPECT_EQ(read_array_data(folder / "part.nc").meta.spacing, std::vector<double>{});
}

TEST(IoNetcdf, BrokenFilesAreRefused) {
  Bytes whole = Winds{}.bytes();
  whole.resize(whole.size() - 2);  // what fills up the last record need not be there
  expect_every_truncation_refused(whole, [](ByteView bytes) { parse_netcdf(bytes, "v", "x.nc"); });
  EXPECT_GE(refused_mutants(whole, 400, [](ByteView bytes) { parse_netcdf(bytes, "v", "x.nc"); }), 50);
  EXPECT_THAT(refusal({.version = 7}), HasSubstr("version 7"));
  EXPECT_THAT(message_of(to_bytes("GIF\x01 and more"), [](ByteView b) { parse_netcdf(b, "", "x.nc"); }),
              HasSubstr("does not begin with CDF"));
  EXPECT_THAT(message_of([] { encode_netcdf(at::scalar_tensor(1.0), {}, "", "x.nc"); }),
              HasSubstr("1 to 16"));
}

}  // namespace
}  // namespace tweedie::test
