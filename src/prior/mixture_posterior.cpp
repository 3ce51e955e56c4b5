// The posterior of a mixture under y = A x + noise_std n is a mixture again: weights proportional to
// w_k N(y; A m_k, A Sigma_k A^T + noise_std^2 I), and each component conditioned as a Gaussian. Covariances
// do not depend on y, so they are decomposed once.

#include "core/shape.h"
#include "prior/gaussian_posterior.h"
#include "prior/mixture_components.h"

#include <ATen/ATen.h>

#include <mutex>

namespace tweedie {

class MixturePosterior final : public ExactPosterior {
 public:
  MixturePosterior(MixturePrior prior, const Tensor& matrix, double noise_std)
      : prior_(std::move(prior)), matrix_(matrix.to(at::kCPU, at::kDouble)), noise_std_(noise_std) {
    const MixturePrior::Components& c = *prior_.components_;
    components_.reserve(c.count());
    for (int64_t k = 0; k < c.count(); ++k) components_.emplace_back(component(k), matrix_, noise_std);
  }

  Tensor mean(const Tensor& y) const override {
    const Tensor weight = at::softmax(log_joint(y), 1);
    Tensor result = at::zeros({y.size(0), prior_.dimension()}, at::kDouble);
    for (size_t k = 0; k < components_.size(); ++k)
      result += weight.slice(1, k, k + 1) * components_[k].mean(y).flatten(1);
    return result.reshape(with_batch(y.size(0), prior_.shape()));
  }

  Tensor log_evidence(const Tensor& y) const override { return at::logsumexp(log_joint(y), 1); }

  Tensor sample(const Tensor& y, int64_t draws, Noise& noise) const override {
    return given(y)->sample(draws, noise);
  }

  std::shared_ptr<const AnalyticPrior> given(const Tensor& y) const override {
    std::call_once(decomposed_, [this] { decompose(); });
    const Tensor row = y.reshape({1, -1});
    std::vector<Tensor> means;
    means.reserve(components_.size());
    for (const auto& component : components_) means.push_back(component.mean(row).flatten());
    auto components = MixturePrior::Components::make(
        {log_joint(row)[0], at::stack(means), basis_, value_, prior_.components_->rest, {}});
    return std::shared_ptr<const MixturePrior>(new MixturePrior(prior_.shape(), std::move(components)));
  }

 private:
  GaussianPrior component(int64_t k) const {
    const MixturePrior::Components& c = *prior_.components_;
    const Tensor mean = c.mean[k].reshape(prior_.shape());
    if (c.isotropic()) return GaussianPrior::diagonal(mean, c.rest[k].expand(prior_.shape()).contiguous());
    if (!c.basis.defined()) return GaussianPrior::diagonal(mean, c.value[k].reshape(prior_.shape()));
    const double rest = c.spans() ? 0 : c.rest[k].item<double>();
    return GaussianPrior::low_rank(mean, c.basis.slice(1, k * c.rank(), (k + 1) * c.rank()),
                                   (c.value[k] - rest).clamp_min(0), rest);
  }

  // log(w_k p(y | k)), (C, K)
  Tensor log_joint(const Tensor& y) const {
    std::vector<Tensor> terms;
    terms.reserve(components_.size());
    for (size_t k = 0; k < components_.size(); ++k)
      terms.push_back(prior_.components_->log_weight[static_cast<int64_t>(k)] +
                      components_[k].log_evidence(y));
    return at::stack(terms, 1);
  }

  void decompose() const {
    const MixturePrior::Components& c = *prior_.components_;
    if (c.isotropic()) {
      // A = U diag(s) V^T: along V the variance is rest noise_std^2 / (rest s^2 + noise_std^2), elsewhere
      // rest.
      const auto [u, s, v] = at::linalg_svd(matrix_, /*full_matrices=*/false);
      const Tensor rest = c.rest.unsqueeze(1), noise = at::full({1}, noise_std_ * noise_std_, at::kDouble);
      basis_ = v.t().repeat({1, c.count()});
      value_ = (rest * noise / (rest * s.square() + noise)).nan_to_num(0);  // 0/0: known already, and exactly
      return;
    }
    std::vector<Tensor> bases, values;
    for (const auto& component : components_) {
      const Tensor covariance = component.covariance();
      const auto [value, basis] = at::linalg_eigh((covariance + covariance.t()) / 2);
      bases.push_back(basis);
      values.push_back(value.clamp_min(0));
    }
    basis_ = at::cat(bases, 1);
    value_ = at::stack(values);
  }

  MixturePrior prior_;
  Tensor matrix_;  // A (m, d)
  double noise_std_;
  std::vector<GaussianPosterior> components_;
  mutable std::once_flag decomposed_;
  mutable Tensor basis_, value_;  // of the components' posterior covariances
};

std::unique_ptr<const ExactPosterior> MixturePrior::condition(const Tensor& matrix, double noise_std) const {
  return std::make_unique<MixturePosterior>(*this, matrix, noise_std);
}

}  // namespace tweedie
