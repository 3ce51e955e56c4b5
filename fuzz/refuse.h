#pragma once
// A fuzz target may refuse its input, in one way only.

#include "tweedie/error.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

namespace tweedie::fuzz {

// Runs parse on the input. An Error of one line is fine; any other exception ends the program, as a crash
// does.
template <typename Parse>
int refuse(const uint8_t* data, size_t size, Parse&& parse) {
  try {
    parse(std::span<const uint8_t>(data, size));
  } catch (const Error& error) {
    if (std::strchr(error.what(), '\n')) std::abort();
  }
  return 0;
}

// What unpacks to more than this is refused, so that one input takes little time and memory.
inline constexpr uint64_t limit = 1 << 22;

}  // namespace tweedie::fuzz
