#include "network/norm_silu.h"

#include "core/vectorised.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <bit>
#include <cstring>
#include <vector>

// A product and its sum are rounded one by one, so that a x + b is exactly 0 where x is its group's mean.
#pragma STDC FP_CONTRACT OFF

namespace tweedie {

namespace {

constexpr double epsilon = 1e-5;

struct Sizes {
  int64_t rows, channels, pixels, groups;
  int64_t group_channels() const { return channels / groups; }
};

TWEEDIE_INLINE float load(float value) {
  return value;
}
TWEEDIE_INLINE float load(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
TWEEDIE_INLINE void store(float& target, float value) {
  target = value;
}
TWEEDIE_INLINE void store(uint16_t& target, float value) {  // to bfloat16, round to nearest even
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  target = static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// exp to 2e-7 relative on [-87, 87], saturating outside: 2^n by exponent bits, the rest by a Taylor
// polynomial
TWEEDIE_INLINE float exp_approx(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 87.0f ? 87.0f : x;
  constexpr float magic = 12582912.0f;  // 1.5 2^23: adding it rounds to an integer, kept in the low bits
  const float shifted = x * 1.44269504088896341f + magic;
  const float n = shifted - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  const float p =
      1 + r * (1 + r * (0.5f + r * (1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f))))));
  const uint32_t power = (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(magic) + 127) << 23;
  return p * std::bit_cast<float>(power);
}

TWEEDIE_INLINE float sigmoid(float z) {
  return 1 / (1 + exp_approx(-z));
}

// Per-channel mean and sum of squared deviations over the pixels of one row, about the first pixel for
// accuracy.
template <class Value>
TWEEDIE_INLINE void moments(const Value* __restrict x, int64_t pixels, int64_t channels,
                            float* __restrict sum, float* __restrict square) {
  for (int64_t c = 0; c < channels; ++c) sum[c] = square[c] = 0;
  for (int64_t p = 1; p < pixels; ++p) {
    const Value* pixel = x + p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float d = load(pixel[c]) - load(x[c]);
      sum[c] += d;
      square[c] += d * d;
    }
  }
}

// y = silu(a x + b), a and b per channel
template <class Value>
TWEEDIE_INLINE void affine_silu(const Value* __restrict x, int64_t pixels, int64_t channels,
                                const float* __restrict a, const float* __restrict b, Value* __restrict y) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const float z = a[c] * load(x[p * channels + c]) + b[c];
      store(y[p * channels + c], z * sigmoid(z));
    }
  }
}

// g = dy silu'(a x + b) into `g`, and per channel the sums of g and g x
template <class Value>
TWEEDIE_INLINE void backward_sums(const Value* __restrict x, const Value* __restrict dy, int64_t pixels,
                                  int64_t channels, const float* __restrict a, const float* __restrict b,
                                  const float* __restrict mean, float* __restrict g, float* __restrict sum_g,
                                  float* __restrict sum_gx) {
  for (int64_t c = 0; c < channels; ++c) sum_g[c] = sum_gx[c] = 0;
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = p * channels + c;
      const float value = load(x[i]);
      const float z = a[c] * value + b[c];
      const float s = sigmoid(z);
      const float gradient = load(dy[i]) * s * (1 + z * (1 - s));
      g[i] = gradient;
      sum_g[c] += gradient;
      sum_gx[c] += gradient * (value - mean[c]);
    }
  }
}

// dx = a g - u - v x, u and v per channel
template <class Value>
TWEEDIE_INLINE void backward_input(const Value* __restrict x, const float* __restrict g, int64_t pixels,
                                   int64_t channels, const float* __restrict a, const float* __restrict u,
                                   const float* __restrict v, const float* __restrict mean,
                                   Value* __restrict dx) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = p * channels + c;
      store(dx[i], a[c] * g[i] - u[c] - v[c] * (load(x[i]) - mean[c]));
    }
  }
}

