// libpng reports errors by a long jump, so each function with a setjmp has nothing in it that needs a
// destructor.
#include "io/image.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

namespace tweedie {

namespace {

struct Codec {
  ByteView input;
  Bytes output;
  bool failed_allocation = false;
  char message[160] = "unknown reason";
  png_structp png = nullptr;
  png_infop info = nullptr;
};

void on_error(png_structp png, png_const_charp message) {
  auto* codec = static_cast<Codec*>(png_get_error_ptr(png));
  std::strncpy(codec->message, message, sizeof codec->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep data, size_t count) {
  auto* codec = static_cast<Codec*>(png_get_io_ptr(png));
  if (count > codec->input.size()) png_error(png, "truncated");
  std::memcpy(data, codec->input.data(), count);
  codec->input = codec->input.subspan(count);
}

void on_write(png_structp png, png_bytep data, size_t count) {
  auto* codec = static_cast<Codec*>(png_get_io_ptr(png));
  try {
    codec->output.insert(codec->output.end(), data, data + count);
  } catch (...) {
    codec->failed_allocation = true;
  }
  if (codec->failed_allocation) png_error(png, "no memory");
}

void on_flush(png_structp) {}

struct Reader : Codec {
  explicit Reader(ByteView bytes) {
    input = bytes;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<Codec*>(this), on_error, on_warning);
    if (png) info = png_create_info_struct(png);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct Writer : Codec {
  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, static_cast<Codec*>(this), on_error, on_warning);
    if (png) info = png_create_info_struct(png);
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

bool read_header(Codec& codec) {
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

bool read_rows(Codec& codec, png_bytepp rows) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  png_read_image(codec.png, rows);
  png_read_end(codec.png, nullptr);
  return true;
}

bool write_rows(Codec& codec, png_bytepp rows, int64_t height, int64_t width, int colour) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  png_set_write_fn(codec.png, &codec, on_write, on_flush);
  png_set_IHDR(codec.png, codec.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8,
               colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(codec.png, codec.info);
  png_write_image(codec.png, rows);
  png_write_end(codec.png, nullptr);
  return true;
}

std::vector<png_bytep> rows_of(const Tensor& pixels) {
  std::vector<png_bytep> rows(static_cast<size_t>(pixels.size(0)));
  auto* start = static_cast<png_bytep>(pixels.data_ptr());
  const size_t stride = pixels.nbytes() / rows.size();
  for (size_t row = 0; row < rows.size(); ++row) rows[row] = start + row * stride;
  return rows;
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
  Tensor pixels = at::empty({height, width, channels}, deep ? at::kShort : at::kByte);
  std::vector<png_bytep> rows = rows_of(pixels);
  if (!read_rows(reader, rows.data())) fail();
  pixels = pixels.permute({2, 0, 1}).contiguous();
  if (!deep) return {pixels, 255};
  return {pixels.to(at::kInt).bitwise_and(0xffff).to(at::kFloat), 65535};
}

Bytes encode_png(const Tensor& pixels) {
  const bool gray = pixels.dim() == 2;
  const bool colour = pixels.dim() == 3 && pixels.size(2) == 3;
  if (pixels.scalar_type() != at::kByte || pixels.numel() == 0 || !(gray || colour)) {
    throw Error("png", fmt::format("pixels of shape {} and dtype {}, but (H, W) or (H, W, 3) uint8 are meant",
                                   to_string(pixels.sizes()), toString(pixels.scalar_type())));
  }
  const Tensor values = plain(pixels);
  std::vector<png_bytep> rows = rows_of(values);
  Writer writer;
  if (!writer.png || !writer.info) throw Error("png", "no memory for libpng", ErrorKind::resources);
  const int type = gray ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
  if (!write_rows(writer, rows.data(), values.size(0), values.size(1), type)) {
    throw Error("png", fmt::format("can't be written: {}", writer.message),
                writer.failed_allocation ? ErrorKind::resources : ErrorKind::input);
  }
  return std::move(writer.output);
}

}  // namespace tweedie
