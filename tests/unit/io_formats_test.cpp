// Every format: what is written comes back, number for number, with what the file says beside them; damaged
// files are refused in one line or read.
#include "tweedie/file_format.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/file_names.h"
#include "tweedie/array_io.h"

#include "check_tensor.h"
#include "support/broken_files.h"
#include "support/format_cases.h"
#include "support/nifti_file.h"
#include "support/temporary_folder.h"

#include <algorithm>
#include <array>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

struct Example {
  std::string name;  // of the file
  FileFormat format;
  std::string dtype;
  Tensor x;
  double white = 0;
};

std::vector<Example> examples() {
  const Tensor real = normal({3, 5, 4}, 1, at::kFloat), fine = normal({2, 3, 4}, 2);
  const Tensor complex = at::complex(normal({2, 5, 4}, 3, at::kFloat), normal({2, 5, 4}, 4, at::kFloat));
  const Tensor bytes = whole_numbers({3, 6, 5}, 0, 255), words = whole_numbers({1, 6, 5}, 0, 65535);
  const Tensor shorts = whole_numbers({3, 6, 5}, -32768, 32767),
               longs = whole_numbers({3, 6, 5}, -2147483648, 2147483647);
  return {
      {"a.png", FileFormat::png, "uint8", bytes, 255},
      {"b.png", FileFormat::png, "uint16", words, 65535},
      {"a.tif", FileFormat::tiff, "uint8", bytes, 255},
      {"b.tif", FileFormat::tiff, "uint16", words, 65535},
      {"c.tif", FileFormat::tiff, "float32", real},
      {"d.tif", FileFormat::tiff, "float64", normal({4, 1, 70, 90}, 5)},
      {"e.tiff", FileFormat::tiff, "uint16", whole_numbers({5, 3, 7, 6}, 0, 65535), 65535},
      {"f.tif", FileFormat::tiff, "int32", longs},
      {"a.nii", FileFormat::nifti, "int16", shorts},
      {"b.nii.gz", FileFormat::nifti, "uint16", words},
      {"c.nii", FileFormat::nifti, "float64", fine},
      {"d.nii", FileFormat::nifti, "complex64", complex},
      {"e.nii", FileFormat::nifti, "uint8", bytes},
      {"f.nii", FileFormat::nifti, "float32", real},
      {"g.nii", FileFormat::nifti, "int32", longs},
      {"a.h5", FileFormat::hdf5, "float32", real},
      {"b.h5", FileFormat::hdf5, "complex64", complex},
      {"c.h5", FileFormat::hdf5, "complex128", complex.to(at::kComplexDouble)},
      {"d.h5", FileFormat::hdf5, "uint16", words},
      {"e.h5", FileFormat::hdf5, "int32", longs},
      {"f.h5", FileFormat::hdf5, "float64", at::scalar_tensor(0.1, at::kDouble)},
      {"a.cfl", FileFormat::cfl, "complex64", complex},
      {"a.fits", FileFormat::fits, "int16", shorts},
      {"b.fits", FileFormat::fits, "uint16", words},
      {"c.fits", FileFormat::fits, "float32", real},
      {"d.fits.gz", FileFormat::fits, "float64", fine},
      {"e.fits", FileFormat::fits, "uint8", bytes},
      {"f.fits", FileFormat::fits, "int32", longs},
      {"a.nc", FileFormat::netcdf, "int16", shorts},
      {"b.nc", FileFormat::netcdf, "float32", real},
      {"c.nc", FileFormat::netcdf, "float64", fine},
      {"d.nc", FileFormat::netcdf, "int32", longs},
      {"a.raw", FileFormat::raw, "float64", fine},
      {"b.raw", FileFormat::raw, "complex64", complex},
      {"c.raw", FileFormat::raw, "uint16", words},
      {"d.bin", FileFormat::raw, "int16", shorts},
      {"a.npy", FileFormat::npy, "complex64", complex},
  };
}

ArrayMeta meta_of(const Example& example) {
  ArrayMeta meta;
  meta.format = example.format;
  meta.dtype = example.dtype;
  meta.white = example.white;
  meta.shape = example.x.sizes().vec();
  return meta;
}

