#pragma once
// Pictures as arrays: PNG and JPEG in, PNG out.

#include "io/bytes.h"

namespace tweedie {

struct Image {
  Tensor pixels;  // (C, H, W); C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA. uint8, or float32 from 16 bits
  double white = 255;  // the largest value that a pixel can have: 255 or 65535
};

bool is_png(ByteView bytes);
bool is_jpeg(ByteView bytes);

// Palettes become RGB(A), bits below 8 are stretched to 8. Error(place) for what is cut short or corrupt.
Image parse_png(ByteView bytes, const std::string& place);

// Gray or RGB. Error(place) for what is cut short or corrupt, and for CMYK.
Image parse_jpeg(ByteView bytes, const std::string& place);

// Either, told by its first bytes.
Image parse_image(ByteView bytes, const std::string& place);

// pixels: (H, W) or (H, W, 3) uint8.
Bytes encode_png(const Tensor& pixels);
// planes: (C, H, W), C from 1 to 4, rounded and clipped to 0 .. 255, or 65535 where deep.
Bytes encode_png_planes(const Tensor& planes, bool deep, const std::string& place);
void write_png(const std::filesystem::path& path, const Tensor& pixels);

}  // namespace tweedie
