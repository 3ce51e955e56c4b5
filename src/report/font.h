#pragma once
// Glyphs as coverage bitmaps, by FreeType from DejaVu Sans.

#include <cstdint>
#include <functional>
#include <string_view>

namespace tweedie {

// A glyph's bitmap, `left` and `top` from the pen on the baseline to its upper left corner (top counts
// upwards).
struct Glyph {
  int left, top, width, height;
  const uint8_t* coverage;  // (height, width), 255 is full
};

// Calls draw(pen x, glyph) for each glyph of the text and returns its width; -1 when there is no font.
int lay_out(std::string_view utf8, int size, bool bold, const std::function<void(int, const Glyph&)>& draw);

// The code point at the front of text, which is shortened by it; U+FFFD for bytes that are not UTF-8.
uint32_t next_code_point(std::string_view& text);

}  // namespace tweedie
