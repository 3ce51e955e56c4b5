#pragma once
// Work in a process of its own, for a library that a damaged file may crash, hang or make take all memory.

#include "io/bytes.h"
#include "tweedie/error.h"

#include <functional>

namespace tweedie {

// What the work hands back: a text and numbers, in memory that both processes see.
class IsolatedReply {
 public:
  explicit IsolatedReply(int file);
  ~IsolatedReply();
  IsolatedReply(const IsolatedReply&) = delete;
  IsolatedReply& operator=(const IsolatedReply&) = delete;

  void set_text(const std::string& text);  // up to 1 MiB
  uint8_t* set_size(uint64_t bytes);       // of the numbers; where to write them
  std::string text() const;
  ByteView numbers() const;

  enum Status : uint64_t { unfinished, done, input_error, resources_error };
  struct Head {
    uint64_t status, text, numbers;
  };
  Head& head() { return *static_cast<Head*>(head_); }

 private:
  int file_;
  void* head_;
  void* numbers_ = nullptr;
  uint64_t mapped_ = 0;
};

struct IsolatedLimits {
  uint64_t memory;   // bytes that the work may take beyond what the process has
  uint64_t seconds;  // of processor time
};

// Runs work(reply) in a fork of this process and gives the reply to read. An Error that the work throws is
// thrown here; Error(place, damaged) when it crashes or takes too long. The work may use no thread of this
// process and none of libtorch.
void run_isolated(const std::string& place, const std::string& damaged, const IsolatedLimits& limits,
                  const std::function<void(IsolatedReply&)>& work,
                  const std::function<void(const IsolatedReply&)>& read);

// Raises the limit of memory, inside of the work, once it is known what it will take.
void allow_memory(uint64_t bytes);

}  // namespace tweedie
