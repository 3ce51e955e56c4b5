#include "core/shape.h"
#include "prior/mixture_components.h"
#include "prior/mixture_kernels.h"
#include "prior/mixture_level.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

Tensor to_double(const Tensor& x, const std::string& place) {
  require_real(x, place);
  require_finite(x, place);
  return x.detach().to(at::kCPU, at::kDouble).contiguous();
}

// () or (K) -> (K), none negative
Tensor per_component(const Tensor& x, int64_t count, const std::string& place) {
  const Tensor value = to_double(x, place);
  if (value.dim() > 1 || (value.dim() == 1 && value.size(0) != count)) {
    throw Error(place, fmt::format("shape {}, but one number or one for each of {} components is needed",
                                   to_string(x.sizes()), count));
  }
  if (const double least = value.min().item<double>(); least < 0)
    throw Error(place, fmt::format("{}, but at least 0 is needed", least));
  return value.expand({count}).contiguous();
}

Tensor log_weights(const Tensor& weights, int64_t count) {
  const Tensor w = to_double(weights, "prior.weights");
  if (w.dim() != 1 || w.size(0) != count) {
    throw Error("prior.weights", fmt::format("shape {}, but one for each of {} components is needed",
                                             to_string(w.sizes()), count));
  }
  if (const double least = w.min().item<double>(); least < 0)
    throw Error("prior.weights", fmt::format("{}, but none below 0 is meant", least));
  if (const double sum = w.sum().item<double>(); std::abs(sum - 1) > 1e-6)
    throw Error("prior.weights", fmt::format("their sum is {:.9g}, but 1 is meant", sum));
  return (w / w.sum()).log();
}

// (K, *shape) -> (K, d)
Tensor flat_means(const Tensor& means) {
  const Tensor m = to_double(means, "prior.means");
  if (m.dim() < 2 || m.numel() == 0) {
    throw Error("prior.means",
                fmt::format("shape {}, but (components, *shape) is needed", to_string(m.sizes())));
  }
  return m.flatten(1);
}

// U_k, eigenvalues of F_k F_k^T: (K, d, r) -> the bases side by side (d, K r), (K, r)
std::pair<Tensor, Tensor> spectra(const Tensor& symmetric) {
  const auto [value, basis] = at::linalg_eigh(symmetric);
  return {basis.permute({1, 0, 2}).reshape({basis.size(1), -1}).contiguous(), value};
}

}  // namespace

std::shared_ptr<const MixturePrior::Components> MixturePrior::Components::make(Components exact) {
  auto result = std::make_shared<Components>(std::move(exact));
  result->log_weight = at::log_softmax(result->log_weight, 0);
  result->projected = result->project(result->mean).diagonal(0, 0, 1).permute({1, 0}).contiguous();
  if (result->isotropic() || result->spans())
    result->single = std::make_shared<Components>(result->to(at::TensorOptions().dtype(at::kFloat)));
  if (result->spans() && result->basis.defined() && !result->isotropic()) {
    result->levels =
        std::make_shared<MixtureLevels>(result->log_weight, result->mean, result->basis, result->value);
  }
  return result;
}

MixturePrior::Components MixturePrior::Components::to(const at::TensorOptions& options) const {
  return {log_weight.to(options), mean.to(options), basis.defined() ? basis.to(options) : basis,
          value.to(options),      rest.to(options), projected.to(options)};
}

Tensor MixturePrior::Components::project(const Tensor& v) const {
  if (isotropic()) return v.new_empty({v.size(0), count(), 0});
  if (!basis.defined()) return v.unsqueeze(1).expand({v.size(0), count(), rank()});
  return at::matmul(v, basis).view({v.size(0), count(), rank()});
}

Tensor MixturePrior::Components::back(const Tensor& q) const {
  if (isotropic()) return q.new_zeros({q.size(0), dimension()});
  if (!basis.defined()) return q.sum(1);
  return at::matmul(q.reshape({q.size(0), -1}), basis.t());
}

MixturePrior::MixturePrior(Shape shape, std::shared_ptr<const Components> components)
    : shape_(std::move(shape)), components_(std::move(components)) {}

MixturePrior MixturePrior::isotropic(const Tensor& weights, const Tensor& means, const Tensor& std) {
  const Tensor m = flat_means(means);
  const int64_t count = m.size(0);
  const Tensor rest = per_component(std, count, "prior.std").square();
  return {means.sizes().slice(1).vec(),
          Components::make({log_weights(weights, count), m, {}, m.new_empty({count, 0}), rest, {}})};
}