// Group statistics of one row from its channels' moments: the mean of each channel's group, and 1 / std.
template <class Value>
void group_statistics(const Value* x, const Sizes& n, float* mean, float* rstd) {
  std::vector<float> sum(n.channels), square(n.channels);
  vectorised<moments<Value>>(x, n.pixels, n.channels, sum.data(), square.data());
  const double pixels = static_cast<double>(n.pixels);
  for (int64_t group = 0; group < n.groups; ++group) {
    const int64_t begin = group * n.group_channels(), end = begin + n.group_channels();
    double group_mean = 0, deviation = 0;
    for (int64_t c = begin; c < end; ++c) group_mean += load(x[c]) + sum[c] / pixels;
    group_mean /= static_cast<double>(n.group_channels());
    for (int64_t c = begin; c < end; ++c) {
      const double about = load(x[c]) + sum[c] / pixels - group_mean;
      deviation += square[c] - sum[c] * (sum[c] / pixels) + pixels * about * about;
    }
    const double variance = std::max(0.0, deviation / (pixels * static_cast<double>(n.group_channels())));
    for (int64_t c = begin; c < end; ++c) {
      mean[c] = static_cast<float>(group_mean);
      rstd[c] = static_cast<float>(1 / std::sqrt(variance + epsilon));
    }
  }
}

// The affine map of one row: a = scale rstd, b = shift - a mean
void affine(const Sizes& n, const float* scale, const float* shift, const float* mean, const float* rstd,
            float* a, float* b) {
  for (int64_t c = 0; c < n.channels; ++c) {
    a[c] = scale[c] * rstd[c];
    b[c] = shift[c] - a[c] * mean[c];
  }
}

template <class Value>
void forward(const Sizes& n, const Value* x, const float* scale, const float* shift, int64_t stride,
             float* mean, float* rstd, Value* y) {
  std::vector<float> a(n.channels), b(n.channels);
  for (int64_t row = 0; row < n.rows; ++row) {
    const int64_t at = row * n.pixels * n.channels, per_row = row * n.channels;
    group_statistics(x + at, n, mean + per_row, rstd + per_row);
    affine(n, scale + row * stride, shift + row * stride, mean + per_row, rstd + per_row, a.data(), b.data());
    vectorised<affine_silu<Value>>(x + at, n.pixels, n.channels, a.data(), b.data(), y + at);
  }
}

// With x^ = (x - mean) rstd and g = dy silu'(z): dscale = sum g x^, dshift = sum g,
// dx = rstd (scale g - mean_group(scale g) - x^ mean_group(scale g x^))
template <class Value>
void backward(const Sizes& n, const Value* x, const Value* dy, const float* scale, const float* shift,
              int64_t stride, const float* mean, const float* rstd, Value* dx, float* dscale, float* dshift) {
  std::vector<float> a(n.channels), b(n.channels), u(n.channels), v(n.channels), g(n.pixels * n.channels);
  const double count = static_cast<double>(n.pixels * n.group_channels());
  for (int64_t row = 0; row < n.rows; ++row) {
    const int64_t at = row * n.pixels * n.channels, per_row = row * n.channels;
    const float* row_scale = scale + row * stride;
    affine(n, row_scale, shift + row * stride, mean + per_row, rstd + per_row, a.data(), b.data());
    float *row_dscale = dscale + per_row, *row_dshift = dshift + per_row;
    vectorised<backward_sums<Value>>(x + at, dy + at, n.pixels, n.channels, a.data(), b.data(),
                                     mean + per_row, g.data(), row_dshift, row_dscale);
    for (int64_t c = 0; c < n.channels; ++c) row_dscale[c] *= rstd[per_row + c];
    for (int64_t group = 0; group < n.groups; ++group) {
      const int64_t begin = group * n.group_channels(), end = begin + n.group_channels();
      double mean_g = 0, mean_gx = 0;
      for (int64_t c = begin; c < end; ++c) {
        mean_g += row_scale[c] * row_dshift[c];
        mean_gx += row_scale[c] * row_dscale[c];
      }
      const double r = rstd[per_row + begin];
      for (int64_t c = begin; c < end; ++c) {
        u[c] = static_cast<float>(r * mean_g / count);
        v[c] = static_cast<float>(r * r * mean_gx / count);
      }
    }
    vectorised<backward_input<Value>>(x + at, g.data(), n.pixels, n.channels, a.data(), u.data(), v.data(),
                                      mean + per_row, dx + at);
  }
}

