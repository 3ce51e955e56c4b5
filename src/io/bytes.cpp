#include "io/bytes.h"

#include "core/shape.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

namespace tweedie {

namespace fs = std::filesystem;

Bytes read_bytes(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) throw Error(path.string(), "no such file");
  if (error) throw Error(path.string(), "can't be read: " + error.message());
  if (fs::is_directory(status)) throw Error(path.string(), "is a folder, but a file is meant");
  if (!fs::is_regular_file(status)) throw Error(path.string(), "is not a regular file");

  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw Error(path.string(), fmt::format("can't be read: {}", std::strerror(errno)));
  const uintmax_t size = fs::file_size(path, error);
  if (error) throw Error(path.string(), "can't be read: " + error.message());
  try {
    Bytes bytes(size);
    if (std::fread(bytes.data(), 1, size, file.get()) != size) {
      throw Error(path.string(), fmt::format("can't be read to its end at {}", count_of_bytes(size)));
    }
    return bytes;
  } catch (const std::bad_alloc&) {
    throw Error(path.string(), fmt::format("{} don't fit in memory", count_of_bytes(size)),
                ErrorKind::resources);
  }
}

bool is_gzip(ByteView bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

Bytes gunzip(ByteView packed, const std::string& place, uint64_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw Error(place, "no memory for zlib", ErrorKind::resources);
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, &inflateEnd);

  // zlib counts in 32 bits, so both sides go in pieces.
  constexpr size_t piece = size_t{1} << 20;
  Bytes result;
  size_t written = 0;
  const uint8_t* next = packed.data();
  size_t left = packed.size();
  while (true) {
    if (stream.avail_in == 0) {
      stream.next_in = const_cast<Bytef*>(next);
      stream.avail_in = static_cast<uInt>(std::min(left, piece));
      next += stream.avail_in;
      left -= stream.avail_in;
    }
    if (written == result.size()) {
      if (written > limit) {
        throw Error(place, fmt::format("unpacks to more than {}", count_of_bytes(limit)),
                    ErrorKind::resources);
      }
      try {
        result.resize(std::max(2 * written, std::min(4 * packed.size() + 64, piece)));
      } catch (const std::bad_alloc&) {
        throw Error(place, "does not fit in memory when unpacked", ErrorKind::resources);
      }
    }
    const size_t room = std::min(result.size() - written, piece);
    stream.next_out = result.data() + written;
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    written += room - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0 && left == 0) break;
      if (inflateReset(&stream) != Z_OK) throw Error(place, "corrupt gzip data");
    } else if (status == Z_BUF_ERROR ||
               (status == Z_OK && stream.avail_in == 0 && left == 0 && stream.avail_out > 0)) {
      throw Error(place, fmt::format("truncated: the gzip data end after {}", count_of_bytes(packed.size())));
    } else if (status != Z_OK) {
      throw Error(place, fmt::format("corrupt gzip data: {}", stream.msg ? stream.msg : "unknown reason"));
    }
  }
  if (written > limit) {
    throw Error(place, fmt::format("unpacks to more than {}", count_of_bytes(limit)), ErrorKind::resources);
  }
  result.resize(written);
  return result;
}

uint32_t crc32_of(ByteView bytes, uint32_t start) {
  if (bytes.empty()) return start;  // zlib would begin anew
  return static_cast<uint32_t>(::crc32_z(start, bytes.data(), bytes.size()));
}

ByteView view_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

ByteView view_of(const Tensor& tensor) {
  return {static_cast<const uint8_t*>(tensor.data_ptr()), static_cast<size_t>(tensor.nbytes())};
}

std::string one_line(std::string_view text) {
  std::string result(text.substr(0, 80));
  for (char& c : result) {
    if ((c >= 0 && c < ' ') || c == 127) c = '?';
  }
  return text.size() > result.size() ? result + "..." : result;
}

std::string count_of_bytes(uint64_t count) {
  return fmt::format("{} byte{}", count, count == 1 ? "" : "s");
}

uint64_t bytes_of(at::IntArrayRef shape, uint64_t item_size, const std::string& place) {
  // Zeros count as ones here: strides are computed that way, and must not overflow either.
  uint64_t total = item_size;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) throw Error(place, fmt::format("shape {} has a negative size", to_string(shape)));
    empty = empty || size == 0;
    const auto factor = static_cast<uint64_t>(std::max<int64_t>(size, 1));
    if (total > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / factor) {
      throw Error(place, fmt::format("shape {} is larger than any memory", to_string(shape)));
    }
    total *= factor;
  }
  return empty ? 0 : total;
}

}  // namespace tweedie
