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
