#pragma once
// Safetensors, the file of named arrays that models are kept in: the header's length, a JSON header, the raw
// numbers. Format: https://github.com/huggingface/safetensors. Nothing in it is executed, and any reader of
// it reads ours.

#include "io/bytes.h"

#include <map>

namespace tweedie {

// An array as it lies in a file's bytes
struct StoredArray {
  std::string name;
  at::ScalarType type;
  Shape shape;
  ByteView data;
};

// A file that was checked, without tensors
struct StoredTensors {
  std::vector<StoredArray> arrays;  // in the order of the file
  std::map<std::string, std::string> metadata;
  bool checksummed = false;
};

struct SafeTensors {
  std::map<std::string, Tensor> tensors;  // float64/32/16, bfloat16, int64/32/16/8, uint8, bool
  std::map<std::string, std::string> metadata;
};

// Files of ours carry "tweedie.crc32" in their metadata, over the header without it and the numbers; where a
// file has it, it must be right. require_checksum: it must be there too. It is not part of
// the metadata then. Error(place) for whatever is malformed, cut short or changed.
StoredTensors scan_safetensors(ByteView bytes, const std::string& place, bool require_checksum = false);
SafeTensors parse_safetensors(ByteView bytes, const std::string& place, bool require_checksum = false);

// What require_checksum asks of a file that was scanned without
void require_checksum(const StoredTensors& file, const std::string& place);
// Refuses NaN and infinity, naming the tensor: Error("place:name").
void require_finite(const StoredTensors& file, const std::string& place);

// Refuses NaN and infinity as well, naming the tensor: Error("path:name").
SafeTensors read_safetensors(const std::filesystem::path& path, bool require_checksum = false);

Bytes serialize_safetensors(const SafeTensors& content);

// The file appears whole or not at all.
void write_safetensors(const std::filesystem::path& path, const SafeTensors& content);

}  // namespace tweedie
