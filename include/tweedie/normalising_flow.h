#pragma once
// Normalising flows: a bijection f between x and z ~ N(0, I), made of networks, so that draws are f^{-1}(z)
// and
//   log p(x) = log N(f(x); 0, I) + log |det df/dx|.

#include "tweedie/generative.h"
#include "tweedie/trainable.h"

#include <memory>
#include <optional>
#include <variant>

namespace tweedie {

// Vectors of at least 2 numbers (Dinh, Sohl-Dickstein, Bengio 2017).
struct RealNvpOptions {
  static constexpr const char* kind = "real-nvp";
  int64_t layers = 8;      // couplings, each of one half of the numbers given the other half
  int64_t width = 128;     // of the couplings' networks
  int64_t depth = 2;       // their hidden layers
  double scale_bound = 2;  // a coupling stretches by at most exp(scale_bound); > 0
  // Width of one grey level, such as 2 / 255 where [-1, 1] has 256: uniform noise of this width is added, so
  // that the density of data that take few values stays bounded. None for what is continuous.
  std::optional<double> dequantise;
};

// Images (C, H, W) with sides divisible by 2^levels (Kingma, Dhariwal 2018).
struct GlowOptions {
  static constexpr const char* kind = "glow";
  int64_t levels = 2;  // resolutions, each half of the one before
  int64_t steps = 8;   // couplings at each resolution
  int64_t width = 64;  // channels in the couplings' networks
  // As above. Lower, as stretches of many couplings multiply: at 2, draws of a model that is trained little
  // have pixels that explode.
  double scale_bound = 1;
  std::optional<double> dequantise;
};

using FlowOptions = std::variant<RealNvpOptions, GlowOptions>;

// f at given weights, whose dtype it computes in. Differentiable in x, z and the weights; in float32 on a CPU
// once.
class Bijection {
 public:
  struct Encoded {
    Tensor z;        // (B, d)
    Tensor log_det;  // (B): log |det dz/dx|
  };

  explicit Bijection(Shape shape) : shape_(std::move(shape)) {}
  virtual ~Bijection() = default;
  Encoded forward(const Tensor& x) const;     // x: (B, *shape)
  Tensor inverse(const Tensor& z) const;      // (B, d) -> (B, *shape)
  Tensor log_density(const Tensor& x) const;  // (B), nats

 protected:
  virtual Encoded do_forward(const Tensor& x) const = 0;
  virtual Tensor do_inverse(const Tensor& z) const = 0;  // its numbers, in x's order

 private:
  Shape shape_;
};

class NormalisingFlow {
 public:
  virtual ~NormalisingFlow() = default;
  virtual Shape shape() const = 0;
  // A fresh start, at which couplings are the identity and each activation normalisation gives the channels
  // of these rows, (n, *shape), mean 0 and variance 1 (one of equal numbers is scaled as the others are).
  // rows: undefined for a start that is the identity up to rotations and permutations.
  virtual Weights initialise(Noise noise, const Tensor& rows) const = 0;
  virtual std::unique_ptr<const Bijection> bind(const Weights& weights) const = 0;
};

// Throw Error on options out of range or that don't fit the shape.
std::shared_ptr<const NormalisingFlow> make_flow(const RealNvpOptions& options, const Shape& shape);
std::shared_ptr<const NormalisingFlow> make_flow(const GlowOptions& options, const Shape& shape);
std::shared_ptr<const NormalisingFlow> make_flow(const FlowOptions& options, const Shape& shape);

// Maximum likelihood: a row's loss is -log p(x) in nats, of the data with their noise where there is
// `dequantise`. Data on a thinner set than their space (a curve, a constant number) have no density: the loss
// then falls without end as the flow gets thinner.
class FlowModel final : public Trainable {
 public:
  FlowModel(const FlowOptions& options, const Shape& shape);

  Shape shape() const override { return flow_->shape(); }
  Weights initialise(Noise noise, const Tensor& rows) const override;
  Loss bind(const Weights& weights, at::ScalarType dtype) const override;

 private:
  std::shared_ptr<const NormalisingFlow> flow_;
  std::optional<double> dequantise_;
};

// The density of a flow in the units of the data. With `dequantise` the likelihood is that of x with noise of
// its own added: its mean over the noise is a lower bound of the log of p's mean over x's grey levels.
class FlowDistribution final : public GenerativeModel {
 public:
  // Throws Error on weights that are not those of this flow.
  FlowDistribution(const FlowOptions& options, const Shape& shape, const Weights& weights);

  Shape shape() const override { return flow_->shape(); }
  std::optional<LikelihoodKind> likelihood() const override {
    return dequantise_ ? LikelihoodKind::elbo : LikelihoodKind::exact;
  }

  std::optional<double> dequantise() const { return dequantise_; }  // width of a grey level

 protected:
  Tensor do_sample(int64_t rows, const Tensor& labels, Noise& noise) const override;
  Tensor do_log_likelihood(const Tensor& x, Noise& noise) const override;

 private:
  std::shared_ptr<const NormalisingFlow> flow_;
  std::optional<double> dequantise_;
  at::TensorOptions numbers_;  // dtype and device of the weights
  std::unique_ptr<const Bijection> bijection_;
};

// Of data of `dimension` numbers in grey levels of this width, from the log density in their own units:
// -(nats / dimension + ln grey) / ln 2
double bits_per_dimension(double nats, int64_t dimension, double grey);

}  // namespace tweedie
