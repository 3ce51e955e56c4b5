#pragma once
// What reading and writing PNG share: one call of libpng, and where it leaves its message when it fails.

#include "io/bytes.h"

#include <png.h>

#include <csetjmp>
#include <cstring>

namespace tweedie {

struct PngCodec {
  ByteView input;
  Bytes output;
  bool failed_allocation = false;
  char message[160] = "unknown reason";
  png_structp png = nullptr;
  png_infop info = nullptr;
};

inline void on_png_error(png_structp png, png_const_charp message) {
  auto* codec = static_cast<PngCodec*>(png_get_error_ptr(png));
  std::strncpy(codec->message, message, sizeof codec->message - 1);
  png_longjmp(png, 1);
}

inline void on_png_warning(png_structp, png_const_charp) {}

// Of a contiguous (H, W, ...)
inline std::vector<png_bytep> png_rows(const Tensor& pixels) {
  std::vector<png_bytep> rows(static_cast<size_t>(pixels.size(0)));
  auto* start = static_cast<png_bytep>(pixels.data_ptr());
  const size_t stride = pixels.nbytes() / rows.size();
  for (size_t row = 0; row < rows.size(); ++row) rows[row] = start + row * stride;
  return rows;
}

}  // namespace tweedie