template <class Visit>
void with_values(const Tensor& x, Visit visit) {
  if (x.scalar_type() == at::kFloat) {
    visit([](const Tensor& t) { return t.data_ptr<float>(); });
  } else {
    visit([](const Tensor& t) { return reinterpret_cast<uint16_t*>(t.data_ptr<at::BFloat16>()); });
  }
}

Tensor channels_last(const Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

class NormSilu : public torch::autograd::Function<NormSilu> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& input,
                        const Tensor& scale_in, const Tensor& shift_in, int64_t groups) {
    const Tensor x = channels_last(input);
    const Tensor scale = scale_in.to(at::kFloat).contiguous(), shift = shift_in.to(at::kFloat).contiguous();
    const Sizes n{x.size(0), x.size(1), x.size(2) * x.size(3), groups};
    const Tensor mean = at::empty({n.rows, n.channels}, scale.options()), rstd = at::empty_like(mean);
    Tensor y = at::empty_like(x);
    with_values(x, [&](auto values) {
      tweedie::forward(n, values(x), scale.data_ptr<float>(), shift.data_ptr<float>(),
                       scale.size(0) == 1 ? 0 : n.channels, mean.data_ptr<float>(), rstd.data_ptr<float>(),
                       values(y));
    });
    context->save_for_backward({input, scale_in, shift_in, mean, rstd});
    context->saved_data["groups"] = groups;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto groups = context->saved_data["groups"].toInt();
    if (at::GradMode::is_enabled()) {  // a derivative that will be differentiated
      const Tensor y = norm_silu_reference(saved[0], saved[1], saved[2], groups);
      std::vector<Tensor> inputs;
      for (size_t i = 0; i < 3; ++i) {
        if (saved[i].requires_grad()) inputs.push_back(saved[i]);
      }
      const auto parts = torch::autograd::grad({y}, inputs, {gradients[0]}, /*retain_graph=*/true,
                                               /*create_graph=*/true);
      torch::autograd::variable_list result(4);
      for (size_t i = 0, part = 0; i < 3; ++i) {
        if (saved[i].requires_grad()) result[i] = parts[part++];
      }
      return result;
    }
    const Tensor x = channels_last(saved[0]), dy = channels_last(gradients[0]);
    const Tensor scale = saved[1].to(at::kFloat).contiguous(), shift = saved[2].to(at::kFloat).contiguous();
    const Tensor &mean = saved[3], &rstd = saved[4];
    const Sizes n{x.size(0), x.size(1), x.size(2) * x.size(3), groups};
    Tensor dx = at::empty_like(x), dscale = at::empty_like(mean), dshift = at::empty_like(mean);
    with_values(x, [&](auto values) {
      tweedie::backward(n, values(x), values(dy), scale.data_ptr<float>(), shift.data_ptr<float>(),
                        scale.size(0) == 1 ? 0 : n.channels, mean.data_ptr<float>(), rstd.data_ptr<float>(),
                        values(dx), dscale.data_ptr<float>(), dshift.data_ptr<float>());
    });
    if (scale.size(0) == 1) {
      dscale = dscale.sum(0, true);
      dshift = dshift.sum(0, true);
    }
    const auto dtype = saved[1].scalar_type();
    return {dx, dscale.to(dtype), dshift.to(dtype), Tensor()};
  }
};

}  // namespace

Tensor norm_silu_reference(const Tensor& x, const Tensor& scale, const Tensor& shift, int64_t groups) {
  const auto spread = [](const Tensor& t) { return t.unsqueeze(-1).unsqueeze(-1); };
  const Tensor z = at::addcmul(spread(shift), at::group_norm(x, groups, {}, {}, epsilon), spread(scale));
  return at::silu(z);
}

Tensor norm_silu(const Tensor& x, const Tensor& scale, const Tensor& shift, int64_t groups) {
  const bool fused =
      x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  return fused ? NormSilu::apply(x, scale, shift, groups) : norm_silu_reference(x, scale, shift, groups);
}

}  // namespace tweedie
