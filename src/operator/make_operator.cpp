#include "tweedie/operator_options.h"

#include "operator/linear.h"
#include "operator/make_imaging.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {
namespace {

struct Builder : OperatorContext {
  ForwardOperatorPtr operator()(const IdentityOptions&) const {
    return in_config([&] { return make_identity(domain); });
  }

  ForwardOperatorPtr operator()(const MaskOptions& o) const {
    switch (o.pattern) {
      case MaskOptions::Pattern::random:
        return in_config([&] { return make_mask(random_mask(domain, o.fraction, choice(o))); });
      case MaskOptions::Pattern::box:
        return in_config([&] { return make_mask(box_mask(domain, o.top, o.left, o.height, o.width)); });
      case MaskOptions::Pattern::file:
        break;
    }
    const Tensor values = read(o.file, "file");
    return in_config([&] { return make_mask(keep_from(values)); }, {{"keep", "file", o.file}});
  }

  ForwardOperatorPtr operator()(const BlurOptions& o) const {
    if (o.kernel == BlurOptions::Kernel::gaussian) {
      return in_config([&] { return make_blur(domain, gaussian_kernel(o.std), o.boundary); });
    }
    if (o.kernel == BlurOptions::Kernel::motion) {
      return in_config([&] { return make_blur(domain, motion_kernel(o.length, o.angle), o.boundary); });
    }
    const Tensor kernel = read(o.file, "file");
    return in_config([&] { return make_blur(domain, kernel, o.boundary); }, {{"kernel", "file", o.file}});
  }

  ForwardOperatorPtr operator()(const DownsampleOptions& o) const {
    return in_config([&] { return make_downsample(domain, o.factor); });
  }

  ForwardOperatorPtr operator()(const MatrixOptions& o) const {
    const Tensor a = read(o.matrix, "matrix");
    return in_config([&] { return make_matrix(domain, a); }, {{"matrix", "matrix", o.matrix}});
  }

  ForwardOperatorPtr operator()(const CropOptions& o) const {
    return in_config([&] { return make_crop(domain, o.top, o.left, o.height, o.width); });
  }

  ForwardOperatorPtr operator()(const BicubicOptions& o) const {
    return in_config([&] { return make_bicubic(domain, o.factor); });
  }

  ForwardOperatorPtr operator()(const VaryingBlurOptions& o) const {
    const Tensor kernels = read(o.kernels, "kernels");
    return in_config([&] { return make_varying_blur(domain, kernels, o.boundary); },
                     {{"kernels", "kernels", o.kernels}});
  }

  ForwardOperatorPtr operator()(const DecolourOptions& o) const {
    require_shape();
    if (static_cast<int64_t>(o.weights.size()) != domain[0]) {
      throw Error(place + ".weights", fmt::format("{} of them, but x {} has {} channels", o.weights.size(),
                                                  to_string(domain), domain[0]));
    }
    return in_config([&] { return make_colour(domain, at::tensor(o.weights, at::kDouble).unsqueeze(0)); },
                     {{"matrix", "weights"}});
  }

  ForwardOperatorPtr operator()(const ColourOptions& o) const {
    const Tensor matrix = read(o.matrix, "matrix");
    return in_config([&] { return make_colour(domain, matrix); }, {{"matrix", "matrix", o.matrix}});
  }

  ForwardOperatorPtr operator()(const WaveletOptions& o) const {
    return in_config([&] { return make_wavelet(domain, o.wavelet, o.levels); });
  }

  ForwardOperatorPtr operator()(const DifferencesOptions& o) const {
    return in_config([&] { return make_differences(domain, o.edge); });
  }

  ForwardOperatorPtr operator()(const SparseOptions& o) const {
    const SparseMatrix matrix = sparse_from(o.matrix);
    try {
      return make_sparse(domain, matrix);
    } catch (const Error& e) {
      throw Error(place + ".matrix", fmt::format("{}: {}", o.matrix.string(), e.what()));
    }
  }

  ForwardOperatorPtr operator()(const CompressedSensingOptions& o) const {
    using Matrix = CompressedSensingOptions::Matrix;
    const Noise own = Noise(o.seed).stream(Stream::user);
    return in_config([&] {
      if (o.matrix == Matrix::gaussian) return make_gaussian_sensing(domain, o.measurements, own);
      const auto transform = o.matrix == Matrix::dct ? FastTransform::dct : FastTransform::hadamard;
      return make_subsampled_transform(domain, transform, o.measurements, o.random_signs, own);
    });
  }

