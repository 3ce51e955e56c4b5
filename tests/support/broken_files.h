#pragma once
// What every parser of files must survive: its input cut at any byte, or with any bit turned.

#include "io/bytes.h"
#include "tweedie/error.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>

namespace tweedie::test {

using Parse = std::function<void(ByteView)>;

inline Bytes to_bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

// The message of the Error that parse throws, or nothing.
inline std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline std::string message_of(const Bytes& bytes, const Parse& parse) {
  return message_of([&] { parse(bytes); });
}

// Each start of bytes must give an Error of one line. The copy is as long as the input, so that a sanitizer
// sees every byte read beyond it.
inline void expect_every_truncation_refused(const Bytes& bytes, const Parse& parse) {
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string message = message_of(Bytes(bytes.begin(), bytes.begin() + size), parse);
    EXPECT_NE(message, "") << "cut to " << size << " of " << bytes.size() << " bytes";
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

// Returns how many of the flipped bits went unnoticed; anything but an Error thrown fails the test.
inline int unnoticed_flips(const Bytes& bytes, const Parse& parse) {
  int unnoticed = 0;
  Bytes flipped = bytes;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    flipped[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    unnoticed += message_of(flipped, parse).empty();
    flipped[bit / 8] = bytes[bit / 8];
  }
  return unnoticed;
}

// Damage of the kinds that files suffer, always the same: cut short, bits turned, lengths replaced by extreme
// ones, bytes lost and put in. Most of it where headers are.
inline std::vector<Bytes> mutations(const Bytes& bytes, int count) {
  uint64_t state = 88172645463325252u;
  const auto random = [&](uint64_t below) {  // xorshift
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below == 0 ? 0 : state % below;
  };
  constexpr uint64_t extremes[] = {0,
                                   1,
                                   0x7f,
                                   0x80,
                                   0xff,
                                   0x7fff,
                                   0xffff,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x7fffffffffffffff,
                                   0xffffffffffffffff};
  std::vector<Bytes> result;
  for (int i = 0; i < count; ++i) {
    Bytes mutant = bytes;
    const auto place = [&] {
      return random(random(2) == 0 ? std::min<size_t>(mutant.size(), 512) : mutant.size());
    };
    const uint64_t kind = random(5);
    if (kind == 0) mutant.resize(random(mutant.size()));
    for (uint64_t n = kind == 1 ? 1 + random(8) : 0; n > 0; --n)
      mutant[place()] ^= static_cast<uint8_t>(1u << random(8));
    if (kind == 2) {
      const size_t width = size_t{1} << random(4), at = place();
      const uint64_t value = extremes[random(std::size(extremes))];
      for (size_t b = 0; b < width && at + b < mutant.size(); ++b)
        mutant[at + b] = static_cast<uint8_t>(value >> 8 * b);
    }
    if (kind == 3) {
      const size_t at = place();
      mutant.erase(
          mutant.begin() + static_cast<std::ptrdiff_t>(at),
          mutant.begin() + static_cast<std::ptrdiff_t>(std::min(mutant.size(), at + 1 + random(64))));
    }
    if (kind == 4) mutant.insert(mutant.begin() + static_cast<std::ptrdiff_t>(place()), 1 + random(64), 0x31);
    result.push_back(std::move(mutant));
  }
  return result;
}

// Each mutant is read or refused in one line; returns how many were refused. Anything else thrown fails the
// test.
inline int refused_mutants(const Bytes& bytes, int count, const Parse& parse) {
  int refused = 0;
  for (const Bytes& mutant : mutations(bytes, count)) {
    const std::string message = message_of(mutant, parse);
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    refused += !message.empty();
  }
  return refused;
}

inline Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
  Bytes result(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

}  // namespace tweedie::test
