#include "io/image.h"

#include "io/array_file.h"
#include "io/tensors.h"
#include "support/broken_files.h"
#include "support/temporary_folder.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <png.h>

#include <cstdio>

#include <jpeglib.h>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

const Parse parse = [](ByteView bytes) { parse_image(bytes, "x.png"); };

// A PNG of any type by libpng itself; rows as they are in the file.
Bytes png(int width, int height, int bits, int colour, const Bytes& rows, bool interlaced = false,
          bool transparent = false) {
  Bytes result;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &result,
      [](png_structp p, png_bytep data, size_t size) {
        auto* out = static_cast<Bytes*>(png_get_io_ptr(p));
        out->insert(out->end(), data, data + size);
      },
      nullptr);
  png_set_IHDR(png, info, width, height, bits, colour, interlaced, 0, 0);
  const png_color palette[] = {{10, 20, 30}, {40, 50, 60}};
  png_byte alpha[] = {0, 128};
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 2);
  if (transparent) png_set_tRNS(png, info, alpha, 2, nullptr);
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y)
    pointers.push_back(const_cast<png_bytep>(rows.data()) + y * rows.size() / height);
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return result;
}

Bytes jpeg(int width, int height, J_COLOR_SPACE space, const Bytes& pixels) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = static_cast<int>(pixels.size()) / (width * height);
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = const_cast<JSAMPROW>(pixels.data()) + y * pixels.size() / height;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  const Bytes result(buffer, buffer + size);
  jpeg_destroy_compress(&jpeg);
  std::free(buffer);
  return result;
}

Tensor pixels_of(const Bytes& bytes) {
  return parse_image(bytes, "x.png").pixels;
}

Tensor bytes_as(const Shape& shape, const Bytes& values) {
  return tensor_from(values, at::kByte, shape);
}

TEST(IoImage, PngRoundTrip) {
  const Tensor gray = at::arange(20).to(at::kByte).mul(12).reshape({4, 5});
  EXPECT_TRUE(at::equal(pixels_of(encode_png(gray)), gray.unsqueeze(0)));
  EXPECT_TRUE(at::equal(pixels_of(encode_png(gray.t())), gray.t().unsqueeze(0)));
  const Tensor colour = at::arange(60).to(at::kByte).mul(4).reshape({4, 5, 3});
  EXPECT_TRUE(at::equal(pixels_of(encode_png(colour)), colour.permute({2, 0, 1})));
}

TEST(IoImage, EveryKindOfPng) {
  EXPECT_TRUE(at::equal(pixels_of(png(2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, {1, 2, 3, 4})),
                        bytes_as({2, 1, 2}, {1, 3, 2, 4})));
  EXPECT_TRUE(at::equal(pixels_of(png(1, 2, 8, PNG_COLOR_TYPE_RGB_ALPHA, {1, 2, 3, 4, 5, 6, 7, 8})),
                        bytes_as({4, 2, 1}, {1, 5, 2, 6, 3, 7, 4, 8})));
  EXPECT_TRUE(at::equal(pixels_of(png(4, 1, 1, PNG_COLOR_TYPE_GRAY, {0b10100000})),
                        bytes_as({1, 1, 4}, {255, 0, 255, 0})));
  EXPECT_TRUE(
      at::equal(pixels_of(png(2, 1, 4, PNG_COLOR_TYPE_GRAY, {0x1f})), bytes_as({1, 1, 2}, {17, 255})));
  EXPECT_TRUE(at::equal(pixels_of(png(2, 1, 8, PNG_COLOR_TYPE_PALETTE, {1, 0})),
                        bytes_as({3, 1, 2}, {40, 10, 50, 20, 60, 30})));
  EXPECT_TRUE(at::equal(pixels_of(png(2, 1, 8, PNG_COLOR_TYPE_PALETTE, {1, 0}, false, true)),
                        bytes_as({4, 1, 2}, {40, 10, 50, 20, 60, 30, 128, 0})));
  EXPECT_TRUE(at::equal(pixels_of(png(3, 3, 8, PNG_COLOR_TYPE_GRAY, {1, 2, 3, 4, 5, 6, 7, 8, 9}, true)),
                        bytes_as({1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})));
  const Image deep = parse_png(png(2, 1, 16, PNG_COLOR_TYPE_GRAY, {0xff, 0xfe, 0x01, 0x02}), "x.png");
  EXPECT_EQ(deep.white, 65535);
  EXPECT_TRUE(at::equal(deep.pixels, at::tensor({65534.0f, 258.0f}).reshape({1, 1, 2})));
}

