#include "io/atomic_file.h"

#include "tweedie/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <regex>
#include <utility>
#include <vector>

namespace tweedie {

namespace fs = std::filesystem;

void throw_system_error(const std::string& place, const std::string& what, int code) {
  const bool full =
      code == ENOSPC || code == EDQUOT || code == EFBIG || code == ENOMEM || code == EMFILE || code == ENFILE;
  throw Error(place, fmt::format("{}: {}", what, std::strerror(code)),
              full ? ErrorKind::resources : ErrorKind::input);
}

void sync_folder(const fs::path& folder) {
  const int handle = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) return;
  ::fsync(handle);
  ::close(handle);
}

void remove_temporaries(const fs::path& folder) {
  static const std::regex temporary(R"(\..+\.tmp-\d+-\d+)");  // as AtomicFile names them
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (std::regex_match(entry.path().filename().string(), temporary)) found.push_back(entry.path());
  }
  for (const fs::path& path : found) fs::remove(path, ignored);
}

AtomicFile::AtomicFile(const fs::path& path) : path_(path), target_(path) {
  static std::atomic<unsigned> counter{0};
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) throw Error(path.string(), "is a folder, but a file is to be written");
  if (fs::exists(status) && !fs::is_regular_file(status)) throw Error(path.string(), "is not a regular file");
  if (fs::is_regular_file(status)) target_ = fs::canonical(path);
  if (!target_.has_filename()) throw Error(path.string(), "is no file name");
  do {
    temporary_ = target_.parent_path() /
                 fmt::format(".{}.tmp-{}-{}", target_.filename().string(), ::getpid(), counter++);
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) throw_system_error(path.string(), "can't be written", errno);
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system_error(path_.string(), "can't be written", errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  if (::fsync(file_) != 0 && errno != EINVAL) throw_system_error(path_.string(), "can't be written", errno);
  const int handle = std::exchange(file_, -1);
  if (::close(handle) != 0) throw_system_error(path_.string(), "can't be written", errno);
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0)
    throw_system_error(path_.string(), "can't be written", errno);
  temporary_.clear();
  sync_folder(target_.parent_path());
}

void write_atomically(const fs::path& path, ByteView bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_atomically(const fs::path& path, const std::string& text) {
  write_atomically(path, view_of(text));
}

}  // namespace tweedie
