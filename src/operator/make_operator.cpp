#include "tweedie/operator_options.h"

#include "core/shape.h"
#include "operator/make_imaging.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {
namespace {

// What is being made, for the operators' own errors to be told in the words of the config file: a `domain` is
// the user's only through the image, so that error points at the operator as a whole.
struct Builder {
  const Shape& domain;
  const Noise& noise;
  const ReadArray& read_array;

  // Runs `make`; an Error at "blur.std" becomes one at "measurement.operator.std". Errors about `from_file`
  // are about what the file at `path` holds, which the config names in `field`.
  template <class Make>
  static auto in_config(Make make, const std::string& from_file = "", const std::string& field = "",
                        const std::filesystem::path& path = {}) {
    try {
      return make();
    } catch (const Error& e) {
      const std::string name = e.place().substr(e.place().find('.') + 1);
      const std::string what = std::string(e.what()).substr(e.place().size() + 2);
      if (name == from_file) throw Error("measurement.operator." + field, path.string() + ": " + what);
      throw Error(name == "domain" ? "measurement.operator" : "measurement.operator." + name, what);
    }
  }

  Tensor read(const std::filesystem::path& path, const char* field) const {
    if (path.empty()) {
      throw Error(fmt::format("measurement.operator.{}", field),
                  "no file is given, but the path of an array is needed");
    }
    return read_array(path);
  }

  LinearOperatorPtr operator()(const IdentityOptions&) const {
    return in_config([&] { return make_identity(domain); });
  }

  LinearOperatorPtr operator()(const MaskOptions& o) const {
    switch (o.pattern) {
      case MaskOptions::Pattern::random:
        return in_config([&] { return make_mask(random_mask(domain, o.fraction, noise)); });
      case MaskOptions::Pattern::box:
        return in_config([&] { return make_mask(box_mask(domain, o.top, o.left, o.height, o.width)); });
      case MaskOptions::Pattern::file:
        break;
    }
    const Tensor values = read(o.file, "file");
    return in_config([&] { return make_mask(keep_from(values)); }, "keep", "file", o.file);
  }

  LinearOperatorPtr operator()(const BlurOptions& o) const {
    if (o.kernel == BlurOptions::Kernel::gaussian) {
      return in_config([&] { return make_blur(domain, gaussian_kernel(o.std), o.boundary); });
    }
    const Tensor kernel = read(o.file, "file");
    return in_config([&] { return make_blur(domain, kernel, o.boundary); }, "kernel", "file", o.file);
  }

  LinearOperatorPtr operator()(const DownsampleOptions& o) const {
    return in_config([&] { return make_downsample(domain, o.factor); });
  }

  LinearOperatorPtr operator()(const MatrixOptions& o) const {
    const Tensor a = read(o.matrix, "matrix");
    return in_config([&] { return make_matrix(domain, a); }, "matrix", "matrix", o.matrix);
  }

  template <class Imaging>
  requires requires(const Imaging& o, const ImagingContext& c) { make_imaging(o, c); }
  LinearOperatorPtr operator()(const Imaging& o) const {
    return make_imaging(o, {domain, noise, read_array});
  }

  Tensor keep_from(const Tensor& values) const {
    const at::IntArrayRef whole(domain);
    const bool per_pixel = domain.size() > 2 && values.sizes() == whole.slice(domain.size() - 2);
    if (values.sizes() != whole && !per_pixel) {
      throw Error("mask.keep", fmt::format("shape {}, but {}{} is needed", to_string(values.sizes()),
                                           to_string(whole), domain.size() > 2 ? " or (height, width)" : ""));
    }
    if (values.ne(0).logical_and(values.ne(1)).any().item<bool>()) {
      throw Error("mask.keep", "values besides 0 and 1, but 1 for kept and 0 for hidden is needed");
    }
    return values.to(at::kBool).expand(domain);
  }
};

}  // namespace

LinearOperatorPtr make_operator(const OperatorOptions& options, const Shape& domain, const Noise& noise,
                                const ReadArray& read_array) {
  return std::visit(Builder{domain, noise, read_array}, options);
}

}  // namespace tweedie
