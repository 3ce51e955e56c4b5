// Characters of fonts as images: ink 255 on paper 0, by FreeType. All of a font at one size, which the
// tallest and the widest just fit, on one baseline, each in the middle of its image's width. Of a collection
// (.ttc) the first font.

#include "io/data_source.h"
#include "io/tensors.h"
#include "tweedie/error.h"

#include <fmt/format.h>
#include <ft2build.h>
#include FT_FREETYPE_H

#include <algorithm>
#include <cmath>
#include <memory>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

constexpr int64_t most_characters = 100000;

std::vector<uint32_t> code_points(const DataOptions& options) {
  const auto& ranges = options.characters;
  constexpr const char* place = "data.characters";
  if (ranges.empty() || ranges.size() % 2 != 0)
    throw Error(place, fmt::format("{} numbers, but pairs of first and last are meant", ranges.size()));
  std::vector<uint32_t> result;
  for (size_t i = 0; i < ranges.size(); i += 2) {
    const int64_t first = ranges[i], last = ranges[i + 1];
    if (first < 1 || last < first || last > 0x10FFFF)
      throw Error(place, fmt::format("{} to {}, but 1 <= first <= last <= 1114111 is meant", first, last));
    if (last - first >= most_characters - static_cast<int64_t>(result.size()))
      throw Error(place, fmt::format("more than {} characters", most_characters));
    for (int64_t code = first; code <= last; ++code) result.push_back(static_cast<uint32_t>(code));
  }
  return result;
}

std::vector<fs::path> font_files(const DataOptions& options) {
  if (!options.file.empty()) return {options.file};
  const fs::path folder = options.folder.value_or("/usr/share/fonts/truetype/dejavu");
  std::error_code ignored;
  std::vector<fs::path> files;
  if (fs::is_directory(folder, ignored)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".ttf" || extension == ".otf" || extension == ".ttc") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    throw Error(folder.string(),
                "holds no .ttf, .otf or .ttc; Debian's package brings some: apt-get install "
                "fonts-dejavu-core");
  }
  return files;
}

class Library {
 public:
  Library() {
    if (FT_Init_FreeType(&library_) != 0)
      throw Error("FreeType", "can't be initialised", ErrorKind::resources);
  }
  ~Library() { FT_Done_FreeType(library_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  FT_Library get() const { return library_; }

 private:
  FT_Library library_ = nullptr;
};

// A font at the size at which `characters` fit side x side pixels with a margin of about one pixel.
class FittedFont {
 public:
  FittedFont(const Library& library, ByteView bytes, const std::string& place,
             const std::vector<uint32_t>& characters, int64_t side)
      : side_(side) {
    FT_Face face = nullptr;
    const auto length = static_cast<FT_Long>(bytes.size());
    if (FT_New_Memory_Face(library.get(), bytes.data(), length, 0, &face) != 0)
      throw Error(place, "is no font that FreeType reads");
    face_.reset(face);
    if (!FT_IS_SCALABLE(face) || face->units_per_EM == 0) throw Error(place, "has no outlines");
    FT_Pos top = 0, bottom = 0, width = 1;  // units of the font
    for (const uint32_t code : characters) {
      if (!load(code, FT_LOAD_NO_SCALE)) continue;
      const FT_Glyph_Metrics& metrics = face->glyph->metrics;
      top = std::max(top, metrics.horiBearingY);
      bottom = std::min(bottom, metrics.horiBearingY - metrics.height);
      width = std::max(width, metrics.width);
    }
    const auto units = static_cast<double>(std::max(top - bottom, width));
    const double size = static_cast<double>(side - 2) * face->units_per_EM / units;  // pixels of an em
    const auto fixed = static_cast<FT_F26Dot6>(size * 64);
    if (fixed < 1 || FT_Set_Char_Size(face, fixed, fixed, 72, 72) != 0)
      throw Error(place, fmt::format("can't be drawn in {} pixels", side));
    const double height = static_cast<double>(top - bottom) / face->units_per_EM * size;
    const double ascent = static_cast<double>(top) / face->units_per_EM * size;
    baseline_ = std::lround((static_cast<double>(side) - height) / 2 + ascent);
  }

  // Adds the character to pixels, (side, side) of zeros; false when the font lacks it or it has no ink.
  bool draw(uint32_t code, uint8_t* pixels) const {
    if (!load(code, FT_LOAD_RENDER | FT_LOAD_NO_HINTING)) return false;
    const FT_GlyphSlot slot = face_->glyph;
    const FT_Bitmap& bitmap = slot->bitmap;
    if (bitmap.pixel_mode != FT_PIXEL_MODE_GRAY || bitmap.width == 0 || bitmap.rows == 0) return false;
    const int64_t left = (side_ - static_cast<int64_t>(bitmap.width)) / 2;
    const int64_t top = baseline_ - slot->bitmap_top;
    for (int64_t row = std::max<int64_t>(0, -top); row < std::min<int64_t>(bitmap.rows, side_ - top); ++row) {
      const uint8_t* ink = bitmap.buffer + row * bitmap.pitch;
      for (int64_t x = std::max<int64_t>(0, -left); x < std::min<int64_t>(bitmap.width, side_ - left); ++x)
        pixels[(top + row) * side_ + left + x] = ink[x];
    }
    return true;
  }

 private:
  bool load(uint32_t code, FT_Int32 flags) const {
    const FT_UInt index = FT_Get_Char_Index(face_.get(), code);
    return index != 0 && FT_Load_Glyph(face_.get(), index, flags) == 0;
  }

  int64_t side_, baseline_ = 0;
  std::unique_ptr<FT_FaceRec, FT_Error (*)(FT_Face)> face_{nullptr, &FT_Done_Face};
};

}  // namespace

DataSource read_glyphs(const DataOptions& options) {
  const int64_t side = pixels_of_side(options, 32);
  const std::vector<uint32_t> characters = code_points(options);
  const std::vector<fs::path> files = font_files(options);
  const Library library;
  DataSource result;
  result.place = (files.size() == 1 ? files[0] : files[0].parent_path()).string();
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  const auto image = static_cast<size_t>(side * side);
  for (const fs::path& file : files) {
    const Bytes bytes = read_bytes(file);
    result.array.crc = crc32_of(bytes, result.array.crc);
    const FittedFont font(library, bytes, file.string(), characters, side);
    for (size_t i = 0; i < characters.size(); ++i) {
      pixels.resize(pixels.size() + image);
      if (font.draw(characters[i], &pixels[pixels.size() - image])) {
        labels.push_back(static_cast<int64_t>(i));
      } else {
        pixels.resize(pixels.size() - image);
      }
    }
  }
  if (labels.empty()) throw Error("data.characters", fmt::format("none is in {}", result.place));
  const auto count = static_cast<int64_t>(labels.size());
  result.array.values = tensor_from(pixels, at::kByte, {count, 1, side, side});
  result.array.white = 255;
  if (files.size() > 1) {
    const ByteView raw(reinterpret_cast<const uint8_t*>(labels.data()), labels.size() * sizeof(int64_t));
    result.labels = tensor_from(raw, at::kLong, {count});
  }
  return result;
}

}  // namespace tweedie
