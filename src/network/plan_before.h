#pragma once
// What precedes a convolution of a plan: GroupNorm with its modulation, and SiLU, with their derivative.

#include "kernel/normalise.h"
#include "network/plan.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace tweedie {

// activation(norm(x)) of one image: as a x + b per lane, and what its derivative needs besides.
template <class E>
class Before {
 public:
  Before(const ImageSize& size, const std::optional<Normalisation>& norm, Activation activation)
      : size_(size), norm_(norm), activation_(activation) {}

  bool nothing() const { return !norm_ && activation_ == Activation::none; }

  // Of the norm, which is there; 0 in the lanes without a channel
  struct Affine {
    std::vector<float> scale, a, b, mean, rstd;
  };
  Affine affine(const Frame<E>& frame, const E* x, int64_t row) const {
    const int64_t lanes = size_.lanes();
    const std::vector<float> zeros(static_cast<size_t>(lanes), 0.0F);
    Affine result{.scale = zeros, .a = zeros, .b = zeros, .mean = zeros, .rstd = zeros};
    group_statistics(x, size_, norm_->groups, result.mean.data(), result.rstd.data());
    const float* modulation = modulation_of(frame, row);
    for (int64_t c = 0; c < size_.channels; ++c) {
      const float gain = modulation == nullptr ? 1 : 1 + modulation[c];
      const float shift = modulation == nullptr ? 0 : modulation[size_.channels + c];
      result.scale[c] = norm_->weight.data[c] * gain;
      result.a[c] = result.scale[c] * result.rstd[c];
      result.b[c] = norm_->bias.data[c] * gain + shift - result.a[c] * result.mean[c];
    }
    return result;
  }

  void apply(const Frame<E>& frame, const E* x, int64_t row, ImageView<E> y) const {
    if (nothing()) return copy_image(x, size_, y);
    if (!norm_) {
      const int64_t numbers = size_.width * size_.lanes();
      for (int64_t i = 0; i < size_.height; ++i) silu(x + i * numbers, numbers, y.data + i * y.row);
      return;
    }
    const Affine affine = this->affine(frame, x, row);
    affine_activation(x, size_, affine.a.data(), affine.b.data(), activation_, y);
  }

  // dx (= or +=) from dz, which is lost, and activation(norm(x)) into z where that is not null; the gradients
  // of the norm's parameters and of the modulation are added to. With x^ = (x - mean) rstd and g = dz
  // activation'(z):
  //   dscale = sum g x^,  dshift = sum g,
  //   dx = rstd (scale g - mean_group(scale g) - x^ mean_group(scale g x^))
  void gradient(Frame<E>& frame, const E* x, int64_t row, float* dz, bool add, E* dx, E* z = nullptr) const {
    if (nothing()) return add_numbers(dz, size_.numbers(), add, dx);
    if (!norm_) return silu_gradient(x, size_.numbers(), dz, add, dx, z);
    const int64_t lanes = size_.lanes();
    const Affine affine = this->affine(frame, x, row);
    std::vector<float> sum_g(lanes), sum_gx(lanes), u(lanes, 0.0F), v(lanes, 0.0F);
    if (z != nullptr)
      affine_activation(x, size_, affine.a.data(), affine.b.data(), activation_, ImageView<E>::of(z, size_));
    activation_gradient(x, size_, affine.a.data(), affine.b.data(), affine.mean.data(), activation_, dz,
                        sum_g.data(), sum_gx.data());
    const int64_t group_channels = size_.channels / norm_->groups;
    const double count = static_cast<double>(size_.pixels() * group_channels);
    for (int64_t begin = 0; begin < size_.channels; begin += group_channels) {
      double mean_g = 0, mean_gx = 0;
      for (int64_t c = begin; c < begin + group_channels; ++c) {
        mean_g += static_cast<double>(affine.scale[c]) * sum_g[c] / count;
        mean_gx += static_cast<double>(affine.scale[c]) * sum_gx[c] / count;
      }
      const double rstd = affine.rstd[begin];
      std::fill_n(u.begin() + begin, group_channels, static_cast<float>(rstd * mean_g));
      std::fill_n(v.begin() + begin, group_channels, static_cast<float>(rstd * rstd * rstd * mean_gx));
    }
    add_parameter_gradients(frame, row, affine, sum_g, sum_gx);
    if (dx != nullptr)
      norm_gradient(x, size_, affine.a.data(), u.data(), v.data(), affine.mean.data(), dz, add, dx);
  }

 private:
  const float* modulation_of(const Frame<E>& frame, int64_t row) const {
    return norm_->modulation ? frame.modulation + row * frame.modulation_row + *norm_->modulation : nullptr;
  }

  // scale = w (1 + m) and shift = b (1 + m) + n
  void add_parameter_gradients(Frame<E>& frame, int64_t row, const Affine& affine,
                               const std::vector<float>& sum_g, const std::vector<float>& sum_gx) const {
    float* d_weight = frame.sum_of_gradient(norm_->weight);
    float* d_bias = frame.sum_of_gradient(norm_->bias);
    float* d_modulation = norm_->modulation && frame.modulation_gradient != nullptr
                              ? frame.modulation_gradient + row * frame.modulation_row + *norm_->modulation
                              : nullptr;
    const float* modulation = modulation_of(frame, row);
    for (int64_t c = 0; c < size_.channels; ++c) {
      const float gain = modulation == nullptr ? 1 : 1 + modulation[c];
      const float d_scale = sum_gx[c] * affine.rstd[c], d_shift = sum_g[c];
      if (d_weight != nullptr) d_weight[c] += d_scale * gain;
      if (d_bias != nullptr) d_bias[c] += d_shift * gain;
      if (d_modulation != nullptr) {
        d_modulation[c] += d_scale * norm_->weight.data[c] + d_shift * norm_->bias.data[c];
        d_modulation[size_.channels + c] += d_shift;
      }
    }
  }

  ImageSize size_;
  std::optional<Normalisation> norm_;
  Activation activation_;
};

}  // namespace tweedie
