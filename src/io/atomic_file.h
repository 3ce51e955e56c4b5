#pragma once
// Files that appear whole or not at all, whatever kills the program and whenever.

#include "io/bytes.h"

#include <filesystem>
#include <string>

namespace tweedie {

// Writes into a hidden temporary file in the target's folder; commit() syncs it to the disk and renames it.
// Without commit() nothing remains. A full disk is an Error of kind resources. Symbolic links are followed.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(ByteView bytes);
  void commit();

 private:
  std::filesystem::path path_, target_, temporary_;
  int file_ = -1;
};

void write_atomically(const std::filesystem::path& path, ByteView bytes);
void write_atomically(const std::filesystem::path& path, const std::string& text);

// Removes the temporary files that killed programs left in the folder.
void remove_temporaries(const std::filesystem::path& folder);

// Makes renames in the folder last through a power cut. Does nothing where the file system can't.
void sync_folder(const std::filesystem::path& folder);

// An Error(place) for an errno: kind resources for a full disk, input otherwise.
[[noreturn]] void throw_system_error(const std::string& place, const std::string& what, int code);

}  // namespace tweedie
