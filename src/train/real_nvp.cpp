// RealNVP (Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017): couplings of halves
// of the coordinates, each preceded by an activation normalisation. Couplings 2k and 2k + 1 change the two
// halves in turn; from one pair to the next the coordinates are permuted, so that the halves are others. Two
// coordinates have no other halves.

#include "core/shape.h"
#include "train/flow_layers.h"
#include "train/flow_options.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

using flows::ActNorm;
using flows::BoundCoupling;
using flows::Coupling;
using flows::Passage;

struct Layer {
  Tensor permutation, inverse;  // of the coordinates, before all else; undefined: none
  ActNorm norm;
  Coupling coupling;
};

class RealNvpBijection final : public Bijection {
 public:
  RealNvpBijection(const Shape& shape, const std::vector<Layer>& layers, const Weights& weights)
      : Bijection(shape), layers_(layers), weights_(weights) {
    for (const Layer& layer : layers) couplings_.emplace_back(layer.coupling, weights, Shape{});
  }

 protected:
  Encoded do_forward(const Tensor& x) const override {
    Passage at{x.flatten(1), at::zeros({x.size(0)}, x.options())};
    for (size_t k = 0; k < layers_.size(); ++k) {
      if (layers_[k].permutation.defined()) at.x = at.x.index_select(1, layers_[k].permutation);
      at = couplings_[k].forward(layers_[k].norm.forward(weights_, at));
    }
    return {at.x, at.log_det};
  }

  Tensor do_inverse(const Tensor& z) const override {
    Tensor x = z;
    for (size_t k = layers_.size(); k-- > 0;) {
      x = layers_[k].norm.inverse(weights_, couplings_[k].inverse(x));
      if (layers_[k].inverse.defined()) x = x.index_select(1, layers_[k].inverse);
    }
    return x;
  }

 private:
  std::vector<Layer> layers_;
  Weights weights_;
  std::vector<BoundCoupling> couplings_;
};

class RealNvp final : public NormalisingFlow {
 public:
  RealNvp(const RealNvpOptions& options, const Shape& shape) : shape_(shape) {
    const int64_t d = product(shape);
    const std::vector<Coupling::Layer> hidden(options.depth, {options.width, 1});
    for (int64_t k = 0; k < options.layers; ++k) {
      Tensor permutation, inverse;
      if (d > 2 && k > 0 && k % 2 == 0) {
        // Part of what the flow is, not of its start: the same whatever the seed
        permutation = at::tensor(Noise(0).stream(static_cast<uint64_t>(k)).permutation(d));
        inverse = permutation.argsort();
      }
      const std::string name = fmt::format("layer{}", k);
      layers_.push_back({permutation, inverse, ActNorm{name + ".norm", d},
                         Coupling(name + ".coupling", d, k % 2 == 1, options.scale_bound, hidden, 1)});
    }
  }

  Shape shape() const override { return shape_; }

  Weights initialise(Noise noise, const Tensor& rows) const override {
    Weights weights;
    Passage at{rows.defined() ? rows.flatten(1) : rows, at::zeros({})};
    for (const Layer& layer : layers_) {
      if (rows.defined() && layer.permutation.defined()) at.x = at.x.index_select(1, layer.permutation);
      layer.norm.initialise(weights, at.x);
      layer.coupling.initialise(weights, noise);
      if (rows.defined()) at = layer.norm.forward(weights, at);
    }
    return weights;
  }

  std::unique_ptr<const Bijection> bind(const Weights& weights) const override {
    return std::make_unique<RealNvpBijection>(shape_, layers_, weights);
  }

 private:
  Shape shape_;
  std::vector<Layer> layers_;
};

}  // namespace

std::shared_ptr<const NormalisingFlow> make_flow(const RealNvpOptions& options, const Shape& shape) {
  flows::require_at_least("model.layers", options.layers, 1);
  flows::require_at_least("model.width", options.width, 1);
  flows::require_at_least("model.depth", options.depth, 1);
  flows::check_common(options);
  if (product(shape) < 2)
    throw Error("data", fmt::format("shape {}: real-nvp needs at least 2 numbers", to_string(shape)));
  return std::make_shared<RealNvp>(options, shape);
}

}  // namespace tweedie
