#include "io/run_folder.h"

#include "io/atomic_file.h"
#include "tweedie/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

bool holds(const fs::path& folder, const fs::path& inside) {
  return std::mismatch(folder.begin(), folder.end(), inside.begin(), inside.end()).first == folder.end();
}

[[noreturn]] void refuse(const fs::path& path) {
  throw Error(path.string(), "exists and is not empty; choose another folder, or overwrite it with --force");
}

// Written data may still be only in memory, and a rename must not overtake it.
void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) {
      sync_folder(entry.path());
    } else if (const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC); file >= 0) {
      const int code = ::fsync(file) == 0 ? 0 : errno;
      ::close(file);
      if (code != 0 && code != EINVAL) throw_system_error(entry.path().string(), "can't be written", code);
    }
  }
  sync_folder(folder);
}

// Puts from in the place of to, and returns where the old one now is.
fs::path replace(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return from;
  // File systems without an exchange get two renames, undone when the second fails.
  fs::path old = from;
  old += ".old";
  if (::rename(to.c_str(), old.c_str()) != 0) throw_system_error(to.string(), "can't be replaced", errno);
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const int code = errno;
    ::rename(old.c_str(), to.c_str());
    throw_system_error(to.string(), "can't be replaced", code);
  }
  return old;
}

}  // namespace

RunFolder::RunFolder(const fs::path& path, bool force, RunMode mode) : force_(force) {
  if (path.empty()) throw Error("output.folder", "is empty, but the name of a folder is meant");
  try {
    target_ = fs::weakly_canonical(fs::absolute(path));
    if (!target_.has_filename()) target_ = target_.parent_path();
    if (fs::exists(target_)) {
      if (!fs::is_directory(target_))
        throw Error(path.string(), "is a file, but a folder for the results is meant");
      if (!fs::is_empty(target_)) {
        if (!force) refuse(path);
        if (holds(target_, fs::current_path())) {
          throw Error(path.string(), "holds the working folder, so --force does not overwrite it");
        }
      }
    }
    if (mode == RunMode::live) {
      fs::create_directories(target_);
      for (const fs::directory_entry& entry : fs::directory_iterator(target_)) fs::remove_all(entry.path());
      folder_ = target_;
      return;
    }
    for (fs::path parent = target_.parent_path(); !fs::exists(parent); parent = parent.parent_path())
      made_.push_back(parent);
    fs::create_directories(target_.parent_path());
    const std::string stem = fmt::format(".{}.partial-{}", target_.filename().string(), ::getpid());
    folder_ = target_.parent_path() / stem;
    for (int again = 1; !fs::create_directory(folder_); ++again) {
      folder_ = target_.parent_path() / fmt::format("{}-{}", stem, again);
    }
    pending_ = true;
  } catch (const fs::filesystem_error& error) {
    throw_system_error(path.string(), "can't be made", error.code().value());
  }
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  if (!pending_) return;
  fs::remove_all(folder_, ignored);
  for (const fs::path& parent : made_) fs::remove(parent, ignored);  // only where it is empty
}

void RunFolder::commit() {
  if (!pending_) return;
  try {
    sync_tree(folder_);
    fs::path old;
    if (::rename(folder_.c_str(), target_.c_str()) != 0) {
      if (errno != ENOTEMPTY && errno != EEXIST) throw_system_error(target_.string(), "can't be made", errno);
      if (!force_) refuse(target_);
      old = replace(folder_, target_);
    }
    pending_ = false;
    folder_ = target_;
    sync_folder(target_.parent_path());
    if (!old.empty()) fs::remove_all(old);
  } catch (const fs::filesystem_error& error) {
    throw_system_error(target_.string(), "can't be made", error.code().value());
  }
}

}  // namespace tweedie
