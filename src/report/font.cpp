#include "report/font.h"

#include <ft2build.h>
#include FT_FREETYPE_H

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

namespace tweedie {

namespace {

// FreeType's objects are not for use by two threads at once; whoever draws holds the lock.
class Font {
 public:
  static Font& instance() {
    static Font font;
    return font;
  }

  std::mutex mutex;

  FT_Face face(bool bold) const { return bold && bold_ != nullptr ? bold_ : regular_; }

 private:
  Font() {
    if (FT_Init_FreeType(&library_) != 0) return;
    regular_ = open("DejaVuSans.ttf");
    bold_ = open("DejaVuSans-Bold.ttf");
  }

  FT_Face open(const char* name) const {
    for (const char* folder :
         {"/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu", "/usr/share/fonts/TTF"}) {
      const std::string file = (std::filesystem::path(folder) / name).string();
      FT_Face face = nullptr;
      if (FT_New_Face(library_, file.c_str(), 0, &face) == 0) return face;
    }
    return nullptr;
  }

  // Kept for the life of the process.
  FT_Library library_ = nullptr;
  FT_Face regular_ = nullptr, bold_ = nullptr;
};

}  // namespace

uint32_t next_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xC2 ? 0
                        : lead < 0xE0 ? 2
                        : lead < 0xF0 ? 3
                        : lead < 0xF5 ? 4
                                      : 0;
  if (length == 0 || length > text.size()) {
    text.remove_prefix(1);
    return 0xFFFD;
  }
  uint32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) {
      text.remove_prefix(i);
      return 0xFFFD;
    }
    code = code << 6 | (byte & 0x3F);
  }
  text.remove_prefix(length);
  return code;
}

int lay_out(std::string_view text, int size, bool bold, const std::function<void(int, const Glyph&)>& draw) {
  Font& font = Font::instance();
  const std::lock_guard lock(font.mutex);
  FT_Face face = font.face(bold);
  if (face == nullptr || FT_Set_Pixel_Sizes(face, 0, static_cast<FT_UInt>(size)) != 0) return -1;
  FT_Pos pen = 0;  // 1/64 pixel
  FT_UInt before = 0;
  while (!text.empty()) {
    const FT_UInt index = FT_Get_Char_Index(face, next_code_point(text));
    if (before != 0 && FT_HAS_KERNING(face)) {
      FT_Vector kerning;
      if (FT_Get_Kerning(face, before, index, FT_KERNING_DEFAULT, &kerning) == 0) pen += kerning.x;
    }
    before = index;
    // Light hinting snaps to whole pixels vertically only: even stems and true spacing at small sizes.
    if (FT_Load_Glyph(face, index, FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT) != 0) continue;
    const FT_GlyphSlot slot = face->glyph;
    const FT_Bitmap& bitmap = slot->bitmap;
    if (bitmap.pixel_mode == FT_PIXEL_MODE_GRAY && bitmap.pitch == static_cast<int>(bitmap.width)) {
      draw(static_cast<int>((pen + 32) >> 6),
           {slot->bitmap_left, slot->bitmap_top, static_cast<int>(bitmap.width),
            static_cast<int>(bitmap.rows), bitmap.buffer});
    }
    pen += slot->advance.x;
  }
  return static_cast<int>((pen + 32) >> 6);
}

}  // namespace tweedie
