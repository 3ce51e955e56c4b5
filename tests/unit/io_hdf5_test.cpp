// HDF5 and ISMRMRD beyond what all formats share (io_formats_test.cpp).
#include "io/hdf5.h"
#include "io/isolated.h"
#include "tweedie/array_io.h"

#include "check_tensor.h"
#include "support/broken_files.h"
#include "support/ismrmrd_file.h"
#include "support/temporary_folder.h"

#include <unistd.h>

#include <csignal>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;
using Complex = std::complex<float>;

ArrayMeta hdf5_meta(const std::string& dtype) {
  ArrayMeta meta;
  meta.format = FileFormat::hdf5;
  meta.dtype = dtype;
  return meta;
}

TEST(IoHdf5, DataSetsSlicesUnitsAndHeader) {
  const TemporaryFolder folder;
  const std::string file = folder / "scan.h5";
  ArrayMeta meta = hdf5_meta("complex64");
  meta.units = "T/m";
  meta.header = ismrmrd_xml(6, 5, 2);
  const Tensor kspace = at::complex(normal({3, 2, 5, 6}, 1, at::kFloat), normal({3, 2, 5, 6}, 2, at::kFloat));
  write_like(file + ":kspace", kspace, meta);
  const ArrayData slice = read_array_data(file + ":kspace[1]");
  EXPECT_TRUE(at::equal(slice.values, kspace[1]));
  EXPECT_EQ(slice.meta.units, "T/m");
  EXPECT_EQ(slice.meta.header, meta.header);
  EXPECT_EQ(slice.meta.spacing, (std::vector<double>{48, 40}));  // 240 mm over the matrix of 6 x 5
  EXPECT_TRUE(at::equal(read_array(file), kspace));  // text is no array, so that one is the only one
  expect_error([&] { read_array(file + ":kspace[3]"); }, {"scan.h5:kspace[3]", "index 3", "(3, 2, 5, 6)"});
  expect_error([&] { read_array(file + ":mask"); }, {"no data set 'mask'", "kspace"});
  expect_error([&] { read_array(file + ":ismrmrd_header"); }, {"holds no numbers"});

  write_like((folder / "deep.h5").string() + ":a/b/c", at::ones({2}), hdf5_meta("float32"));
  EXPECT_EQ(read_array((folder / "deep.h5").string() + ":a/b/c").numel(), 2);
  EXPECT_EQ(read_array(folder / "deep.h5").numel(), 2);
}

// Line k of coil c holds c + k + i s at sample s, and a repeated line is averaged.
std::vector<TestAcquisition> lines(int nx, const std::vector<int>& which, int channels = 2) {
  std::vector<TestAcquisition> result;
  for (const int k : which) {
    TestAcquisition a{.ky = static_cast<uint16_t>(k),
                      .center = static_cast<uint16_t>(nx / 2),
                      .samples = static_cast<uint16_t>(nx),
                      .channels = static_cast<uint16_t>(channels)};
    for (int c = 0; c < channels; ++c)
      for (int s = 0; s < nx; ++s) a.data.emplace_back(static_cast<float>(c + k), static_cast<float>(s));
    result.push_back(std::move(a));
  }
  return result;
}

TEST(IoIsmrmrd, AcquisitionsBecomeKspace) {
  const TemporaryFolder folder;
  const std::string file = folder / "scan.h5";
  auto acquisitions = lines(6, {0, 1, 3, 3});
  for (Complex& v : acquisitions[3].data) v += Complex(2, 0);  // line 3 again, averaged with the first
  acquisitions.push_back(lines(6, {2})[0]);
  acquisitions.back().flags = uint64_t{1} << 18;  // noise
  write_ismrmrd(file, ismrmrd_xml(6, 4, 2), acquisitions);
  const ArrayData data = read_array_data(file);
  EXPECT_EQ(data.meta.format, FileFormat::ismrmrd);
  EXPECT_EQ(data.meta.spacing, (std::vector<double>{75, 50}));  // 300 mm over the matrix of 6 x 4
  ASSERT_EQ(data.values.sizes(), at::IntArrayRef({2, 4, 6}));
  const Tensor re = at::real(data.values), im = at::imag(data.values);
  for (int c = 0; c < 2; ++c) {
    EXPECT_EQ(re[c][1][0].item<float>(), static_cast<float>(c + 1));
    EXPECT_EQ(re[c][3][0].item<float>(), static_cast<float>(c + 4));
    EXPECT_EQ(re[c][2].abs().max().item<float>(), 0);
    EXPECT_TRUE(at::equal(im[c][0], at::arange(6, at::kFloat)));
  }
  const Tensor mask = read_array(file + ":mask");
  EXPECT_TRUE(at::equal(mask.select(1, 0), at::tensor({1, 1, 0, 1}, at::kByte)));
}