  // Operators made of others

  ForwardOperatorPtr operator()(const ComposeOptions& o) const {
    require_parts(o.parts);
    std::vector<ForwardOperatorPtr> parts;
    Shape shape = domain;
    for (size_t k = 0; k < o.parts.size(); ++k) {
      parts.push_back(part(o.parts, k, shape));
      shape = parts.back()->codomain();
    }
    return in_turn(std::move(parts));
  }

  ForwardOperatorPtr operator()(const SumOptions& o) const {
    const auto parts = on_all_of_x(o.parts);
    return in_config([&] { return sum_of(parts); });
  }

  ForwardOperatorPtr operator()(const StackOptions& o) const { return stack_of(on_all_of_x(o.parts)); }

  ForwardOperatorPtr operator()(const BlockDiagonalOptions& o) const {
    require_parts(o.parts);
    require_shape();
    const auto count = static_cast<int64_t>(o.parts.size());
    if (domain[0] % count != 0) {
      throw Error(place + ".parts",
                  fmt::format("{} of them do not divide the first axis of x {} into equal pieces", count,
                              to_string(domain)));
    }
    Shape piece = domain;
    piece[0] /= count;
    std::vector<ForwardOperatorPtr> parts;
    for (size_t k = 0; k < o.parts.size(); ++k) parts.push_back(part(o.parts, k, piece));
    return block_diagonal(std::move(parts));
  }

  ForwardOperatorPtr operator()(const AdjointOptions& o) const {
    require_one(o.parts);
    if (o.shape.empty())
      throw Error(place + ".shape", "none, but the shape that the part maps from is needed");
    const auto linear = std::dynamic_pointer_cast<const LinearOperator>(part(o.parts, 0, o.shape));
    if (!linear) throw Error(place + ".parts[0]", "not linear: it has no adjoint");
    if (linear->codomain() != domain) {
      throw Error(place + ".shape",
                  fmt::format("{}, from which the part maps to {}, but x has shape {}", to_string(o.shape),
                              to_string(linear->codomain()), to_string(domain)));
    }
    return adjoint_of(linear);
  }

  ForwardOperatorPtr operator()(const ScaleOptions& o) const {
    require_one(o.parts);
    const auto a = part(o.parts, 0, domain);
    return in_config([&] { return scaled(a, o.factor); });
  }

  // Not linear, and the user's own

  ForwardOperatorPtr operator()(const PhaseRetrievalOptions& o) const {
    using Coding = PhaseRetrievalOptions::Coding;
    return in_config([&] {
      PhaseRetrieval settings{o.oversampling, o.complex, o.detector};
      if (o.coding != Coding::none) {
        require_domain(domain, 2, "operator.domain");
        settings.masks =
            coded_masks(o.coding == Coding::phase ? CodedMask::phase : CodedMask::binary, o.masks,
                        domain[domain.size() - 2], domain.back(), Noise(o.seed).stream(Stream::user));
      }
      return make_phase_retrieval(domain, settings);
    });
  }

  ForwardOperatorPtr operator()(const SaturationOptions& o) const {
    return in_config([&] { return make_saturation(domain, o.curve, o.gain, o.low, o.high); });
  }

  ForwardOperatorPtr operator()(const QuantisationOptions& o) const {
    return in_config([&] { return make_quantisation(domain, o.levels, o.low, o.high, o.derivative); });
  }

  ForwardOperatorPtr operator()(const PerspectiveOptions& o) const {
    if (!o.cameras.empty() && (!o.intrinsics.empty() || o.baseline != 0)) {
      throw Error(place + ".cameras", "given beside intrinsics or baseline; one of them is meant");
    }
    if (!o.cameras.empty()) {
      const Tensor cameras = read(o.cameras, "cameras");
      return in_config([&] { return make_perspective(domain, cameras, o.nearest); },
                       {{"cameras", "cameras", o.cameras}});
    }
    const Tensor k = read(o.intrinsics, "intrinsics");
    const Tensor r = o.rotation.empty() ? at::eye(3, at::kDouble) : read(o.rotation, "rotation");
    return in_config([&] {
      const Tensor t = at::tensor(o.translation, at::kDouble);
      const Tensor first = camera_matrix(k, r, t);
      if (o.baseline == 0) return make_perspective(domain, first, o.nearest);
      const Tensor moved =
          t - at::tensor({o.baseline, 0.0, 0.0}, at::kDouble);  // the camera moves along its own x axis
      return make_perspective(domain, at::stack({first, camera_matrix(k, r, moved)}), o.nearest);
    });
  }

