#include "run/result_files.h"

#include "core/shape.h"
#include "io/numbers.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

bool is_plain(FileFormat format) {
  return format == FileFormat::npy || format == FileFormat::npz || format == FileFormat::idx ||
         format == FileFormat::csv;
}

// The format that results get, or npy for none.
FileFormat format_of(const OutputConfig& config, const ArrayMeta& input) {
  switch (config.format) {
    case OutputFormat::automatic:
    case OutputFormat::as_input:
      return is_plain(input.format) ? FileFormat::npy : input.format;
    case OutputFormat::npy:
      return FileFormat::npy;
    case OutputFormat::png:
      return FileFormat::png;
    case OutputFormat::tiff:
      return FileFormat::tiff;
    case OutputFormat::nifti:
      return FileFormat::nifti;
    case OutputFormat::hdf5:
      return FileFormat::hdf5;
    case OutputFormat::cfl:
      return FileFormat::cfl;
    case OutputFormat::fits:
      return FileFormat::fits;
    case OutputFormat::netcdf:
      return FileFormat::netcdf;
    case OutputFormat::raw:
      return FileFormat::raw;
  }
  return FileFormat::npy;
}

// Two channels of a complex measurement's image are its real and imaginary part.
bool is_complex_image(const ArrayMeta& meta, at::IntArrayRef shape) {
  return meta.dtype.starts_with("complex") && shape.size() >= 3 && shape[shape.size() - 3] == 2;
}

// What a file of the format holds of an array of results: shape with complex numbers and the input's own axes
Tensor in_file(const Tensor& x, const ArrayMeta& meta) {
  const bool complex = is_complex_image(meta, x.sizes());
  return with_axes_of(complex ? complex_of_channels(x, x.dim() - 3) : x, meta.shape);
}

// Where pixels of a picture were scaled, the inverse; of a standard deviation without its offset
Tensor in_pixels(const Tensor& x, const Measured& measured, bool deviation) {
  if (!measured.range) return x;
  const double scale = measured.like.white / (measured.range->high - measured.range->low);
  return (deviation ? x : x - measured.range->low) * scale;
}

// The input's own ending where its format is kept
std::string extension_of(FileFormat format, const ArrayMeta& meta, const Tensor& x) {
  const std::string usual = extension_for(format, x.sizes()), &own = meta.extension;
  if (usual.empty() || format != meta.format || own.empty() || format == FileFormat::jpeg) return usual;
  const bool packed = own.ends_with(".gz"),
             may_be_packed = format == FileFormat::nifti || format == FileFormat::fits;
  const bool hdf5 = format == FileFormat::hdf5 || format == FileFormat::ismrmrd;
  if ((packed && !may_be_packed) || (hdf5 && own != ".h5" && own != ".hdf5" && own != ".mrd")) return usual;
  return own;
}

// The same of shapes alone
Tensor shaped_like(const Shape& shape) {
  return at::empty({1}, at::kDouble).expand(shape);
}

}  // namespace

void check_output(const OutputConfig& config, const Measured& measured, const Shape& shape) {
  const FileFormat format = format_of(config, measured.like);
  if (config.format == OutputFormat::automatic || is_plain(format)) return;
  if (measured.many && (format == FileFormat::png || format == FileFormat::jpeg))
    throw Error("output.format", "a picture holds one case, but y has several; tiff or npy is meant");
  Shape all = shape;
  if (measured.many) all.insert(all.begin(), measured.y.size(0));
  if (extension_for(format, in_file(shaped_like(all), measured.like).sizes()).empty()) {
    throw Error("output.format",
                fmt::format("{} has no room for shape {}; npy has",
                            names(FileFormat{}).at(static_cast<size_t>(format)), to_string(all)));
  }
}

ResultFiles write_results(const OutputConfig& config, const Measured& measured, const Results& results,
                          const RunFolder& folder) {
  ResultFiles files;
  ArrayMeta meta = measured.like;
  const FileFormat format = format_of(config, meta);
  if (is_plain(format)) return files;
  const bool picture = format == FileFormat::png || format == FileFormat::jpeg;
  const auto write = [&](const char* name, const Tensor& values, bool deviation) {
    const Tensor x = in_file(in_pixels(values, measured, deviation), measured.like);
    const std::string extension = extension_of(format, measured.like, x);
    if (extension.empty()) return false;
    const std::string file = name + extension;
    const bool hdf5 = format == FileFormat::hdf5 || format == FileFormat::ismrmrd;
    write_like(folder.path(hdf5 ? file + ":reconstruction" : file), x, meta);
    files.names.push_back(file);
    return true;
  };
  // Headers are of the input's own format; another one takes what all have.
  if (meta.format != format) {
    meta.format = format;
    meta.header.clear();
    meta.dtype = "float32";
    meta.slope = 1;
    meta.intercept = 0;
  }
  if (!(meta.white > 0) && picture) meta.white = 255;
  const auto of_cases = [&](const Tensor& x) { return measured.many ? x : x.squeeze(0); };
  if (picture && measured.many) return files;
  write("mean", of_cases(results.mean), false);
  if (results.std.defined()) write("std", of_cases(results.std), true);
  const bool named = config.format != OutputFormat::automatic;
  if (named && !picture) write("samples", measured.many ? results.draws : results.draws.squeeze(1), false);
  const Tensor mean = in_file(of_cases(results.mean), measured.like);
  const bool placed = !meta.affine.empty() || !meta.spacing.empty();
  if (!files.names.empty() && placed && !on_grid_of(measured.like, mean.sizes())) {
    files.warnings.push_back(
        fmt::format("{}: x is on another grid ({}) than the file that was measured ({}), so "
                    "spacing and orientation are left out",
                    files.names[0], to_string(mean.sizes()), to_string(measured.like.shape)));
  }
  return files;
}

}  // namespace tweedie
