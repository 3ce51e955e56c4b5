// y = |F M x| or |F M x|^2, F the orthonormal Fourier transform of the image continued by zeros, M masks.
// With z = F M x the derivative's transpose is v -> Re M^* F^* (v z / |z|), or v -> 2 Re M^* F^* (v z), since
// d|z| = Re(conj(z) dz) / |z|. Candes, Li & Soltanolkotabi, "Phase retrieval from coded diffraction
// patterns", 2015.

#include "core/shape.h"
#include "operator/linear.h"
#include "tweedie/nonlinear_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

// Complex numbers as two real tensors: libtorch's complex product rounds differently in an array's last few
// entries.
struct Parts {
  Tensor re, im;
};

Shape transformed(const Shape& domain, const PhaseRetrieval& s) {
  Shape shape(domain.begin() + (s.complex ? 1 : 0), domain.end());
  for (const size_t axis : {shape.size() - 2, shape.size() - 1}) {
    shape[axis] = std::llround(s.oversampling * static_cast<double>(shape[axis]));
  }
  if (s.masks.defined()) shape.insert(shape.begin(), s.masks.size(0));
  return shape;
}

class PhaseRetrievalOperator final : public ForwardOperator {
 public:
  PhaseRetrievalOperator(Shape domain, const PhaseRetrieval& s)
      : domain_(std::move(domain)),
        codomain_(transformed(domain_, s)),
        grid_(codomain_.end() - 2, codomain_.end()),
        complex_(s.complex),
        intensity_(s.detector == Detector::intensity),
        coded_(s.masks.defined()),
        masks_(coded_ ? s.masks.to(at::kCPU, at::kDouble).contiguous() : at::ones({1}, at::kDouble)) {}
  Shape domain() const override { return domain_; }
  Shape codomain() const override { return codomain_; }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    const Parts z = field(x);
    const Tensor square = z.re.square() + z.im.square();
    return intensity_ ? square : square.sqrt();
  }

  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    const Parts z = field(x);
    Tensor weight = 2 * v;
    if (!intensity_) {
      const Tensor size = (z.re.square() + z.im.square()).sqrt();
      weight = at::where(size.gt(0), v / size, at::zeros_like(v));
    }
    return back({weight * z.re, weight * z.im}, x);
  }

 private:
  // z, each part (B, *codomain)
  Parts field(const Tensor& x) const {
    Tensor re = complex_ ? x.select(1, 0) : x, im = complex_ ? x.select(1, 1) : at::zeros_like(x);
    if (coded_) {
      re = re.unsqueeze(1);
      im = im.unsqueeze(1);
      const Parts m = masks(x);
      const Tensor turned = re * m.re - im * m.im;
      im = re * m.im + im * m.re;
      re = turned;
    }
    const Tensor image = at::view_as_complex(at::stack({re, im}, -1));
    const Tensor z = at::view_as_real(at::fft_fft2(image, grid_, {-2, -1}, "ortho"));
    return {z.select(-1, 0), z.select(-1, 1)};
  }

  // Re M^* F^* w, in x's shape
  Tensor back(const Parts& w, const Tensor& x) const {
    const Tensor spectrum = at::view_as_complex(at::stack({w.re, w.im}, -1));
    const Tensor image = at::view_as_real(at::fft_ifft2(spectrum, c10::nullopt, {-2, -1}, "ortho"))
                             .narrow(-3, 0, x.size(-2))
                             .narrow(-2, 0, x.size(-1));
    Tensor re = image.select(-1, 0), im = image.select(-1, 1);
    if (coded_) {
      const Parts m = masks(x);
      const Tensor turned = re * m.re + im * m.im;  // conj(m) w
      im = im * m.re - re * m.im;
      re = turned;
      re = summed(re);
      im = summed(im);
    }
    return complex_ ? at::stack({re, im}, 1) : re.contiguous();
  }

  // Over the masks, one after the other: a row's bits are its own.
  static Tensor summed(const Tensor& x) {
    Tensor sum = x.select(1, 0);
    for (int64_t l = 1; l < x.size(1); ++l) sum = sum + x.select(1, l);
    return sum;
  }

  // Each (L, 1, ..., 1, H, W), to be multiplied with (B, 1, *image)
  Parts masks(const Tensor& x) const {
    const Tensor m = masks_.like(x);
    Shape shape(codomain_.size(), 1);
    shape[0] = m.size(0);
    shape[shape.size() - 2] = m.size(1);
    shape.back() = m.size(2);
    return {m.select(-1, 0).reshape(shape), m.select(-1, 1).reshape(shape)};
  }

  Shape domain_, codomain_, grid_;
  bool complex_, intensity_, coded_;
  Constant masks_;
};

}  // namespace

ForwardOperatorPtr make_phase_retrieval(Shape domain, const PhaseRetrieval& settings) {
  require_domain(domain, 2, "phase-retrieval.domain");
  if (!(settings.oversampling >= 1 && settings.oversampling <= 16)) {
    throw Error("phase-retrieval.oversampling",
                fmt::format("{}, but 1 to 16 is needed", settings.oversampling));
  }
  if (settings.complex && (domain.size() != 3 || domain[0] != 2)) {
    throw Error(
        "phase-retrieval.complex",
        fmt::format("x has shape {}, but (2, H, W), real and imaginary part, is needed", to_string(domain)));
  }
  if (const Tensor& m = settings.masks; m.defined()) {
    if (m.dim() != 4 || m.size(0) < 1 || m.size(1) != domain[domain.size() - 2] ||
        m.size(2) != domain.back() || m.size(3) != 2) {
      throw Error("phase-retrieval.masks",
                  fmt::format("shape {}, but (L, {}, {}, 2) is needed", to_string(m.sizes()),
                              domain[domain.size() - 2], domain.back()));
    }
    require_real(m, "phase-retrieval.masks");
    require_finite(m, "phase-retrieval.masks");
  }
  return std::make_shared<PhaseRetrievalOperator>(std::move(domain), settings);
}

Tensor coded_masks(CodedMask kind, int64_t count, int64_t height, int64_t width, const Noise& noise) {
  if (count < 1 || count > 1000) {
    throw Error("phase-retrieval.masks", fmt::format("{}, but 1 to 1000 is needed", count));
  }
  const Tensor u = Noise(noise).uniform({count, height, width}, at::kDouble);
  if (kind == CodedMask::binary) {
    const Tensor open = u.lt(0.5).to(at::kDouble);
    return at::stack({open, at::zeros_like(open)}, -1);
  }
  const Tensor phase = 2 * std::numbers::pi * u;
  return at::stack({phase.cos(), phase.sin()}, -1);
}

}  // namespace tweedie
