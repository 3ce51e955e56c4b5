#include "posterior/guided_denoiser.h"

#include <fmt/format.h>

namespace tweedie {

namespace {

class CountedDenoiser final : public Denoiser {
 public:
  CountedDenoiser(DenoiserPtr denoiser, Tally& tally) : denoiser_(std::move(denoiser)), tally_(tally) {}
  Shape shape() const override { return denoiser_->shape(); }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    tally_.evaluations += x.size(0);
    return denoiser_->mean(x, flat_sigma(sigma));
  }
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override {
    tally_.evaluations += x.size(0);
    const Linearised inner = linearise(*denoiser_, x, flat_sigma(sigma));
    return {inner.mean, [vjp = inner.vjp, &tally = tally_](const Tensor& v) {
              tally.vjps += v.size(0);
              return vjp(v);
            }};
  }

 private:
  DenoiserPtr denoiser_;
  Tally& tally_;
};

}  // namespace

DenoiserPtr counted(DenoiserPtr denoiser, Tally* tally) {
  if (tally == nullptr) return denoiser;
  return std::make_shared<CountedDenoiser>(std::move(denoiser), *tally);
}

void record_work(RunRecord& record, const Tally& tally, int64_t rows) {
  const auto per_row = [&](const std::atomic<int64_t>& count) {
    return static_cast<double>(count.load()) / static_cast<double>(rows);
  };
  record.network_evaluations = per_row(tally.evaluations);
  record.network_vjps = per_row(tally.vjps);
  record.operator_applications = per_row(tally.operator_applications);
}

void require_gaussian(const Likelihood& likelihood, const char* method) {
  if (likelihood.noise().noise_std()) return;
  throw Error(
      "method.kind",
      fmt::format("{} takes gaussian noise only; dps, daps, pnp-dm, tds and posterior-langevin take {}",
                  method, likelihood.noise().kind()));
}

const LinearOperator& require_linear(const Likelihood& likelihood, const char* method) {
  require_gaussian(likelihood, method);
  if (const LinearOperator* a = likelihood.linear()) return *a;
  throw Error("method.kind", fmt::format("{} needs a linear operator; use dps for this one", method));
}

void require_noise(const Likelihood& likelihood, const char* method) {
  require_gaussian(likelihood, method);
  require_density(likelihood, method);
}

void require_density(const Likelihood& likelihood, const char* method) {
  if (likelihood.has_density()) return;
  throw Error(
      "measurement.noise.std",
      fmt::format(
          "0, but {} divides by the noise's std; exact, pigdm, ddrm and mcgdiff are among those that take 0",
          method));
}

std::shared_ptr<const AnalyticPrior> require_analytic(const DenoiserPtr& prior, const char* method) {
  if (auto analytic = std::dynamic_pointer_cast<const AnalyticPrior>(prior)) return analytic;
  throw Error(
      "method.kind",
      fmt::format("{} needs an analytic prior, whose posterior is known; use mmps for this one", method));
}

}  // namespace tweedie
