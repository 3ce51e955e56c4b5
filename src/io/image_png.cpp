// libpng reports errors by a long jump, so each function with a setjmp has nothing in it that needs a
// destructor.
#include "io/image.h"

#include "io/png_codec.h"
#include "io/tensors.h"
#include "tweedie/error.h"

#include <fmt/format.h>

#include <cstring>

namespace tweedie {

namespace {

void on_read(png_structp png, png_bytep data, size_t count) {
  auto* codec = static_cast<PngCodec*>(png_get_io_ptr(png));
  if (count > codec->input.size()) png_error(png, "truncated");
  std::memcpy(data, codec->input.data(), count);
  codec->input = codec->input.subspan(count);
}

struct Reader : PngCodec {
  explicit Reader(ByteView bytes) {
    input = bytes;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<PngCodec*>(this), on_png_error,
                                 on_png_warning);
    if (png) info = png_create_info_struct(png);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

bool read_header(PngCodec& codec) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  png_set_read_fn(codec.png, &codec, on_read);
  png_read_info(codec.png, codec.info);
  const int bits = png_get_bit_depth(codec.png, codec.info);
  const int colour = png_get_color_type(codec.png, codec.info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(codec.png);
  if (colour == PNG_COLOR_TYPE_GRAY && bits < 8) png_set_expand_gray_1_2_4_to_8(codec.png);
  if (png_get_valid(codec.png, codec.info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(codec.png);
  if (bits == 16) png_set_swap(codec.png);
  png_set_interlace_handling(codec.png);
  png_read_update_info(codec.png, codec.info);
  return true;
}

bool read_rows(PngCodec& codec, png_bytepp rows) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  png_read_image(codec.png, rows);
  png_read_end(codec.png, nullptr);
  return true;
}

}  // namespace

bool is_png(ByteView bytes) {
  return bytes.size() >= 8 && png_sig_cmp(bytes.data(), 0, 8) == 0;
}

Image parse_png(ByteView bytes, const std::string& place) {
  Reader reader(bytes);
  if (!reader.png || !reader.info) throw Error(place, "no memory for libpng", ErrorKind::resources);
  const auto fail = [&] { throw Error(place, fmt::format("can't be read as PNG: {}", reader.message)); };
  if (!read_header(reader)) fail();

  const int64_t height = png_get_image_height(reader.png, reader.info);
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t channels = png_get_channels(reader.png, reader.info);
  const bool deep = png_get_bit_depth(reader.png, reader.info) == 16;
  // Deflate packs at most 1032 to 1, and bits stretched to bytes and RGBA add at most 32 to 1: what claims
  // more is refused before its memory is taken.
  const uint64_t claimed = bytes_of({height, width, channels}, deep ? 2 : 1, place);
  if (claimed / 32 / 1032 > bytes.size()) {
    throw Error(place, fmt::format("truncated: {}, too few for an image of {} x {} pixels",
                                   count_of_bytes(bytes.size()), width, height));
  }
  const Tensor pixels = empty_tensor({height, width, channels}, deep ? at::kShort : at::kByte);
  std::vector<png_bytep> rows = png_rows(pixels);
  if (!read_rows(reader, rows.data())) fail();
  const Tensor planes = transposed(pixels, {2, 0, 1});
  if (!deep) return {planes, 255};
  return {converted<float, uint16_t>(planes, at::kFloat), 65535};
}

}  // namespace tweedie
