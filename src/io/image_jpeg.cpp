// libjpeg's error handler must not return, so it jumps; each function with a setjmp has nothing in it that
// needs a destructor.
#include "io/image.h"

#include "io/tensors.h"
#include "tweedie/error.h"

#include <fmt/format.h>

#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

namespace tweedie {

namespace {

struct Reader {
  Reader() {
    jpeg.err = jpeg_std_error(&errors);
    errors.error_exit = [](j_common_ptr info) { give_up(info); };
    // Warnings mean that data were missing or damaged and pixels made up: as bad as an error.
    errors.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) give_up(info);
    };
    jpeg.client_data = this;
  }
  ~Reader() { jpeg_destroy_decompress(&jpeg); }

  [[noreturn]] static void give_up(j_common_ptr info) {
    auto* reader = static_cast<Reader*>(info->client_data);
    info->err->format_message(info, reader->message);
    std::longjmp(reader->jump, 1);
  }

  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "unknown reason";
};

bool read_header(Reader& reader, const uint8_t* data, size_t size) {
  if (setjmp(reader.jump)) return false;
  jpeg_create_decompress(&reader.jpeg);
  reader.jpeg.client_data = &reader;
  jpeg_mem_src(&reader.jpeg, data, size);
  jpeg_read_header(&reader.jpeg, TRUE);
  return true;
}

bool read_rows(Reader& reader, uint8_t* pixels, size_t stride) {
  if (setjmp(reader.jump)) return false;
  jpeg_start_decompress(&reader.jpeg);
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = pixels + reader.jpeg.output_scanline * stride;
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return true;
}

}  // namespace

bool is_jpeg(ByteView bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

Image parse_jpeg(ByteView bytes, const std::string& place) {
  Reader reader;
  const auto fail = [&] { throw Error(place, fmt::format("can't be read as JPEG: {}", reader.message)); };
  if (!read_header(reader, bytes.data(), bytes.size())) fail();

  const bool gray = reader.jpeg.jpeg_color_space == JCS_GRAYSCALE;
  if (reader.jpeg.jpeg_color_space == JCS_CMYK || reader.jpeg.jpeg_color_space == JCS_YCCK) {
    throw Error(place, "is a CMYK image; gray or RGB is meant");
  }
  reader.jpeg.out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
  const int64_t height = reader.jpeg.image_height;
  const int64_t width = reader.jpeg.image_width;
  const int64_t channels = gray ? 1 : 3;
  // A block takes at least a bit, so that a byte makes some 1200 values at most: what claims more is refused
  // before its memory is taken.
  const uint64_t claimed = bytes_of({height, width, channels}, 1, place);
  if (claimed / 4096 > bytes.size()) {
    throw Error(place, fmt::format("truncated: {}, too few for an image of {} x {} pixels",
                                   count_of_bytes(bytes.size()), width, height));
  }
  const Tensor pixels = empty_tensor({height, width, channels}, at::kByte);
  const auto stride = static_cast<size_t>(width * channels);
  if (!read_rows(reader, static_cast<uint8_t*>(pixels.data_ptr()), stride)) fail();
  return {transposed(pixels, {2, 0, 1}), 255};
}

}  // namespace tweedie
