// Pseudoinverse-guided diffusion models. Song, Vahdat, Mardani, Kautz, "Pseudoinverse-guided diffusion models
// for inverse problems", ICLR 2023, whose r_t^2 is that of data of variance v = 1.
//
//   p(x_0 | x_sigma) ~ N(D, r^2 I),  r^2 = sigma^2 v / (sigma^2 + v)
//   w = A^T (noise_std^2 I + r^2 A A^T)^{-1} (y - A D),  without noise A^+ (y - A D) / r^2
//   D_y = D + sigma^2 J^T w

#include "posterior/guided_denoiser.h"
#include "tweedie/predictor.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

class Pigdm final : public GuidedDenoiser {
 public:
  Pigdm(double data_variance, DenoiserPtr prior, const Likelihood& likelihood, Tensor y, Tally* tally)
      : GuidedDenoiser("pigdm", std::move(prior), likelihood, std::move(y), tally),
        data_variance_(data_variance) {}

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    const LinearOperator& a = *likelihood_.linear();
    const Linearised prior = linearise_prior(x, sigma);
    const Tensor w = solve(y_ - a.apply(prior.mean), sigma.to(at::kDouble).flatten());
    count(x.size(0), 1, 3);
    return prior.mean + sigma.square() * prior.vjp(w);
  }

 private:
  // sigma: (1), the same for all rows, or (B)
  Tensor solve(const Tensor& residual, const Tensor& sigma) const {
    const LinearOperator& a = *likelihood_.linear();
    std::vector<Tensor> w;
    for (int64_t i = 0; i < sigma.numel(); ++i) {
      const double s2 = std::pow(sigma[i].item<double>(), 2);
      const double r2 = s2 * data_variance_ / (s2 + data_variance_), lambda = noise_variance() / r2;
      const Tensor rows = sigma.numel() == 1 ? residual : residual.narrow(0, i, 1);
      w.push_back((lambda > 0 ? a.adjoint(a.solve_gram(rows, lambda)) : a.pseudo_inverse(rows)) / r2);
    }
    return at::cat(w);
  }

  double data_variance_;
};

// e_i^T V e_i for some coordinates i
double mean_variance(const Denoiser& prior, const Tensor& x, double sigma) {
  constexpr int64_t most = 256, block = 16;
  const int64_t d = x.numel(), n = std::min(d, most);
  const Tensor places = at::arange(n) * d / n;  // spread evenly
  double sum = 0;
  for (const Tensor& some : places.floor().to(at::kLong).split(block)) {
    const int64_t rows = some.size(0);
    const Tensor e = at::zeros({rows, d}, at::kDouble).scatter(1, some.unsqueeze(1), 1.0);
    const Shape shape = with_batch(rows, prior.shape());
    const Tensor row = linearise(prior, x.expand(shape), sigma).vjp(e.view(shape)).flatten(1);
    sum += row.gather(1, some.unsqueeze(1)).sum().item<double>();
  }
  return sigma * sigma * sum / static_cast<double>(n);
}

}  // namespace

// At x = E[x_0], which is D of itself at large noise, V tends to Cov[x_0] with an error of order Cov^2 /
// sigma^2.
double estimate_data_variance(const Denoiser& prior) {
  if (const auto* edm = dynamic_cast<const NetworkDenoiser*>(&prior))
    return edm->sigma_data() * edm->sigma_data();
  if (dynamic_cast<const AnalyticPrior*>(&prior) == nullptr) {
    throw Error("method.data_variance",
                "not given, and this prior does not know it: the variance of one coordinate of x is needed");
  }
  for (double sigma = 1e6; sigma < 1e100; sigma *= 1e6) {
    const Tensor x = prior.mean(at::zeros(with_batch(1, prior.shape()), at::kDouble), sigma);
    const double variance = mean_variance(prior, x, sigma);
    if (1e4 * std::sqrt(variance) < sigma) return variance;  // else the prior is wider than that
  }
  throw Error("method.data_variance", "not given, and the prior's is not finite: a number above 0 is needed");
}

DenoiserPtr guide(const PigdmOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally) {
  require_linear(likelihood, "pigdm");
  const double variance = options.data_variance ? *options.data_variance : estimate_data_variance(*prior);
  if (!(variance > 0 && std::isfinite(variance))) {
    throw Error("method.data_variance", fmt::format("{}: a finite number above 0 is needed", variance));
  }
  return std::make_shared<Pigdm>(variance, std::move(prior), likelihood, std::move(y), tally);
}

}  // namespace tweedie
