#pragma once
// Whole files in memory, and the little that every file format needs on top of them.

#include "tweedie/tensor.h"

#include <bit>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tweedie {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

static_assert(std::endian::native == std::endian::little, "file formats are read on little-endian machines");

// The whole of a regular file; Error(path) when it is missing, unreadable or no file.
Bytes read_bytes(const std::filesystem::path& path);

// What an unpacked file may take at most: beyond it, it is taken for a decompression bomb.
inline constexpr uint64_t unpacked_limit = uint64_t{1} << 36;  // 64 GiB

bool is_gzip(ByteView bytes);

// All members of a gzip file; Error(place) when it is cut short, corrupt or larger than limit.
Bytes gunzip(ByteView packed, const std::string& place, uint64_t limit = unpacked_limit);

// CRC-32 as in zlib; start continues an earlier one.
uint32_t crc32_of(ByteView bytes, uint32_t start = 0);

ByteView view_of(const std::string& text);

// The memory of a contiguous CPU tensor.
ByteView view_of(const Tensor& tensor);

// Text from a file as an Error may quote it: at most 80 bytes, control characters as '?'.
std::string one_line(std::string_view text);

// "16 bytes", for messages.
std::string count_of_bytes(uint64_t count);

// The bytes that an array of this shape takes; Error(place) when a size is negative or the product overflows.
uint64_t bytes_of(at::IntArrayRef shape, uint64_t item_size, const std::string& place);

// tensor on the CPU, contiguous, with lazy conjugation and negation done: ready for view_of.
Tensor plain(const Tensor& tensor);

}  // namespace tweedie