  ForwardOperatorPtr operator()(const TorchscriptOperatorOptions& o) const {
    require_shape();
    return load_torchscript_operator(o.file, domain, o.adjoint, place);
  }

  ForwardOperatorPtr operator()(const SubprocessOptions& o) const {
    require_shape();
    return start_subprocess_operator({o.command, o.folder, o.linear, o.timeout}, domain, place);
  }

  Noise choice(const MaskOptions& o) const { return o.seed ? Noise(*o.seed).stream(Stream::user) : noise; }

  ForwardOperatorPtr part(const OperatorParts& parts, size_t k, const Shape& shape) const {
    const std::string inside = fmt::format("{}.parts[{}]", place, k);
    if (const auto* mask = std::get_if<MaskOptions>(&parts[k].options);
        mask != nullptr && mask->pattern == MaskOptions::Pattern::random && !mask->seed) {
      throw Error(inside + ".seed", "none, but a random mask that is part of another operator needs its own");
    }
    if (const auto* sampled = cartesian_of(parts[k].options);
        sampled != nullptr && sampled->mask.empty() && is_random(sampled->sampling.pattern)) {
      throw Error(inside + ".mask",
                  "none, but random lines or points of an operator that is part of another need a file");
    }
    return std::visit(Builder{{shape, noise, read_array, inside}}, parts[k].options);
  }

  std::vector<ForwardOperatorPtr> on_all_of_x(const OperatorParts& parts) const {
    require_parts(parts);
    std::vector<ForwardOperatorPtr> made;
    for (size_t k = 0; k < parts.size(); ++k) made.push_back(part(parts, k, domain));
    return made;
  }

  void require_parts(const OperatorParts& parts) const {
    if (parts.empty())
      throw Error(place + ".parts", fmt::format("none; at least one table [[{}.parts]] is meant", place));
  }
  void require_one(const OperatorParts& parts) const {
    if (parts.size() != 1)
      throw Error(place + ".parts", fmt::format("{} of them, but one is needed", parts.size()));
  }
  void require_shape() const { require_domain(domain, 1, place); }

  // What scipy.sparse.save_npz writes: format, shape, data, indices, indptr
  SparseMatrix sparse_from(const std::filesystem::path& path) const {
    const auto member = [&](const char* name) { return read(path.string() + ":" + name, "matrix"); };
    const auto refuse = [&](const std::string& what) -> Error {
      return {place + ".matrix", fmt::format("{}: {}", path.string(), what)};
    };
    if (path.empty()) read(path, "matrix");
    const Tensor letters = member("format").to(at::kCPU, at::kByte).contiguous(), shape = member("shape");
    const std::string format(reinterpret_cast<const char*>(letters.data_ptr<uint8_t>()), letters.numel());
    if (format != "csr" && format != "csc") {
      throw refuse(fmt::format("format '{}', but csr or csc is needed; convert it with .tocsr()", format));
    }
    if (shape.dim() != 1 || shape.numel() != 2) throw refuse("its shape has not two numbers");
    const Tensor size = shape.to(at::kCPU, at::kLong);
    SparseMatrix m{size[0].item<int64_t>(), size[1].item<int64_t>(), member("indptr"), member("indices"),
                   member("data")};
    if (c10::isIntegralType(m.values.scalar_type(), /*includeBool=*/true))
      m.values = m.values.to(at::kDouble);
    if (format == "csr") return m;
    std::swap(m.rows, m.columns);
    try {
      return transposed(m);
    } catch (const Error& e) {
      throw refuse(e.what());
    }
  }

  template <class Imaging>
  requires requires(const Imaging& o, const OperatorContext& c) { make_imaging(o, c); }
  ForwardOperatorPtr operator()(const Imaging& o) const { return make_imaging(o, *this); }

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

ForwardOperatorPtr make_operator(const OperatorOptions& options, const Shape& domain, const Noise& noise,
                                 const ReadArray& read_array) {
  return std::visit(Builder{{domain, noise, read_array}}, options);
}

}  // namespace tweedie