MixturePrior MixturePrior::diagonal(const Tensor& weights, const Tensor& means, const Tensor& variances) {
  const Tensor m = flat_means(means), v = to_double(variances, "prior.variances");
  if (v.sizes() != means.sizes()) {
    throw Error("prior.variances",
                fmt::format("shape {}, but {} is needed", to_string(v.sizes()), to_string(means.sizes())));
  }
  if (const double least = v.min().item<double>(); least < 0)
    throw Error("prior.variances", fmt::format("{}, but at least 0 is needed", least));
  const int64_t count = m.size(0);
  return {means.sizes().slice(1).vec(),
          Components::make(
              {log_weights(weights, count), m, {}, v.flatten(1), at::zeros({count}, at::kDouble), {}})};
}

MixturePrior MixturePrior::full(const Tensor& weights, const Tensor& means, const Tensor& covariances) {
  const Tensor m = flat_means(means), c = to_double(covariances, "prior.covariances");
  const int64_t count = m.size(0), d = m.size(1);
  if (c.sizes() != at::IntArrayRef{count, d, d}) {
    throw Error("prior.covariances",
                fmt::format("shape {}, but ({}, {}, {}) is needed", to_string(c.sizes()), count, d, d));
  }
  const Tensor transposed = c.transpose(1, 2);
  const auto [basis, value] = spectra((c + transposed) / 2);
  for (int64_t k = 0; k < count; ++k) {
    const double size = c[k].abs().max().item<double>();
    const double skew = (c[k] - transposed[k]).abs().max().item<double>(), least = value[k][0].item<double>();
    if (skew > 1e-6 * size) {  // a float32 file is symmetric to float32 rounding
      throw Error(
          "prior.covariances",
          fmt::format("component {} differs from its transpose by {:.3g}, but a symmetric matrix is meant", k,
                      skew));
    }
    if (least < -1e-9 * size) {
      throw Error("prior.covariances",
                  fmt::format("component {}: its smallest eigenvalue is {:.6g}, but none below 0 is meant", k,
                              least));
    }
  }
  return {
      means.sizes().slice(1).vec(),
      Components::make(
          {log_weights(weights, count), m, basis, value.clamp_min(0), at::zeros({count}, at::kDouble), {}})};
}

MixturePrior MixturePrior::low_rank(const Tensor& weights, const Tensor& means, const Tensor& factors,
                                    const Tensor& rest) {
  const Tensor m = flat_means(means), f = to_double(factors, "prior.factors");
  const int64_t count = m.size(0), d = m.size(1);
  if (f.dim() != 3 || f.size(0) != count || f.size(1) != d || f.size(2) < 1 || f.size(2) > d) {
    throw Error("prior.factors", fmt::format("shape {}, but ({}, {}, rank) with a rank of 1 to {} is needed",
                                             to_string(f.sizes()), count, d, d));
  }
  const Tensor isotropic_part = per_component(rest, count, "prior.std");
  // F = Q R: the spectrum of F F^T is that of the small R R^T.
  const auto [q, r] = at::linalg_qr(f);
  const auto [value, rotation] = at::linalg_eigh(at::matmul(r, r.transpose(1, 2)));
  const Tensor basis = at::matmul(q, rotation).permute({1, 0, 2}).reshape({d, -1}).contiguous();
  return {means.sizes().slice(1).vec(), Components::make({log_weights(weights, count),
                                                          m,
                                                          basis,
                                                          value.clamp_min(0) + isotropic_part.unsqueeze(1),
                                                          isotropic_part,
                                                          {}})};
}

int64_t MixturePrior::components() const {
  return components_->count();
}
Tensor MixturePrior::weights() const {
  return components_->log_weight.exp();
}
Tensor MixturePrior::means() const {
  return components_->mean;
}

Tensor MixturePrior::covariances() const {
  const Components& c = *components_;
  const int64_t d = c.dimension(), count = c.count();
  const Tensor one = at::eye(d, at::kDouble);
  Tensor result = at::empty({count, d, d}, at::kDouble);
  for (int64_t k = 0; k < count; ++k) {
    result[k] = one * c.rest[k];
    if (c.isotropic()) continue;
    const Tensor u = c.basis.defined() ? c.basis.slice(1, k * c.rank(), (k + 1) * c.rank()) : one;
    result[k] += at::matmul(u * (c.value[k] - c.rest[k]), u.t());
  }
  return result;
}

// Everything that depends on x alone, at S_k = Sigma_k + sigma^2 I; variance = sigma^2, (1) or (B, 1).
struct MixturePrior::Terms {
  const Components& c;
  Tensor x, variance;
  Tensor p;             // (B, K, r): U_k^T (x - m_k)
  Tensor inner, outer;  // Sigma_k S_k^{-1}: on U_k (1 or B, K, r) and off it (1 or B, K)
  Tensor r;             // (B, K)