TEST(IoImage, BrokenPngsAreRefused) {
  const Bytes bytes = encode_png(at::arange(48).to(at::kByte).reshape({4, 4, 3}));
  expect_every_truncation_refused(bytes, parse);
  expect_every_truncation_refused(png(3, 3, 8, PNG_COLOR_TYPE_GRAY, Bytes(9, 7), true), parse);
  EXPECT_EQ(unnoticed_flips(bytes, parse), 0);  // each chunk has its CRC
  EXPECT_THAT(message_of(to_bytes("no image"), parse), HasSubstr("neither"));
}

TEST(IoImage, AHugeClaimTakesNoMemory) {
  Bytes bytes = png(1, 1, 8, PNG_COLOR_TYPE_RGB, {1, 2, 3});
  for (const size_t i : {16, 20})
    bytes[i + 1] = 0x0f, bytes[i + 2] = 0, bytes[i + 3] = 0;  // 983,040 each way
  const uint32_t crc = crc32_of(ByteView(bytes).subspan(12, 17));
  for (int i = 0; i < 4; ++i) bytes[29 + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
  EXPECT_THAT(message_of(bytes, parse), HasSubstr("too few for an image of 983040 x 983040"));
}

TEST(IoImage, Jpeg) {
  const Image gray = parse_image(jpeg(8, 8, JCS_GRAYSCALE, Bytes(64, 100)), "x.jpg");
  EXPECT_EQ(gray.pixels.sizes(), (Shape{1, 8, 8}));
  EXPECT_LE(gray.pixels.to(at::kInt).sub(100).abs().max().item<int>(), 1);
  Bytes red;
  for (int i = 0; i < 16 * 9; ++i) red.insert(red.end(), {200, 30, 40});
  const Tensor colour = pixels_of(jpeg(16, 9, JCS_RGB, red));
  EXPECT_EQ(colour.sizes(), (Shape{3, 9, 16}));
  const Tensor expected = at::tensor({200, 30, 40}, at::kInt).reshape({3, 1, 1});
  EXPECT_LE(colour.to(at::kInt).sub(expected).abs().max().item<int>(), 3);  // the rounding of YCbCr
}

TEST(IoImage, BrokenJpegsAreRefused) {
  Bytes pixels;
  for (int i = 0; i < 17 * 16 * 3; ++i) pixels.push_back(static_cast<uint8_t>(i * 37));
  const Bytes bytes = jpeg(17, 16, JCS_RGB, pixels);
  expect_every_truncation_refused(bytes, parse);
  unnoticed_flips(Bytes(bytes.begin(), bytes.begin() + 200), parse);
  EXPECT_THAT(message_of(jpeg(8, 8, JCS_CMYK, Bytes(256, 9)), parse), HasSubstr("CMYK"));
}

TEST(IoImage, OnlyPicturesAreWritten) {
  for (const Tensor& wrong :
       {at::zeros({2, 2}), at::zeros({2, 2, 4}, at::kByte), at::zeros({0, 2}, at::kByte)}) {
    EXPECT_THROW(encode_png(wrong), Error);
  }
}

TEST(IoImage, AFolderInTheOrderOfNames) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of([&] { read_array(folder.path()); }), HasSubstr("holds no .png"));
  for (const int i : {2, 0, 1})
    write_png(folder / std::to_string(i).append(".png"), at::full({2, 3}, i, at::kByte));
  write_text(folder / "notes.txt", "no image");
  const ArrayFile images = read_array_file(folder.path());
  EXPECT_EQ(images.values.sizes(), (Shape{3, 1, 2, 3}));
  EXPECT_EQ(images.white, 255);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(images.values[i].eq(i).all().item<bool>());

  write_png(folder / "3.PNG", at::zeros({3, 2}, at::kByte));
  EXPECT_THAT(message_of([&] { read_array(folder.path()); }),
              HasSubstr("3.PNG: shape (1, 3, 2), but 0.png has (1, 2, 3)"));
  write_text(folder / "3.PNG", "no image");
  EXPECT_THAT(message_of([&] { read_array(folder.path()); }), HasSubstr("3.PNG: is neither"));
}

}  // namespace
}  // namespace tweedie::test
