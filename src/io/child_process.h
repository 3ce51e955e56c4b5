#pragma once
// A program beside ours that is asked and answers, on its stdin and stdout. None outlives its owner.

#include "io/bytes.h"

#include <sys/types.h>
#include <functional>
#include <optional>

namespace tweedie {

class ChildProcess {
 public:
  // Starts it, in a process group of its own; folder: empty for ours. Error(place) when it can't be started.
  ChildProcess(const std::vector<std::string>& command, const std::filesystem::path& folder,
               std::string place);
  // Closes its pipes, and kills it and what it started when it does not end by itself soon.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Of an answer's first bytes: how long the whole is, once that can be told. May throw.
  using Length = std::function<std::optional<uint64_t>(ByteView)>;

  // Sends the request and returns the answer. Error(place) when the process ends, answers more than it
  // should, or has not answered after `seconds`; it quotes what the process last wrote on its stderr.
  Bytes ask(ByteView request, const Length& length, double seconds);

 private:
  [[noreturn]] void fail(const std::string& what);
  [[noreturn]] void fail_at_end();
  void drain_errors();
  void stop();

  std::string place_, command_;
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, errors_ = -1;  // our ends
  std::string last_words_;
};

}  // namespace tweedie
