#include "io/tiff.h"

#include "core/shape.h"
#include "io/numbers.h"
#include "io/tensors.h"
#include "io/tiff_codec.h"

#include <cmath>
#include <cstring>

namespace tweedie {

namespace {

// What all pages share
struct Page {
  uint32_t width = 0, height = 0;
  uint16_t channels = 1, bits = 8, format = SAMPLEFORMAT_UINT, planar = PLANARCONFIG_CONTIG, photometric = 1;
  bool operator==(const Page&) const = default;

  const NumberType& type(const std::string& place) const {
    const char* kind = format == SAMPLEFORMAT_UINT ? "uint" : format == SAMPLEFORMAT_INT ? "int" : "float";
    const NumberType* found =
        format <= SAMPLEFORMAT_IEEEFP ? find_number_type(fmt::format("{}{}", kind, bits)) : nullptr;
    if (found == nullptr) {
      throw Error(place,
                  fmt::format("samples of {} bits and format {}, but integers of 8, 16 and 32 bits and "
                              "floats of 32 and 64 are read",
                              bits, format));
    }
    return *found;
  }
};

Page read_page(TIFF* file, const std::string& place) {
  Page page;
  TIFFGetField(file, TIFFTAG_IMAGEWIDTH, &page.width);
  TIFFGetField(file, TIFFTAG_IMAGELENGTH, &page.height);
  TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &page.channels);
  TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &page.bits);
  TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, &page.format);
  TIFFGetFieldDefaulted(file, TIFFTAG_PLANARCONFIG, &page.planar);
  TIFFGetField(file, TIFFTAG_PHOTOMETRIC, &page.photometric);
  uint16_t compression = COMPRESSION_NONE;
  TIFFGetFieldDefaulted(file, TIFFTAG_COMPRESSION, &compression);
  if (page.width == 0 || page.height == 0) throw Error(place, "a page without pixels");
  if (page.channels < 1 || page.channels > 4)
    throw Error(place, fmt::format("{} channels, but 1 to 4 are read", page.channels));
  if (page.photometric == PHOTOMETRIC_YCBCR && compression == COMPRESSION_JPEG) {
    TIFFSetField(file, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    page.photometric = PHOTOMETRIC_RGB;
  }
  if (page.photometric > PHOTOMETRIC_RGB) {
    throw Error(place,
                fmt::format("colours of kind {}, but gray (0, 1) and RGB (2) are read", page.photometric));
  }
  return page;
}

// The pixels of a strip or tile go where they belong in (H, W, C), or (C, H, W) where planes are apart.
struct Target {
  uint8_t* data;
  size_t pixel, width, height;  // bytes of a pixel; pixels

  void put(const uint8_t* from, size_t from_width, size_t x, size_t y, size_t w, size_t h) const {
    for (size_t row = 0; row < h; ++row)
      std::memcpy(data + ((y + row) * width + x) * pixel, from + row * from_width * pixel, w * pixel);
  }
};

// Strips and tiles alike: blocks of pixels
void read_plane(TIFF* file, const Target& target, uint16_t plane, const TiffCodec& codec,
                const std::string& place) {
  uint32_t block_width = static_cast<uint32_t>(target.width),
           block_height = static_cast<uint32_t>(target.height);
  const bool tiled = TIFFIsTiled(file) != 0;
  if (tiled) {
    TIFFGetField(file, TIFFTAG_TILEWIDTH, &block_width);
    TIFFGetField(file, TIFFTAG_TILELENGTH, &block_height);
  } else {
    TIFFGetFieldDefaulted(file, TIFFTAG_ROWSPERSTRIP, &block_height);
    block_height = std::min(block_height, static_cast<uint32_t>(target.height));
  }
  const auto wrong = [&](const std::string& what) { throw Error(place, "can't be read as TIFF: " + what); };
  if (block_width == 0 || block_height == 0) wrong("blocks without pixels");
  const tmsize_t size = tiled ? TIFFTileSize(file) : TIFFStripSize(file);
  const uint64_t needed = uint64_t{block_width} * block_height * target.pixel;
  if (size <= 0 || static_cast<uint64_t>(size) != needed) wrong("blocks of an odd size");
  // A tile may be larger than the image, but not by much more than the file can hold.
  if (needed / 32768 > codec.size()) wrong("truncated");
  Bytes block(needed);
  for (size_t y = 0; y < target.height; y += block_height) {
    for (size_t x = 0; x < target.width; x += block_width) {
      const size_t w = std::min<size_t>(block_width, target.width - x);
      const size_t h = std::min<size_t>(block_height, target.height - y);
      const auto at_x = static_cast<uint32_t>(x), at_y = static_cast<uint32_t>(y);
      const auto wanted = static_cast<tmsize_t>(tiled ? needed : h * block_width * target.pixel);
      const tmsize_t got =
          tiled ? TIFFReadEncodedTile(file, TIFFComputeTile(file, at_x, at_y, 0, plane), block.data(), wanted)
                : TIFFReadEncodedStrip(file, TIFFComputeStrip(file, at_y, plane), block.data(), wanted);
      if (got != wanted) wrong(got < 0 ? codec.message : "truncated");
      target.put(block.data(), block_width, x, y, w, h);
    }
  }
}

