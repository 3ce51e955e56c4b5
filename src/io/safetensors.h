#pragma once
// Safetensors, the file of named arrays that models are kept in: the header's length, a JSON header, the raw
// numbers. Format: https://github.com/huggingface/safetensors. Nothing in it is executed, and any reader of
// it reads ours.

#include "io/bytes.h"

#include <map>

namespace tweedie {

struct SafeTensors {
  std::map<std::string, Tensor> tensors;  // float64/32/16, bfloat16, int64/32/16/8, uint8, bool
  std::map<std::string, std::string> metadata;
  bool checksummed = false;  // read from a file that has a checksum
};

// Files of ours carry "tweedie.crc32" in their metadata, over the header without it and the numbers; where a
// file has it, it must be right. require_checksum: it must be there too. It is not part of
// SafeTensors::metadata. Error(place) for whatever is malformed, cut short or changed.
SafeTensors parse_safetensors(ByteView bytes, const std::string& place, bool require_checksum = false);

// What parse_safetensors does by require_checksum
void require_checksum(const SafeTensors& file, const std::string& place);

// Refuses NaN and infinity as well, naming the tensor: Error("path:name").
SafeTensors read_safetensors(const std::filesystem::path& path, bool require_checksum = false);

Bytes serialize_safetensors(const SafeTensors& content);

// The file appears whole or not at all.
void write_safetensors(const std::filesystem::path& path, const SafeTensors& content);

}  // namespace tweedie
