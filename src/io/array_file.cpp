#include "io/array_file.h"

#include "core/shape.h"
#include "io/csv.h"
#include "io/idx.h"
#include "io/image.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

bool starts_with(ByteView bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

std::string extension_of(const fs::path& path) {
  std::string result = path.extension().string();
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return result;
}

ArrayFile parse(ByteView bytes, const fs::path& path, const std::string& key, bool finite) {
  const std::string place = path.string();
  const std::string extension = extension_of(path);
  if (bytes.empty()) throw Error(place, "is empty");
  if (is_gzip(bytes)) {
    const Bytes unpacked = gunzip(bytes, place);
    if (is_gzip(unpacked)) throw Error(place, "is in gzip twice");
    const fs::path inner = extension == ".gz" ? fs::path(path).replace_extension() : path;
    try {
      return parse(unpacked, inner, key, finite);
    } catch (const Error& error) {
      if (inner == path || error.place() != inner.string()) throw;
      throw Error(place, std::string(error.what()).substr(error.place().size() + 2), error.kind());
    }
  }
  if (starts_with(bytes, "PK\x03\x04") || extension == ".npz") return {parse_npz(bytes, key, place), {}, 0};
  if (starts_with(bytes, "\x93NUMPY") || extension == ".npy") return {parse_npy(bytes, place), {}, 0};
  if (is_png(bytes) || is_jpeg(bytes) || extension == ".png" || extension == ".jpg" || extension == ".jpeg") {
    const Image image = parse_image(bytes, place);
    return {image.pixels, image.white, 0};
  }
  if (extension == ".csv") return {parse_csv(bytes, place, finite), {}, 0};
  if (bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0) return {parse_idx(bytes, place), {}, 0};
  throw Error(
      place,
      "no array that is known; NPY, NPZ, IDX (also in gzip), .csv, PNG, JPEG or a folder of images is meant");
}

// Of one shape and type, along a new first axis
Tensor stacked(const std::vector<Tensor>& images) {
  Shape shape = images[0].sizes().vec();
  shape.insert(shape.begin(), static_cast<int64_t>(images.size()));
  const Tensor result = empty_tensor(shape, images[0].scalar_type());
  auto* end = static_cast<uint8_t*>(result.data_ptr());
  for (const Tensor& image : images) {
    const ByteView bytes = view_of(image);
    end = std::copy(bytes.begin(), bytes.end(), end);
  }
  return result;
}

ArrayFile read_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string extension = extension_of(entry.path());
    const bool image = extension == ".png" || extension == ".jpg" || extension == ".jpeg";
    if (image && entry.path().filename().string()[0] != '.') files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw Error(folder.string(), "holds no .png, .jpg or .jpeg");

  ArrayFile result;
  std::vector<Tensor> images;
  for (const fs::path& file : files) {
    const Bytes bytes = read_bytes(file);
    result.crc = crc32_of(bytes, result.crc);
    const Image image = parse_image(bytes, file.string());
    if (!images.empty() && image.pixels.sizes() != images[0].sizes()) {
      throw Error(file.string(), fmt::format("shape {}, but {} has {}; all images of a folder need the same",
                                             to_string(image.pixels.sizes()), files[0].filename().string(),
                                             to_string(images[0].sizes())));
    }
    if (!images.empty() && image.white != *result.white) {
      throw Error(file.string(), fmt::format("{} bits a channel, but {} has {}", image.white > 255 ? 16 : 8,
                                             files[0].filename().string(), image.white > 255 ? 8 : 16));
    }
    result.white = image.white;
    images.push_back(image.pixels);
  }
  result.values = stacked(images);
  return result;
}

}  // namespace

ArrayFile read_array_file(const fs::path& path, bool finite) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return read_folder(path);

  fs::path file = path;
  std::string key;
  const std::string text = path.string();
  const size_t colon = text.rfind(".npz:");
  if (colon != std::string::npos && !fs::exists(path, ignored)) {
    file = text.substr(0, colon + 4);
    key = text.substr(colon + 5);
  }
  const Bytes bytes = read_bytes(file);
  ArrayFile result = parse(bytes, file, key, finite);
  result.crc = crc32_of(bytes);
  const Tensor& x = result.values;
  if (finite) require_finite(x.data_ptr(), x.scalar_type(), x.sizes(), path.string());
  return result;
}

}  // namespace tweedie