// Partial Fourier: line 1 is the centre, and the echo comes early.
TEST(IoIsmrmrd, CentresFallOnTheMiddle) {
  const TemporaryFolder folder;
  auto acquisitions = lines(4, {0, 1, 2}, 1);
  for (TestAcquisition& a : acquisitions) a.center = 1;
  write_ismrmrd(folder / "x.mrd", ismrmrd_xml(6, 4, 1), acquisitions);
  const Tensor k = read_array(folder / "x.mrd");
  ASSERT_EQ(k.sizes(), at::IntArrayRef({1, 4, 6}));
  EXPECT_EQ(at::real(k)[0][2][3].item<float>(), 1);  // line 1 at ny / 2
  EXPECT_EQ(at::imag(k)[0][2][3].item<float>(), 1);  // its sample 1 at nx / 2
  EXPECT_EQ(k[0][0].abs().max().item<float>(), 0);
}

// Two slices 7 mm apart of a coronal scan: read to the patient's left, phase to the feet, slices to the back
// (0, 1, 0) in LPS. Voxels of 300 / 6 and 300 / 4 mm.
std::vector<TestAcquisition> coronal_slices(float step = 7, int channels = 2) {
  std::vector<TestAcquisition> result;
  for (const int slice : {0, 1}) {
    for (TestAcquisition a : lines(6, {0, 1, 2, 3}, channels)) {
      a.slice = static_cast<uint16_t>(slice);
      a.position[0] = 10;
      a.position[1] = 20 + step * static_cast<float>(slice);
      a.position[2] = 30;
      a.read[0] = 1;
      a.phase[2] = -1;
      a.normal[1] = 1;
      result.push_back(a);
    }
  }
  return result;
}

TEST(IoIsmrmrd, TheScannersFrameIsCarriedToTheImages) {
  const TemporaryFolder folder;
  write_ismrmrd(folder / "scan.h5", ismrmrd_xml(6, 4, 2, "cartesian", 2), coronal_slices());
  const ArrayMeta scan = read_array_data(folder / "scan.h5").meta;
  // RAS+ of voxel (x, y, z): left is -x, back is -y; the voxel (3, 2) of slice 0 is at the position
  const std::vector<double> affine{-50, 0, 0, -10 + 150, 0, 0, -7, -20, 0, -75, 0, 30 + 150};
  EXPECT_EQ(scan.affine, affine);
  EXPECT_EQ(scan.orientation, "LIP");

  const Tensor images = normal({5, 2, 4, 6}, 3, at::kFloat);  // draws of two slices
  ArrayMeta meta = scan;
  meta.units = "a.u.";
  write_like((folder / "mean.h5").string() + ":reconstruction", images, meta);
  const ArrayData back = read_array_data(folder / "mean.h5");
  EXPECT_EQ(back.meta.format, FileFormat::ismrmrd);
  EXPECT_EQ(back.meta.dtype, "float32");
  EXPECT_TRUE(at::equal(back.values.view({5, 2, 4, 6}), images));
  EXPECT_EQ(back.meta.affine, affine);
  EXPECT_EQ(back.meta.header, scan.header);
  EXPECT_EQ(back.meta.units, "a.u.");
  EXPECT_EQ(back.meta.spacing, (std::vector<double>{75, 50}));

  // An image of another grid keeps the header alone; what is no image is an array with it.
  write_like((folder / "half.h5").string() + ":reconstruction", images.slice(3, 0, 3), meta);
  EXPECT_TRUE(read_array_data(folder / "half.h5").meta.affine.empty());
  write_like((folder / "row.h5").string() + ":reconstruction", at::ones({3}), meta);
  EXPECT_EQ(read_array(folder / "row.h5").numel(), 3);
  EXPECT_EQ(read_array_data(folder / "row.h5").meta.header, scan.header);
  // Where the header doesn't say how many slices there are, which image is where can't be told.
  write_ismrmrd(folder / "scan.h5", ismrmrd_xml(6, 4, 2), coronal_slices());
  EXPECT_TRUE(read_array_data(folder / "scan.h5").meta.affine.empty());
}

// Stacked against slice_dir, of one coil, as the second image says itself
TEST(IoIsmrmrd, SlicesLieWhereTheirLinesSay) {
  const TemporaryFolder folder;
  for (const int channels : {1, 2}) {
    write_ismrmrd(folder / "scan.h5", ismrmrd_xml(6, 4, 2, "cartesian", 2), coronal_slices(-9, channels));
    const ArrayMeta scan = read_array_data(folder / "scan.h5").meta;
    EXPECT_EQ(scan.affine, (std::vector<double>{-50, 0, 0, 140, 0, 0, 9, -20, 0, -75, 0, 180}));
    write_like((folder / "mean.h5").string() + ":mean", normal({2, 1, 4, 6}, 3, at::kFloat), scan);
    const std::string data = (folder / "mean.h5").string() + ":dataset/mean/data";
    EXPECT_EQ(read_array_data(data).meta.affine, scan.affine);
    const auto second = read_array_data(data + "[1]").meta.affine;
    ASSERT_EQ(second.size(), 12U);
    EXPECT_EQ(second[7], -11);  // 20 - 9 to the back
  }
  auto uneven = coronal_slices();
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), 1e38F}) {
    for (TestAcquisition& a : uneven) a.position[0] = a.slice == 1 ? odd : 10;
    write_ismrmrd(folder / "scan.h5", ismrmrd_xml(6, 4, 2, "cartesian", 2), uneven);
    EXPECT_TRUE(read_array_data(folder / "scan.h5").meta.affine.empty());
  }
}

