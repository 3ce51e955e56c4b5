// Glow (Kingma, Dhariwal, "Glow: Generative flow with invertible 1x1 convolutions", NeurIPS 2018). At each
// level squares of 2 x 2 pixels become channels, then come the steps: activation normalisation, 1 x 1
// convolution, affine coupling. Half of the channels are then done with: given the other half h they are
// N(m(h), diag(v(h))), which is a coupling to z ~ N(0, I); h goes on to the next level.

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
using flows::Rotation;

struct Step {
  ActNorm norm;
  Rotation rotation;
  Coupling coupling;
};

struct Level {
  int64_t height, width, channels;  // after the squeeze
  std::vector<Step> steps;
  std::optional<Coupling> leaving;  // of the second half of the channels; the last level has none
  Shape places() const { return {height, width}; }
};

// (B, H, W, C) -> (B, H / 2, W / 2, 4 C)
Tensor fold_squares(const Tensor& x) {
  const int64_t height = x.size(1) / 2, width = x.size(2) / 2, channels = x.size(3);
  return x.reshape({x.size(0), height, 2, width, 2, channels})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({x.size(0), height, width, 4 * channels});
}

Tensor unfold_squares(const Tensor& y) {
  const int64_t height = y.size(1), width = y.size(2), channels = y.size(3) / 4;
  return y.reshape({y.size(0), height, width, 2, 2, channels})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({y.size(0), 2 * height, 2 * width, channels});
}

struct BoundLevel {
  std::vector<BoundCoupling> steps;
  std::optional<BoundCoupling> leaving;
};

class GlowBijection final : public Bijection {
 public:
  GlowBijection(const Shape& shape, const std::vector<Level>& levels, const Weights& weights)
      : Bijection(shape), levels_(levels), weights_(weights) {
    for (const Level& level : levels) {
      BoundLevel bound;
      for (const Step& step : level.steps) bound.steps.emplace_back(step.coupling, weights, level.places());
      if (level.leaving) bound.leaving.emplace(*level.leaving, weights, level.places());
      bound_.push_back(std::move(bound));
    }
  }

 protected:
  Encoded do_forward(const Tensor& x) const override {
    Passage at{x.movedim(1, -1), at::zeros({x.size(0)}, x.options())};
    std::vector<Tensor> z;
    for (size_t i = 0; i < levels_.size(); ++i) {
      at.x = fold_squares(at.x);
      for (size_t k = 0; k < levels_[i].steps.size(); ++k) {
        const Step& step = levels_[i].steps[k];
        at = step.rotation.forward(weights_, step.norm.forward(weights_, at));
        at = bound_[i].steps[k].forward(at);
      }
      if (bound_[i].leaving) {
        at = bound_[i].leaving->forward(at);
        const auto halves = at.x.chunk(2, -1);
        at.x = halves[0];
        z.push_back(halves[1].flatten(1));
      }
    }
    z.push_back(at.x.flatten(1));
    return {at::cat(z, 1), at.log_det};
  }

  Tensor do_inverse(const Tensor& z) const override {
    int64_t end = z.size(1);
    // The last numbers of z that are not yet used, as an image of so many channels
    const auto take = [&](const Level& level, int64_t channels) {
      const int64_t count = level.height * level.width * channels;
      end -= count;
      return z.narrow(1, end, count).reshape({z.size(0), level.height, level.width, channels});
    };
    Tensor x = take(levels_.back(), levels_.back().channels);
    for (size_t i = levels_.size(); i-- > 0;) {
      const Level& level = levels_[i];
      if (bound_[i].leaving)
        x = bound_[i].leaving->inverse(at::cat({x, take(level, level.channels / 2)}, -1));
      for (size_t k = level.steps.size(); k-- > 0;) {
        const Step& step = level.steps[k];
        x = step.rotation.inverse(weights_, bound_[i].steps[k].inverse(x));
        x = step.norm.inverse(weights_, x);
      }
      x = unfold_squares(x);
    }
    return x.movedim(-1, 1).contiguous();
  }

 private:
  std::vector<Level> levels_;
  Weights weights_;
  std::vector<BoundLevel> bound_;
};

class Glow final : public NormalisingFlow {
 public:
  Glow(const GlowOptions& options, const Shape& shape) : shape_(shape) {
    Level level{shape[1], shape[2], shape[0], {}, {}};
    for (int64_t i = 0; i < options.levels; ++i) {
      level = {level.height / 2, level.width / 2, 4 * level.channels, {}, {}};
      const std::string name = fmt::format("level{}", i);
      for (int64_t k = 0; k < options.steps; ++k) {
        const std::string step = fmt::format("{}.step{}", name, k);
        level.steps.push_back({ActNorm{step + ".norm", level.channels},
                               Rotation{step + ".rotation", level.channels},
                               Coupling(step + ".coupling", level.channels, false, options.scale_bound,
                                        {{options.width, 3}, {options.width, 1}}, 3)});
      }
      if (i + 1 < options.levels)
        level.leaving.emplace(name + ".leaving", level.channels, false, options.scale_bound,
                              std::vector<Coupling::Layer>{}, 3);
      levels_.push_back(level);
      if (level.leaving) level.channels /= 2;
    }
  }

  Shape shape() const override { return shape_; }

  Weights initialise(Noise noise, const Tensor& rows) const override {
    Weights weights;
    Passage at{rows.defined() ? rows.movedim(1, -1) : rows, at::zeros({})};
    for (const Level& level : levels_) {
      if (rows.defined()) at.x = fold_squares(at.x);
      for (const Step& step : level.steps) {
        step.norm.initialise(weights, at.x);
        step.rotation.initialise(weights, noise);
        step.coupling.initialise(weights, noise);
        if (rows.defined()) at = step.rotation.forward(weights, step.norm.forward(weights, at));
      }
      if (!level.leaving) continue;
      level.leaving->initialise(weights, noise);
      if (rows.defined()) at.x = at.x.chunk(2, -1)[0];
    }
    return weights;
  }

  std::unique_ptr<const Bijection> bind(const Weights& weights) const override {
    return std::make_unique<GlowBijection>(shape_, levels_, weights);
  }

 private:
  Shape shape_;
  std::vector<Level> levels_;
};

}  // namespace

std::shared_ptr<const NormalisingFlow> make_flow(const GlowOptions& options, const Shape& shape) {
  flows::require_at_least("model.levels", options.levels, 1);
  flows::require_at_least("model.steps", options.steps, 1);
  flows::require_at_least("model.width", options.width, 1);
  flows::check_common(options);
  if (shape.size() != 3)
    throw Error("data", fmt::format("shape {}: glow needs images (C, H, W)", to_string(shape)));
  int64_t height = shape[1], width = shape[2];
  for (int64_t i = 0; i < options.levels; ++i, height /= 2, width /= 2) {
    if (height == 0 || height % 2 != 0 || width == 0 || width % 2 != 0)
      throw Error("model.levels", fmt::format("{}: images of {} x {} can be halved {} {}", options.levels,
                                              shape[1], shape[2], i, i == 1 ? "time only" : "times only"));
  }
  return std::make_shared<Glow>(options, shape);
}

}  // namespace tweedie
