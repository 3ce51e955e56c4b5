#include "core/shape.h"
#include "io/numbers.h"
#include "io/tiff.h"
#include "io/tiff_codec.h"

#include <ATen/ATen.h>

#include <sstream>

namespace tweedie {

namespace {

struct Tags {
  float across = 0, down = 0;
  uint16_t unit = RESUNIT_NONE, orientation = ORIENTATION_TOPLEFT;
  std::string description;
};

Tags tags_of(const ArrayMeta& meta) {
  Tags tags;
  if (meta.format == FileFormat::tiff && !meta.header.empty()) {
    const size_t end = meta.header.find('\n');
    std::istringstream(meta.header.substr(0, end)) >> tags.across >> tags.down >> tags.unit >>
        tags.orientation;
    if (end != std::string::npos) tags.description = meta.header.substr(end + 1);
  } else if (const size_t n = meta.spacing.size(); n >= 2 && meta.spacing_units == "mm") {
    if (meta.spacing[n - 1] > 0) tags.across = static_cast<float>(10 / meta.spacing[n - 1]);
    if (meta.spacing[n - 2] > 0) tags.down = static_cast<float>(10 / meta.spacing[n - 2]);
    tags.unit = RESUNIT_CENTIMETER;
  }
  return tags;
}

void write_page(TIFF* file, ByteView pixels, const Shape& shape, const NumberType& type, const Tags& tags) {
  const auto channels = static_cast<uint32_t>(shape[0]), height = static_cast<uint32_t>(shape[1]);
  const auto width = static_cast<uint32_t>(shape[2]);
  TIFFSetField(file, TIFFTAG_IMAGEWIDTH, width);
  TIFFSetField(file, TIFFTAG_IMAGELENGTH, height);
  TIFFSetField(file, TIFFTAG_SAMPLESPERPIXEL, channels);
  TIFFSetField(file, TIFFTAG_BITSPERSAMPLE, static_cast<uint32_t>(8 * type.size));
  const int format = type.name[0] == 'f'   ? SAMPLEFORMAT_IEEEFP
                     : type.name[0] == 'u' ? SAMPLEFORMAT_UINT
                                           : SAMPLEFORMAT_INT;
  TIFFSetField(file, TIFFTAG_SAMPLEFORMAT, format);
  TIFFSetField(file, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(file, TIFFTAG_PHOTOMETRIC, channels >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
  if (channels % 2 == 0) {
    const uint16_t alpha = EXTRASAMPLE_UNASSALPHA;
    TIFFSetField(file, TIFFTAG_EXTRASAMPLES, 1, &alpha);
  }
  TIFFSetField(file, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  TIFFSetField(file, TIFFTAG_ORIENTATION, tags.orientation);
  if (tags.across > 0) TIFFSetField(file, TIFFTAG_XRESOLUTION, tags.across);
  if (tags.down > 0) TIFFSetField(file, TIFFTAG_YRESOLUTION, tags.down);
  if (tags.across > 0 || tags.down > 0) TIFFSetField(file, TIFFTAG_RESOLUTIONUNIT, tags.unit);
  if (!tags.description.empty()) TIFFSetField(file, TIFFTAG_IMAGEDESCRIPTION, tags.description.c_str());
  const size_t row = pixels.size() / height;
  const uint32_t rows =
      std::max<uint32_t>(1, static_cast<uint32_t>((size_t{1} << 16) / std::max<size_t>(row, 1)));
  TIFFSetField(file, TIFFTAG_ROWSPERSTRIP, std::min(rows, height));
}

}  // namespace

Bytes encode_tiff(const Tensor& x, const ArrayMeta& meta, const std::string& place) {
  Tensor pages = x;
  if (x.dim() == 2) pages = x.unsqueeze(0);
  if (pages.dim() == 3) pages = pages.unsqueeze(0);
  if (pages.dim() != 4 || pages.numel() == 0 || pages.size(1) > 4 || x.is_complex()) {
    throw Error(place,
                fmt::format("{} of shape {}, but a TIFF file has real (H, W), (C, H, W) or (N, C, H, W) with "
                            "1 to 4 channels",
                            toString(x.scalar_type()), to_string(x.sizes())));
  }
  pages = pages.permute({0, 2, 3, 1}).contiguous();
  const StoredNumbers numbers = stored_numbers(pages, meta, false);
  const Tags tags = tags_of(meta);
  const Shape page{pages.size(3), pages.size(1), pages.size(2)};
  const size_t size = numbers.bytes.size() / static_cast<size_t>(pages.size(0)),
               row = size / static_cast<size_t>(page[1]);
  TiffCodec codec;
  {
    const TiffPtr file = tiff::open(codec, numbers.bytes.size() > (uint64_t{1} << 31) ? "w8" : "w", 0);
    const auto fail = [&] {
      throw Error(place, "can't be written as TIFF: " + codec.message, ErrorKind::resources);
    };
    if (!file) fail();
    for (int64_t n = 0; n < pages.size(0); ++n) {
      const ByteView pixels = ByteView(numbers.bytes).subspan(static_cast<size_t>(n) * size, size);
      write_page(file.get(), pixels, page, *numbers.type, tags);
      for (uint32_t y = 0; y < page[1]; ++y) {
        Bytes line(pixels.begin() + static_cast<std::ptrdiff_t>(y * row),
                   pixels.begin() + static_cast<std::ptrdiff_t>((y + 1) * row));
        if (TIFFWriteScanline(file.get(), line.data(), y, 0) != 1) fail();
      }
      if (TIFFWriteDirectory(file.get()) != 1) fail();
    }
  }
  return std::move(codec.output);
}

}  // namespace tweedie