  Terms(const Components& components, Tensor rows, Tensor sigma_squared)
      : c(components), x(std::move(rows)), variance(std::move(sigma_squared)) {
    p = c.project(x) - c.projected;
    const Tensor s_inner = c.value + variance.unsqueeze(-1), s_outer = c.rest + variance;
    inner = c.value / s_inner;
    outer = c.spans() ? at::zeros_like(s_outer) : c.rest / s_outer;
    // log w_k N(x; m_k, S_k) but for a constant
    Tensor log_joint = c.log_weight - 0.5 * ((p.square() / s_inner).sum(-1) + s_inner.log().sum(-1));
    if (!c.spans()) {
      const Tensor off = (squared_distances() - p.square().sum(-1)).clamp_min(0);
      log_joint =
          log_joint - 0.5 * (off / s_outer + static_cast<double>(c.dimension() - c.rank()) * s_outer.log());
    }
    log_density = at::logsumexp(log_joint, 1);
    r = (log_joint - log_density.unsqueeze(1)).exp();
  }

  // |x - m_k|^2, (B, K), by differences: squares of far-off means would swamp them
  Tensor squared_distances() const {
    Tensor result = x.new_empty({x.size(0), c.count()});
    for (int64_t k = 0; k < c.count(); ++k) result.select(1, k).copy_((x - c.mean[k]).square().sum(1));
    return result;
  }

  // sum_k weight_k D_k, with D_k = m_k + outer_k (x - m_k) + U_k (inner_k - outer_k) p_k; weight: (B, K)
  Tensor combine(const Tensor& weight) const {
    const Tensor rest = weight * outer;
    Tensor result = at::matmul(weight - rest, c.mean) + rest.sum(1, true) * x;
    if (!c.isotropic()) result = result + c.back(weight.unsqueeze(-1) * (inner - outer.unsqueeze(-1)) * p);
    return result;
  }

  // V v = sum_k r_k (sigma^2 Sigma_k S_k^{-1} v + <D_k - D, v> D_k)
  Tensor covariance_times(const Tensor& mean, const Tensor& v) const {
    const Tensor weight = variance * r;
    const Tensor pv = c.project(v), gap = inner - outer.unsqueeze(-1);
    Tensor result = (weight * outer).sum(1, true) * v;
    if (!c.isotropic()) result = result + c.back(weight.unsqueeze(-1) * gap * pv);
    const Tensor along_mean = at::matmul(v, c.mean.t()), along_x = (x * v).sum(1, true);
    const Tensor dv = along_mean + outer * (along_x - along_mean) + (gap * p * pv).sum(-1);  // <D_k, v>
    return result + combine(r * (dv - (mean * v).sum(1, true)));
  }

  Tensor log_density;  // (B), without -d/2 log(2 pi)
};

namespace {
Tensor variance_of(const Tensor& sigma) {
  return sigma.square().reshape({-1, 1});
}
}  // namespace

// float32 where that is exact enough: not where `off` is what a difference of squares leaves.
const MixturePrior::Components& MixturePrior::in(const Tensor& x) const {
  return x.scalar_type() == at::kFloat && components_->single ? *components_->single : *components_;
}

MixturePrior::Terms MixturePrior::terms(const Tensor& x, const Tensor& sigma) const {
  const Components& c = in(x);
  return {c, x.flatten(1).to(c.mean.options()), variance_of(sigma).to(c.mean.options())};
}

namespace {

// The components at one noise level, as MixtureView has them
template <class Value>
struct Level {
  std::vector<Value> offset, precision, shrink;

  // spread: (K) of isotropic components, or (K, d) along their axes
  static Level of(const Tensor& log_weight, const Tensor& spread, int64_t dimension, Value sigma) {
    const int64_t count = log_weight.size(0), axes = spread.numel() / count;
    const Value *weight = log_weight.data_ptr<Value>(), *variance = spread.data_ptr<Value>();
    Level level{std::vector<Value>(count), std::vector<Value>(count * axes),
                std::vector<Value>(count * axes)};
    for (int64_t k = 0; k < count; ++k) {
      Value log_det = 0;
      for (int64_t i = k * axes; i < (k + 1) * axes; ++i) {
        const Value s = variance[i] + sigma * sigma;
        level.precision[i] = 1 / s;
        level.shrink[i] = variance[i] / s;
        log_det += std::log(s);
      }
      level.offset[k] = weight[k] - log_det * static_cast<Value>(dimension) / static_cast<Value>(2 * axes);
    }
    return level;
  }
};

}  // namespace

