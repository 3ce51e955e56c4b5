#include "io/child_process.h"

#include "tweedie/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

extern char** environ;  // NOLINT: POSIX's name

namespace tweedie {

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kept_words = 4096;
constexpr auto farewell = std::chrono::milliseconds(300);

void close_if_open(int& file) {
  if (file >= 0) ::close(file);
  file = -1;
}

// Both ends closed at exec, ours not blocking. A socket, so that writing to a dead process is an error, not a
// signal.
std::pair<int, int> channel(const std::string& place) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw Error(place, fmt::format("no channel to a process: {}", std::strerror(errno)),
                ErrorKind::resources);
  }
  ::fcntl(ends[0], F_SETFL, ::fcntl(ends[0], F_GETFL) | O_NONBLOCK);
  return {ends[0], ends[1]};
}

// The last line that says anything, with nothing in it that is not printable.
std::string last_line(std::string text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.pop_back();
  text = text.substr(text.rfind('\n') + 1);
  return one_line(text);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::filesystem::path& folder,
                           std::string place)
    : place_(std::move(place)), command_(one_line(fmt::format("{}", fmt::join(command, " ")))) {
  if (command.empty() || command[0].empty())
    throw Error(place_, "no program is given; [\"program\", ...] is meant");
  int theirs_in = -1, theirs_out = -1, theirs_errors = -1;
  std::tie(in_, theirs_in) = channel(place_);
  std::tie(out_, theirs_out) = channel(place_);
  std::tie(errors_, theirs_errors) = channel(place_);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs_in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, theirs_out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, theirs_errors, STDERR_FILENO);
  if (!folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);

  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int failure = ::posix_spawnp(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  for (int* end : {&theirs_in, &theirs_out, &theirs_errors}) close_if_open(*end);
  if (failure != 0) {
    pid_ = -1;
    stop();
    throw Error(place_, fmt::format("'{}' can't be started{}: {}", command_,
                                    folder.empty() ? "" : " in " + folder.string(), std::strerror(failure)));
  }
}

ChildProcess::~ChildProcess() {
  stop();
}

void ChildProcess::stop() {
  close_if_open(in_);
  close_if_open(out_);
  close_if_open(errors_);
  if (pid_ < 0) return;
  const auto deadline = Clock::now() + farewell;
  bool ended = false;
  while (!ended && Clock::now() < deadline) {
    ended = ::waitpid(pid_, nullptr, WNOHANG) != 0;
    if (!ended) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(-pid_, SIGKILL);  // with what it started
  if (!ended) ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ChildProcess::drain_errors() {
  std::array<char, 4096> buffer{};
  ssize_t count = 0;
  while (errors_ >= 0 && (count = ::read(errors_, buffer.data(), buffer.size())) > 0) {
    last_words_.append(buffer.data(), static_cast<size_t>(count));
    if (last_words_.size() > 2 * kept_words) last_words_.erase(0, last_words_.size() - kept_words);
  }
  if (count == 0) close_if_open(errors_);  // else poll would return at once for ever
}

void ChildProcess::fail(const std::string& what) {
  drain_errors();
  const std::string words = last_line(last_words_);
  const std::string text =
      fmt::format("'{}' {}{}", command_, what, words.empty() ? "" : "; it said: " + words);
  ::kill(-pid_, SIGKILL);
  stop();
  throw Error(place_, text);
}

void ChildProcess::fail_at_end() {
  int status = 0;
  const auto deadline = Clock::now() + farewell;
  pid_t ended = 0;
  while ((ended = ::waitpid(pid_, &status, WNOHANG)) == 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const pid_t group = pid_;
  std::string how = "closed its stdin or stdout";
  if (ended == pid_) {
    pid_ = -1;
    how = WIFSIGNALED(status) ? fmt::format("was killed by signal {}", WTERMSIG(status))
                              : fmt::format("ended with status {}", WEXITSTATUS(status));
  }
  drain_errors();
  const std::string words = last_line(last_words_);
  ::kill(-group, SIGKILL);
  stop();
  throw Error(place_, fmt::format("'{}' {} before it answered; an array in NPY was expected{}", command_, how,
                                  words.empty() ? "" : "; it said: " + words));
}

Bytes ChildProcess::ask(ByteView request, const Length& length, double seconds) {
  if (pid_ < 0) throw Error(place_, fmt::format("'{}' has ended", command_));
  const auto deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  Bytes answer;
  std::array<uint8_t, 1 << 16> buffer{};
  if (::recv(out_, buffer.data(), 1, MSG_PEEK) > 0) fail("answered when it had not been asked");
  std::optional<uint64_t> expected;
  while (!expected || answer.size() < *expected || !request.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      fail(fmt::format("did not answer within {} s; an array in NPY was expected", seconds));
    }
    pollfd files[3] = {{out_, POLLIN, 0}, {errors_, POLLIN, 0}, {request.empty() ? -1 : in_, POLLOUT, 0}};
    if (::poll(files, 3, static_cast<int>(std::min<int64_t>(left, 1000))) < 0 && errno != EINTR) {
      fail(fmt::format("can't be waited for: {}", std::strerror(errno)));
    }
    if (files[1].revents != 0) drain_errors();
    if (files[2].revents != 0) {
      const ssize_t sent = ::send(in_, request.data(), request.size(), MSG_NOSIGNAL);
      if (sent > 0) request = request.subspan(static_cast<size_t>(sent));
      if (sent < 0 && errno != EAGAIN && errno != EINTR) fail_at_end();
    }
    if (files[0].revents == 0) continue;
    const ssize_t count = ::recv(out_, buffer.data(), buffer.size(), 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) fail_at_end();
    if (count < 0) continue;
    answer.insert(answer.end(), buffer.begin(), buffer.begin() + count);
    try {
      if (!expected) expected = length(answer);
    } catch (const Error& e) {
      fail(std::string(e.what()).substr(e.place().size() + 2));
    }
    if (expected && answer.size() > *expected) {
      fail(fmt::format("answered {} bytes more than its array has", answer.size() - *expected));
    }
  }
  return answer;
}

}  // namespace tweedie
