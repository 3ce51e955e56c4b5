// Fashion-MNIST: Xiao, Rasul and Vollgraf 2017. Digits: Alpaydin and Kaynak 1998 (UCI), as scikit-learn has
// them. Faces: of the Labelled Faces in the Wild (Huang et al. 2007), as scikit-image has them. MRI: the
// average of 27 scans of one head (Holmes et al. 1998), as MRIcron has it.

#include "core/shape.h"
#include "io/data_source.h"
#include "io/labels.h"
#include "io/nifti.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

const fs::path sklearn_folder = "/usr/lib/python3/dist-packages/sklearn/datasets/data";
const fs::path skimage_folder = "/usr/lib/python3/dist-packages/skimage/data";

bool there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

// what: how to come by the file
void require_file(const fs::path& file, const std::string& what) {
  if (!there(file)) throw Error(file.string(), "no such file; " + what);
}

std::string install(const std::string& package) {
  return "Debian's package brings it: apt-get install " + package;
}

fs::path fashion_file(const fs::path& folder, const std::string& name) {
  if (!there(folder / (name + ".gz")) && there(folder / name)) return folder / name;
  require_file(folder / (name + ".gz"), install("dataset-fashion-mnist"));
  return folder / (name + ".gz");
}

bool in_range(const Tensor& x, double low, double high) {
  return x.ge(low).logical_and(x.le(high)).all().item<bool>();
}

// x: (N, H, W) -> (N, 1, side, side). Averages over squares of the least number of pixels that leaves at
// most a ninth of a side to be cut off; what then is too small gets a margin of 0.
Tensor fitted(const Tensor& x, int64_t side) {
  const int64_t longest = std::max(x.size(1), x.size(2));
  int64_t factor = 1;
  while (8 * (longest / factor) > 9 * side) ++factor;
  const Tensor pooled = at::avg_pool2d(x.unsqueeze(1), std::min({factor, x.size(1), x.size(2)}));
  const auto margin = [&](int64_t axis) { return side - pooled.size(axis); };
  const int64_t top = margin(2) / 2, left = margin(3) / 2;  // < 0: cut off
  return at::constant_pad_nd(pooled, {left, margin(3) - left, top, margin(2) - top}, 0);
}

}  // namespace

int64_t pixels_of_side(const DataOptions& options, int64_t otherwise) {
  const int64_t size = options.size.value_or(otherwise);
  if (size < 8 || size > 512) throw Error("data.size", fmt::format("{}, but 8 to 512 is meant", size));
  return size;
}

DataSource read_fashion_mnist(const DataOptions& options) {
  const fs::path folder = options.folder.value_or("/usr/share/datasets/fashion-mnist");
  const std::string part = options.split == DataSplit::train ? "train" : "t10k";
  const fs::path images = fashion_file(folder, part + "-images-idx3-ubyte");
  DataSource result{read_array_file(images), {}, images.string()};
  const Tensor& x = result.array.values;
  if (x.dim() != 3 || x.scalar_type() != at::kByte)
    throw Error(result.place, fmt::format("shape {}, but (N, H, W) uint8 is meant", to_string(x.sizes())));
  const fs::path classes = fashion_file(folder, part + "-labels-idx1-ubyte");
  result.labels = checked_labels(read_array_file(classes).values, x.size(0), classes.string());
  return result;
}

// 8 x 8 pixels from 0 to 16 and the digit, one a row.
DataSource read_digits(const DataOptions& options) {
  const fs::path file = options.folder.value_or(sklearn_folder) / "digits.csv.gz";
  require_file(file, install("python3-sklearn") + "; or folder = Tweedie's own data/digits");
  DataSource result{read_array_file(file), {}, file.string()};
  if (result.array.values.dim() != 2 || result.array.values.size(1) != 65) {
    throw Error(result.place,
                fmt::format("shape {}, but (N, 65) is meant", to_string(result.array.values.sizes())));
  }
  const LabelledTable table = take_label_column(result.array.values, -1, result.place);
  if (!in_range(table.values, 0, 16)) throw Error(result.place, "has a pixel that is not in 0 .. 16");
  result.array.values = table.values.view({-1, 1, 8, 8});
  result.array.white = 16;
  result.labels = table.labels;
  return result;
}

// 25 x 25 pixels from 0 to 1; the first 100 images are faces, the others are of anything else.
DataSource read_faces(const DataOptions& options) {
  constexpr int64_t faces = 100;
  const fs::path file = options.folder.value_or(skimage_folder) / "lfw_subset.npy";
  require_file(file, install("python3-skimage"));
  DataSource result{read_array_file(file), {}, file.string()};
  Tensor& x = result.array.values;
  if (x.dim() != 3 || x.size(0) < faces || !at::isFloatingType(x.scalar_type()) || !in_range(x, 0, 1)) {
    throw Error(result.place, fmt::format("shape {} of {}, but (200, 25, 25) of floats in [0, 1] is meant",
                                          to_string(x.sizes()), toString(x.scalar_type())));
  }
  x = x.slice(0, 0, faces).unsqueeze(1);
  result.array.white = 1;
  return result;
}

// Slices from the bottom of the head to its top, the face at the image's top; without those beyond the head,
// which nowhere reach a hundredth of the volume's maximum.
DataSource read_mri(const DataOptions& options) {
  const int64_t side = pixels_of_side(options, 64);
  const fs::path file = !options.file.empty()
                            ? options.file
                            : options.folder.value_or("/usr/share/mricron/templates") / "ch2.nii.gz";
  if (options.file.empty()) require_file(file, install("mricron-data"));
  const Bytes bytes = read_bytes(file);
  DataSource result{{parse_nifti(bytes, file.string()), {}, crc32_of(bytes)}, {}, file.string()};
  Tensor& x = result.array.values;
  while (x.dim() > 3 && x.size(0) == 1) x = x.squeeze(0);
  if (x.dim() != 3 || x.numel() == 0) {
    throw Error(result.place, fmt::format("shape {}, but a volume of 3 axes is meant", to_string(x.sizes())));
  }
  x = fitted(x.clamp_min(0).flip({1}), side);
  result.array.white = x.max().item<double>();
  if (*result.array.white <= 0) throw Error(result.place, "has no number above 0");
  x = x.index_select(0, x.amax({1, 2, 3}).gt(*result.array.white / 100).nonzero().flatten());
  return result;
}

}  // namespace tweedie