TEST(IoFormats, EveryFormatComesBackToTheBit) {
  const TemporaryFolder folder;
  for (const Example& example : examples()) {
    SCOPED_TRACE(example.name);
    const auto path = folder / example.name;
    write_like(path, example.x, meta_of(example));
    const ArrayData first = read_array_data(path);
    ASSERT_EQ(first.values.sizes(), example.x.sizes());
    EXPECT_TRUE(at::equal(first.values.to(example.x.scalar_type()), example.x));
    EXPECT_EQ(first.meta.format, example.format);
    EXPECT_EQ(first.meta.dtype, example.dtype);
    EXPECT_EQ(first.meta.white, example.white);
    EXPECT_TRUE(at::equal(read_array(path), first.values));
    // A file like it is the same file.
    const Bytes bytes = bytes_at(path);
    write_like(path, first.values, first.meta);
    EXPECT_EQ(bytes_at(path), bytes);
  }
}

// Numbers that the file's type can't hold are written as floats.
TEST(IoFormats, WhatDoesNotFitIsWrittenAsFloats) {
  const TemporaryFolder folder;
  const Tensor x = normal({1, 6, 5}, 9, at::kFloat) * 1000;
  for (const Example& example : examples()) {
    if (example.format == FileFormat::png || example.format == FileFormat::cfl ||
        example.format == FileFormat::npy)
      continue;
    SCOPED_TRACE(example.name);
    write_like(folder / example.name, x, meta_of(example));
    const ArrayData back = read_array_data(folder / example.name);
    EXPECT_THAT(back.meta.dtype, HasSubstr("float"));
    EXPECT_TRUE(at::equal(back.values.to(at::kFloat), x));
  }
  // Pictures are rounded and clipped.
  ArrayMeta meta;
  meta.format = FileFormat::png;
  meta.white = 255;
  write_like(folder / "x.png", at::tensor({-3.0, 0.6, 254.4, 300.0}).view({1, 2, 2}), meta);
  EXPECT_TRUE(
      at::equal(read_array(folder / "x.png"), at::tensor({0, 1, 254, 255}, at::kByte).view({1, 2, 2})));
}

TEST(IoFormats, TwoHundredMutantsOfEachAreReadOrRefused) {
  const TemporaryFolder folder;
  for (const Example& example : examples()) {
    // One of each format
    constexpr std::array chosen{"a.png", "c.tif",  "a.nii", "b.nii.gz", "b.h5",
                                "a.cfl", "a.fits", "b.nc",  "a.raw",    "a.npy"};
    if (std::find(chosen.begin(), chosen.end(), example.name) == chosen.end()) continue;
    SCOPED_TRACE(example.name);
    const auto path = folder / example.name;
    write_like(path, example.x, meta_of(example));
    const int refused = refused_mutants(bytes_at(path), 200, [&](ByteView mutant) {
      write_text(path, std::string(mutant.begin(), mutant.end()));
      const ArrayData data = read_array_data(path);
      EXPECT_TRUE(data.values.numel() == 0 || data.values.isfinite().all().item<bool>());
    });
    // At least those that were cut short, a fifth of them.
    EXPECT_GE(refused, 25);
  }
}

TEST(IoFormats, MutantsOfHeadersBesideTheNumbers) {
  const TemporaryFolder folder;
  const Tensor x = at::complex(normal({2, 5, 4}, 3, at::kFloat), normal({2, 5, 4}, 4, at::kFloat));
  struct Pair {
    const char *file, *header;
    FileFormat format;
  };
  for (const Pair& pair :
       {Pair{"a.cfl", "a.hdr", FileFormat::cfl}, Pair{"a.raw", "a.raw.toml", FileFormat::raw}}) {
    ArrayMeta meta;
    meta.format = pair.format;
    meta.dtype = "complex64";
    write_like(folder / pair.file, x, meta);
    const int refused = refused_mutants(bytes_at(folder / pair.header), 200, [&](ByteView mutant) {
      write_text(folder / pair.header, std::string(mutant.begin(), mutant.end()));
      read_array_data(folder / pair.file);
    });
    EXPECT_GE(refused, 100) << pair.header;
  }
}

TEST(IoFormats, NamesWithAPartInside) {
  const TemporaryFolder folder;
  EXPECT_EQ(file_name_of("a/b.h5:kspace[3]").inside, "kspace[3]");
  EXPECT_EQ(file_name_of("a/b.h5:kspace[3]").file, "a/b.h5");
  EXPECT_EQ(file_name_of("b.FITS[2]").unit, 2);
  EXPECT_EQ(file_name_of("b.fits.gz[0]").file, "b.fits.gz");
  EXPECT_FALSE(file_name_of("b.fits[x]").unit);
  write_text(folder / "odd.h5:name", "");
  EXPECT_EQ(file_name_of(folder / "odd.h5:name").inside, "");
  EXPECT_EQ(extension_of("x.NII.GZ"), ".nii.gz");
}

}  // namespace
}  // namespace tweedie::test
