#pragma once
// What reading and writing TIFF share: libtiff on memory, and its messages kept instead of printed.

#include "io/bytes.h"

#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <string>

namespace tweedie {

struct TiffCodec {
  ByteView input;  // of reading
  Bytes output;    // of writing
  uint64_t at = 0;
  std::string message = "unknown reason";

  uint64_t size() const { return input.data() != nullptr ? input.size() : output.size(); }
};

using TiffPtr = std::unique_ptr<TIFF, void (*)(TIFF*)>;

namespace tiff {

inline TiffCodec& codec(thandle_t handle) {
  return *static_cast<TiffCodec*>(handle);
}
inline tmsize_t read(thandle_t handle, void* data, tmsize_t count) {
  TiffCodec& c = codec(handle);
  const bool reading = c.input.data() != nullptr;
  const uint8_t* from = reading ? c.input.data() : c.output.data();
  const uint64_t left = c.at < c.size() ? c.size() - c.at : 0;
  const uint64_t taken = std::min(left, static_cast<uint64_t>(std::max<tmsize_t>(count, 0)));
  if (taken > 0) std::copy_n(from + c.at, taken, static_cast<uint8_t*>(data));
  c.at += taken;
  return static_cast<tmsize_t>(taken);
}
inline tmsize_t write(thandle_t handle, void* data, tmsize_t count) {
  TiffCodec& c = codec(handle);
  if (c.input.data() != nullptr || count < 0) return -1;
  const uint64_t end = c.at + static_cast<uint64_t>(count);
  if (end > c.output.size()) c.output.resize(end);
  std::copy_n(static_cast<const uint8_t*>(data), count, c.output.begin() + static_cast<std::ptrdiff_t>(c.at));
  c.at = end;
  return count;
}
inline toff_t seek(thandle_t handle, toff_t offset, int whence) {
  TiffCodec& c = codec(handle);
  c.at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? c.at + offset : c.size() + offset;
  return c.at;
}
inline int close(thandle_t) {
  return 0;
}
inline toff_t size(thandle_t handle) {
  return codec(handle).size();
}
inline int on_error(TIFF*, void* user, const char* module, const char* format, va_list arguments) {
  char text[160];
  std::vsnprintf(text, sizeof text, format, arguments);
  static_cast<TiffCodec*>(user)->message = one_line(fmt::format("{}: {}", module ? module : "libtiff", text));
  return 1;
}
inline int on_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

// most: bytes that one allocation of libtiff's may take
inline TiffPtr open(TiffCodec& codec, const char* mode, uint64_t most) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             &TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(most));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &codec);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, &codec);
  return {TIFFClientOpenExt("memory", mode, &codec, read, write, seek, close, size, nullptr, nullptr,
                            options.get()),
          &TIFFClose};
}

}  // namespace tiff

}  // namespace tweedie