TEST(IoIsmrmrd, ComplexImagesAndMutantsOfThem) {
  const TemporaryFolder folder;
  ArrayMeta meta;
  meta.format = FileFormat::ismrmrd;
  meta.dtype = "complex64";
  meta.header = ismrmrd_xml(6, 4, 2);
  const Tensor image = at::complex(normal({4, 6}, 1, at::kFloat), normal({4, 6}, 2, at::kFloat));
  meta.shape = {1, 4, 6};
  meta.spacing = {75, 50};
  write_like((folder / "x.h5").string() + ":reconstruction", image, meta);
  const ArrayData back = read_array_data(folder / "x.h5");
  EXPECT_TRUE(at::equal(back.values.view({4, 6}), image));
  EXPECT_EQ(back.meta.spacing, meta.spacing);
  const std::string text = read_text(folder / "x.h5");
  const int refused = refused_mutants(to_bytes(text), 200, [&](ByteView mutant) {
    write_text(folder / "y.h5", std::string(mutant.begin(), mutant.end()));
    read_array(folder / "y.h5");
  });
  EXPECT_GE(refused, 25);
}

TEST(IoIsmrmrd, WhatDoesNotFitIsRefused) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& xml, const std::vector<TestAcquisition>& acquisitions) {
    write_ismrmrd(folder / "x.h5", xml, acquisitions);
    return message_of([&] { read_array(folder / "x.h5"); });
  };
  EXPECT_THAT(refusal(ismrmrd_xml(6, 4, 2, "radial"), lines(6, {0})), HasSubstr("radial"));
  EXPECT_THAT(refusal(ismrmrd_xml(6, 4, 2), lines(6, {7})), HasSubstr("outside of the encoded matrix"));
  EXPECT_THAT(refusal(ismrmrd_xml(4, 4, 2), lines(6, {0})), HasSubstr("outside of the encoded matrix of 4"));
  EXPECT_THAT(refusal("<xml/>", lines(6, {0})), HasSubstr("matrixSize"));
  EXPECT_THAT(refusal(ismrmrd_xml(65000, 65000, 2), lines(6, {0})), HasSubstr("truncated"));
  auto other = lines(6, {0, 1});
  other[1] = lines(6, {1}, 3)[0];
  EXPECT_THAT(refusal(ismrmrd_xml(6, 4, 2), other), HasSubstr("2 and of 3 channels"));
}

TEST(IoIsmrmrd, MutantsAreReadOrRefused) {
  const TemporaryFolder folder;
  write_ismrmrd(folder / "x.h5", ismrmrd_xml(6, 4, 2), lines(6, {0, 1, 2, 3}));
  const std::string text = read_text(folder / "x.h5");
  const int refused = refused_mutants(to_bytes(text), 200, [&](ByteView mutant) {
    write_text(folder / "y.h5", std::string(mutant.begin(), mutant.end()));
    read_array(folder / "y.h5");
  });
  EXPECT_GE(refused, 25);
}

// What the library might do on a damaged file
TEST(IoIsolated, CrashesHangsAndGreedBecomeErrors) {
  const auto attempt = [](const std::function<void(IsolatedReply&)>& work) {
    return message_of([&] {
      run_isolated("file", "broke down", {.memory = uint64_t{1} << 28, .seconds = 1}, work,
                   [](const IsolatedReply&) {});
    });
  };
  EXPECT_THAT(attempt([](IsolatedReply&) { ::raise(SIGKILL); }), HasSubstr("file: broke down"));
  EXPECT_THAT(attempt([](IsolatedReply&) { ::_exit(0); }), HasSubstr("broke down"));
  EXPECT_THAT(attempt([](IsolatedReply&) {
                for (volatile bool on = true; on;) {
                }
              }),
              HasSubstr("broke down"));
  EXPECT_THAT(attempt([](IsolatedReply& reply) {
                if (reply.text().empty()) throw Error("x", "is odd");
              }),
              HasSubstr("file: is odd"));
  std::string text;
  Bytes numbers;
  run_isolated(
      "file", "", {.memory = uint64_t{1} << 28, .seconds = 1},
      [](IsolatedReply& reply) {
        reply.set_text("hello");
        reply.set_size(3)[2] = 7;
      },
      [&](const IsolatedReply& reply) {
        text = reply.text();
        numbers.assign(reply.numbers().begin(), reply.numbers().end());
      });
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(numbers, (Bytes{0, 0, 7}));
}

}  // namespace
}  // namespace tweedie::test