// (C, H, W) as stored
Tensor read_pixels(TIFF* file, const Page& page, const NumberType& type, const TiffCodec& codec,
                   const std::string& place) {
  const bool apart = page.planar == PLANARCONFIG_SEPARATE;
  const Shape planes{page.channels, page.height, page.width}, pixels{page.height, page.width, page.channels};
  Bytes data(bytes_of(planes, type.size, place));
  const size_t pixel = apart ? type.size : type.size * page.channels;
  const uint16_t planes_apart = apart ? page.channels : uint16_t{1};
  for (uint16_t plane = 0; plane < planes_apart; ++plane) {
    read_plane(file, {data.data() + plane * pixel * page.width * page.height, pixel, page.width, page.height},
               plane, codec, place);
  }
  const Tensor x = numbers_from(data, type, apart ? planes : pixels, false);
  return apart ? x : transposed(x, {2, 0, 1});
}

void read_resolution(TIFF* file, ArrayMeta& meta) {
  float across = 0, down = 0;
  uint16_t unit = RESUNIT_INCH, orientation = ORIENTATION_TOPLEFT;
  TIFFGetField(file, TIFFTAG_XRESOLUTION, &across);
  TIFFGetField(file, TIFFTAG_YRESOLUTION, &down);
  TIFFGetFieldDefaulted(file, TIFFTAG_RESOLUTIONUNIT, &unit);
  TIFFGetFieldDefaulted(file, TIFFTAG_ORIENTATION, &orientation);
  const char* description = nullptr;
  TIFFGetField(file, TIFFTAG_IMAGEDESCRIPTION, &description);
  if (!(std::isfinite(across) && std::isfinite(down) && across >= 0 && down >= 0)) across = down = 0;
  const double mm = unit == RESUNIT_INCH ? 25.4 : unit == RESUNIT_CENTIMETER ? 10 : 0;
  if (mm > 0 && across > 0 && down > 0) {
    meta.spacing = {mm / down, mm / across};
    meta.spacing_units = "mm";
  }
  meta.header =
      fmt::format("{} {} {} {}\n{}", across, down, unit, orientation, description ? description : "");
}

}  // namespace

bool is_tiff(ByteView bytes) {
  if (bytes.size() < 4) return false;
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), 4);
  using namespace std::string_view_literals;
  return start == "II\x2a\0"sv || start == "MM\0\x2a"sv || start == "II\x2b\0"sv || start == "MM\0\x2b"sv;
}

ArrayData parse_tiff(ByteView bytes, const std::string& place, uint64_t limit) {
  TiffCodec codec;
  codec.input = bytes;
  const TiffPtr file = tiff::open(codec, "rm", std::max<uint64_t>(uint64_t{1} << 20, bytes.size() * 32768));
  if (!file) throw Error(place, "can't be read as TIFF: " + codec.message);
  const Page first = read_page(file.get(), place);
  const NumberType& type = first.type(place);
  ArrayData result;
  read_resolution(file.get(), result.meta);
  std::vector<Tensor> pages;
  uint64_t total = 0;
  do {
    const Page page = read_page(file.get(), place);
    if (page != first) {
      throw Error(place,
                  fmt::format("page {} is of another size or kind than the first; equal pages are meant",
                              pages.size() + 1));
    }
    const uint64_t claimed = bytes_of({first.channels, first.height, first.width}, type.size, place);
    total += claimed;
    if (claimed / 32768 > bytes.size())
      throw Error(place, fmt::format("truncated: {}, too few for {} x {} pixels",
                                     count_of_bytes(bytes.size()), first.width, first.height));
    if (total > limit)
      throw Error(place, fmt::format("unpacks to more than {}", count_of_bytes(limit)), ErrorKind::resources);
    pages.push_back(read_pixels(file.get(), first, type, codec, place));
  } while (TIFFReadDirectory(file.get()) != 0);

  ArrayMeta& meta = result.meta;
  meta.format = FileFormat::tiff;
  meta.dtype = type.name;
  if (type.name == "uint8") meta.white = 255;
  if (type.name == "uint16") meta.white = 65535;
  for (Tensor& page : pages) {
    if (first.photometric == PHOTOMETRIC_MINISWHITE && meta.white == 255) {
      auto* values = static_cast<uint8_t*>(page.data_ptr());
      std::transform(values, values + page.numel(), values, [](uint8_t v) { return uint8_t(255 - v); });
    }
    if (type.name == "uint16") {
      const bool negative = first.photometric == PHOTOMETRIC_MINISWHITE;
      page = converted<float, int32_t>(page, at::kFloat);
      auto* values = static_cast<float*>(page.data_ptr());
      if (negative) std::transform(values, values + page.numel(), values, [](float v) { return 65535 - v; });
    }
  }
  result.values = pages.size() == 1 ? pages[0] : stacked(pages);
  meta.shape = result.values.sizes().vec();
  return result;
}

}  // namespace tweedie
