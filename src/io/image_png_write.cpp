// libpng reports errors by a long jump, so each function with a setjmp has nothing in it that needs a
// destructor.
#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/image.h"
#include "io/png_codec.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

void on_write(png_structp png, png_bytep data, size_t count) {
  auto* codec = static_cast<PngCodec*>(png_get_io_ptr(png));
  try {
    codec->output.insert(codec->output.end(), data, data + count);
  } catch (...) {
    codec->failed_allocation = true;
  }
  if (codec->failed_allocation) png_error(png, "no memory");
}

void on_flush(png_structp) {}

struct Writer : PngCodec {
  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, static_cast<PngCodec*>(this), on_png_error,
                                  on_png_warning);
    if (png) info = png_create_info_struct(png);
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

bool write_rows(PngCodec& codec, png_bytepp rows, int64_t height, int64_t width, int bits, int colour) {
  if (setjmp(png_jmpbuf(codec.png))) return false;
  png_set_write_fn(codec.png, &codec, on_write, on_flush);
  png_set_IHDR(codec.png, codec.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), bits,
               colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(codec.png, codec.info);
  if (bits == 16) png_set_swap(codec.png);
  png_write_image(codec.png, rows);
  png_write_end(codec.png, nullptr);
  return true;
}

// values: contiguous (H, W, ...) of 1 or 2 bytes
Bytes encode(const Tensor& values, int bits, int colour) {
  std::vector<png_bytep> rows = png_rows(values);
  Writer writer;
  if (!writer.png || !writer.info) throw Error("png", "no memory for libpng", ErrorKind::resources);
  if (!write_rows(writer, rows.data(), values.size(0), values.size(1), bits, colour)) {
    throw Error("png", fmt::format("can't be written: {}", writer.message),
                writer.failed_allocation ? ErrorKind::resources : ErrorKind::input);
  }
  return std::move(writer.output);
}

}  // namespace

Bytes encode_png(const Tensor& pixels) {
  const bool gray = pixels.dim() == 2;
  const bool colour = pixels.dim() == 3 && pixels.size(2) == 3;
  if (pixels.scalar_type() != at::kByte || pixels.numel() == 0 || !(gray || colour)) {
    throw Error("png", fmt::format("pixels of shape {} and dtype {}, but (H, W) or (H, W, 3) uint8 are meant",
                                   to_string(pixels.sizes()), toString(pixels.scalar_type())));
  }
  return encode(plain(pixels), 8, gray ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB);
}

Bytes encode_png_planes(const Tensor& planes, bool deep, const std::string& place) {
  if (planes.dim() != 3 || planes.numel() == 0 || planes.size(0) > 4 || planes.is_complex()) {
    throw Error(
        place,
        fmt::format("{} of shape {}, but a PNG image has real (H, W) or (C, H, W) with 1 to 4 channels",
                    toString(planes.scalar_type()), to_string(planes.sizes())));
  }
  const Tensor whole =
      planes.to(at::kDouble).round().clamp(0, deep ? 65535 : 255).permute({1, 2, 0}).contiguous();
  constexpr int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                             PNG_COLOR_TYPE_RGB_ALPHA};
  const int colour = colours[planes.size(0) - 1];
  if (!deep) return encode(whole.to(at::kByte), 8, colour);
  // The low two bytes of a number up to 65535 are the same in int16.
  const Tensor numbers = at::where(whole.gt(32767), whole - 65536, whole).to(at::kShort);
  return encode(numbers, 16, colour);
}

void write_png(const std::filesystem::path& path, const Tensor& pixels) {
  write_atomically(path, ByteView(encode_png(pixels)));
}

}  // namespace tweedie
