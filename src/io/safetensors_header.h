#pragma once
// What reading and writing safetensors share.

#include "io/bytes.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace tweedie {

inline constexpr uint64_t max_safetensors_header = 100'000'000;  // the format's own bound
inline constexpr const char* metadata_key = "__metadata__";
inline constexpr const char* checksum_key = "tweedie.crc32";

inline constexpr std::pair<std::string_view, at::ScalarType> safetensors_types[] = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
    {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
    {"U8", at::kByte},    {"BOOL", at::kBool},
};

// What the checksum covers of a header: its meaning, not its spelling.
inline uint32_t header_crc(nlohmann::json header) {
  if (header.contains(metadata_key)) header[metadata_key].erase(checksum_key);
  return crc32_of(view_of(header.dump()));
}

inline std::string hex(uint32_t crc) {
  return fmt::format("{:08x}", crc);
}

}  // namespace tweedie