std::optional<Tensor> MixturePrior::fast_mean(const Tensor& x, const Tensor& sigma) const {
  const Components& c = in(x);
  if (sigma.dim() != 0 || !x.device().is_cpu() || x.requires_grad() ||
      x.scalar_type() != c.mean.scalar_type() || !(c.isotropic() || (c.spans() && c.basis.defined()))) {
    return std::nullopt;
  }
  const Tensor rows = x.flatten(1).contiguous();
  const double level_sigma = sigma.item<double>();
  if (x.scalar_type() == at::kFloat && components_->levels && level_sigma > 0) {
    if (const auto level = components_->levels->at(level_sigma)) {
      const Tensor mean = at::empty_like(rows);
      level->mean(rows.data_ptr<float>(), rows.size(0), mean.data_ptr<float>());
      return mean.reshape(x.sizes());
    }
  }
  const auto run = [&](auto zero) {
    using Value = decltype(zero);
    const auto level =
        Level<Value>::of(c.log_weight, c.isotropic() ? c.rest : c.value, c.dimension(), sigma.item<Value>());
    const MixtureView<Value> view{c.count(),           c.dimension(),          c.mean.data_ptr<Value>(),
                                  level.offset.data(), level.precision.data(), level.shrink.data()};
    if (c.isotropic()) {
      Tensor mean = at::empty_like(rows);
      isotropic_mean<Value>(view, rows.data_ptr<Value>(), rows.size(0), mean.data_ptr<Value>(), nullptr);
      return mean;
    }
    const Tensor p = at::matmul(rows, c.basis), r = rows.new_empty({rows.size(0), c.count()});
    spanned_terms<Value>(view, c.projected.data_ptr<Value>(), rows.size(0), p.data_ptr<Value>(),
                         r.data_ptr<Value>());
    return at::addmm(at::matmul(r, c.mean), p, c.basis.t());
  };
  return (x.scalar_type() == at::kDouble ? run(0.0) : run(0.0F)).reshape(x.sizes());
}

Tensor MixturePrior::do_mean(const Tensor& x, const Tensor& sigma) const {
  if (const auto mean = fast_mean(x, sigma)) return *mean;
  const Terms t = terms(x, sigma);
  return t.combine(t.r).to(x.options()).reshape(x.sizes());
}

Linearised MixturePrior::do_linearise(const Tensor& x, const Tensor& sigma) const {
  const auto t = std::make_shared<Terms>(terms(x, sigma));
  const Tensor mean = t->combine(t->r);
  // dD/dx = V / sigma^2 is symmetric. The components outlive the map with the prior's copy that it holds.
  return {mean.to(x.options()).reshape(x.sizes()),
          [t, mean, prior = *this, options = x.options()](const Tensor& v) {
            const Tensor w = v.flatten(1).to(t->x.options());
            return (t->covariance_times(mean, w) / t->variance).to(options).reshape(v.sizes());
          }};
}

Tensor MixturePrior::responsibilities(const Tensor& x, const Tensor& sigma) const {
  require_batch_of(x, shape_, "x");
  return terms(x, sigma).r.to(x.options());
}

Tensor MixturePrior::log_prob(const Tensor& x, double sigma) const {
  require_real(x, "x");
  require_batch_of(x, shape_, "x");
  const Components& c = *components_;
  const double variance = sigma * sigma;
  const bool singular = (!c.spans() && !(c.rest.min().item<double>() + variance > 0)) ||
                        (!c.isotropic() && !(c.value.min().item<double>() + variance > 0));
  if (singular)
    throw Error("prior", "a component is singular, so there is no density; sigma > 0 gives it one");
  const Terms t(c, x.flatten(1).to(at::kCPU, at::kDouble), at::full({1, 1}, variance, at::kDouble));
  return t.log_density - 0.5 * static_cast<double>(c.dimension()) * std::log(2 * std::numbers::pi);
}

Tensor MixturePrior::sample(int64_t draws, Noise& noise, at::ScalarType dtype) const {
  const Components& c = *components_;
  const Tensor u = noise.uniform({draws}, at::kDouble), z = noise.normal({draws, c.dimension()}, at::kDouble);
  const Tensor chosen = at::searchsorted(c.log_weight.exp().cumsum(0), u).clamp_max(c.count() - 1);
  Tensor result = at::empty_like(z);
  for (int64_t k = 0; k < c.count(); ++k) {
    const Tensor rows = chosen.eq(k).nonzero().flatten();
    if (rows.numel() == 0) continue;
    const Tensor at_rows = z.index_select(0, rows), root = c.rest[k].sqrt();
    Tensor x = c.mean[k] + root * at_rows;
    if (!c.isotropic()) {
      const Tensor gain = c.value[k].sqrt() - root;
      if (c.basis.defined()) {
        const Tensor basis = c.basis.slice(1, k * c.rank(), (k + 1) * c.rank());
        x = x + at::matmul(at::matmul(at_rows, basis) * gain, basis.t());
      } else {
        x = x + at_rows * gain;
      }
    }
    result.index_copy_(0, rows, x);
  }
  return result.to(dtype).reshape(with_batch(draws, shape_));
}

}  // namespace tweedie
