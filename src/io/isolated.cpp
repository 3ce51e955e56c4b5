#include "io/isolated.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tweedie {

namespace {

constexpr uint64_t head_room = uint64_t{1} << 20;  // of the head and the text; the numbers follow

void* map(int file, uint64_t offset, uint64_t bytes) {
  void* result = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(offset));
  if (result == MAP_FAILED) throw Error("memory", std::strerror(errno), ErrorKind::resources);
  return result;
}

uint64_t address_space() {
  unsigned long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void limit(int resource, uint64_t most) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &now) != 0) return;
  now.rlim_cur = std::min<rlim_t>(most, now.rlim_max);
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &now);
}

// The child: it never returns, and runs nothing that the parent has registered for its end.
[[noreturn]] void serve(IsolatedReply& reply, const IsolatedLimits& limits,
                        const std::function<void(IsolatedReply&)>& work) {
  const int nowhere = ::open("/dev/null", O_WRONLY);
  if (nowhere >= 0) {  // what the library or a sanitizer would print
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
  }
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, limits.seconds);
  limit(RLIMIT_AS, address_space() + limits.memory);
  try {
    work(reply);
    reply.head().status = IsolatedReply::done;
  } catch (const Error& error) {
    const std::string what = error.what();
    reply.set_text(what.substr(std::min(what.size(), error.place().size() + 2)));
    reply.head().status =
        error.kind() == ErrorKind::resources ? IsolatedReply::resources_error : IsolatedReply::input_error;
  } catch (const std::bad_alloc&) {
    reply.set_text("does not fit in memory");
    reply.head().status = IsolatedReply::resources_error;
  } catch (...) {
  }
  ::_exit(0);
}

}  // namespace

IsolatedReply::IsolatedReply(int file) : file_(file), head_(map(file, 0, head_room)) {}

IsolatedReply::~IsolatedReply() {
  if (numbers_ != nullptr) ::munmap(numbers_, mapped_);
  ::munmap(head_, head_room);
}

void IsolatedReply::set_text(const std::string& text) {
  const uint64_t size = std::min<uint64_t>(text.size(), head_room - sizeof(Head));
  std::memcpy(static_cast<uint8_t*>(head_) + sizeof(Head), text.data(), size);
  head().text = size;
}

uint8_t* IsolatedReply::set_size(uint64_t bytes) {
  if (bytes == 0) return nullptr;
  if (::ftruncate(file_, static_cast<off_t>(head_room + bytes)) != 0)
    throw Error("memory", std::strerror(errno), ErrorKind::resources);
  numbers_ = map(file_, head_room, bytes);
  mapped_ = bytes;
  head().numbers = bytes;
  return static_cast<uint8_t*>(numbers_);
}

std::string IsolatedReply::text() const {
  const uint64_t size = std::min(static_cast<const Head*>(head_)->text, head_room - sizeof(Head));
  return {static_cast<const char*>(head_) + sizeof(Head), size};
}

ByteView IsolatedReply::numbers() const {
  return {static_cast<const uint8_t*>(numbers_), mapped_};
}

void run_isolated(const std::string& place, const std::string& damaged, const IsolatedLimits& limits,
                  const std::function<void(IsolatedReply&)>& work,
                  const std::function<void(const IsolatedReply&)>& read) {
  const int file = ::memfd_create("tweedie", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(head_room)) != 0)
    throw Error(place, fmt::format("no memory to read it in: {}", std::strerror(errno)),
                ErrorKind::resources);
  const struct Close {
    int file;
    ~Close() { ::close(file); }
  } close{file};
  IsolatedReply reply(file);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0)
    throw Error(place, fmt::format("no process to read it in: {}", std::strerror(errno)),
                ErrorKind::resources);
  if (child == 0) serve(reply, limits, work);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  switch (reply.head().status) {
    case IsolatedReply::done:
      break;
    case IsolatedReply::input_error:
      throw Error(place, reply.text());
    case IsolatedReply::resources_error:
      throw Error(place, reply.text(), ErrorKind::resources);
    default:
      throw Error(place, damaged);
  }
  // The child mapped the numbers, this process has yet to.
  if (const uint64_t bytes = reply.head().numbers; bytes > 0) reply.set_size(bytes);
  read(reply);
}

void allow_memory(uint64_t bytes) {
  limit(RLIMIT_AS, address_space() + bytes + (uint64_t{1} << 28));
}

}  // namespace tweedie
