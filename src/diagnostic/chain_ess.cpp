// Vehtari et al. 2021, section 3.2: S draws in all count as S / tau, with the autocorrelations of M chains of
// N
//   rho_t = 1 - (W - mean over chains of the autocovariance at lag t) / var+,
//   tau   = -1 + 2 sum_k P_k,   P_k = rho_2k + rho_{2k+1},
// W and var+ as in rhat.cpp, and autocovariances with divisor N. For a reversible chain P_k is positive and
// falls (Geyer 1992): the sum ends before the first P_k <= 0 or the last lags, whose even half is added where
// positive, and each P_k is at most the one before it. tau >= 1 / log10 S bounds what antithetic chains gain.

#include "tweedie/chains.h"

#include "diagnostic/chain_rows.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t block_rows = 256;

// (J, chains, N) -> (J, N), the mean over chains
Tensor autocovariance(const Tensor& rows) {
  const int64_t n = rows.size(2);
  std::vector<Tensor> blocks;
  for (const Tensor& block : rows.split(block_rows)) {
    const Tensor f = at::view_as_real(at::fft_rfft(block - block.mean(2, true), 2 * n));
    const Tensor power = f.square().sum(-1).mean(1);
    const Tensor spectrum = at::view_as_complex(at::stack({power, at::zeros_like(power)}, -1));
    blocks.push_back(at::fft_irfft(spectrum, 2 * n).slice(1, 0, n) / static_cast<double>(n));
  }
  return at::cat(blocks);
}

// covariance: at lags 0 .. n - 1; between: variance of the chains' means
double autocorrelation_time(const double* covariance, int64_t n, double between) {
  const double within = covariance[0] * static_cast<double>(n) / static_cast<double>(n - 1);
  const double total = covariance[0] + between;
  const auto rho = [&](int64_t t) { return t == 0 ? 1 : 1 - (within - covariance[t]) / total; };
  const int64_t last = std::max<int64_t>(n - 5, 1);  // beyond, a lag has too few pairs
  double sum = 0, smallest = INFINITY;
  int64_t t = 0;
  for (; t + 1 < n && t < last; t += 2) {
    const double pair = rho(t) + rho(t + 1);
    if (!(pair > 0)) break;
    smallest = std::min(smallest, pair);
    sum += smallest;
  }
  return -1 + 2 * sum + (t < n ? std::max(rho(t), 0.0) : 0);
}

Tensor below_quantile(const Tensor& x, double probability) {
  return (x <= pooled_quantile(x, probability).view({-1, 1, 1})).to(at::kDouble);
}

}  // namespace

Tensor effective_number(const Tensor& rows) {
  const Tensor covariance = autocovariance(rows).contiguous(), between = rows.mean(2).var(1, true);
  const Tensor vary = varies(rows);
  const int64_t n = rows.size(2);
  const double all = static_cast<double>(rows.size(1) * n);
  const Tensor result = at::full({rows.size(0)}, all, at::kDouble);
  for (int64_t j = 0; j < rows.size(0); ++j) {
    if (!vary[j].item<bool>()) continue;
    const double tau = autocorrelation_time(covariance.data_ptr<double>() + j * n, n,
                                            rows.size(1) > 1 ? between[j].item<double>() : 0);
    result[j] = all / std::max(tau, 1 / std::log10(all));
  }
  return result;
}

Tensor bulk_ess(const Tensor& chains) {
  return of_shape(effective_number(rank_normalised(halves(chain_rows(chains, "bulk_ess")))), chains);
}

Tensor tail_ess(const Tensor& chains) {
  const Tensor x = chain_rows(chains, "tail_ess");
  return of_shape(at::minimum(effective_number(halves(below_quantile(x, 0.05))),
                              effective_number(halves(below_quantile(x, 0.95)))),
                  chains);
}

Tensor mean_ess(const Tensor& chains) {
  return of_shape(effective_number(halves(chain_rows(chains, "mean_ess"))), chains);
}

Finding effective_draws(const Tensor& chains) {
  constexpr double good = 100, bad = 10;  // of each chain
  const Tensor x = chain_rows(chains, "effective_draws"), vary = varies(x);
  const double m = static_cast<double>(chains.size(1));
  Finding f{"effective-draws", Finding::Status::fail, NAN, std::nullopt, "", ""};
  if (!vary.any().item<bool>()) {
    f.message = "the draws are all equal";
    f.remedy = "take a larger step size";
    return f;
  }
  const double bulk = bulk_ess(chains).flatten().masked_select(vary).min().item<double>();
  const double tail = tail_ess(chains).flatten().masked_select(vary).min().item<double>();
  f.value = std::min(bulk, tail);
  const double all = m * static_cast<double>(chains.size(0));
  f.status = f.value >= good * m                     ? Finding::Status::pass
             : f.value >= std::min(bad * m, all / 4) ? Finding::Status::warn
                                                     : Finding::Status::fail;
  f.message =
      fmt::format("{:.0f} draws count as {:.0f} for the bulk and {:.0f} for the tails", all, bulk, tail);
  if (f.status != Finding::Status::pass) {
    f.message += fmt::format(", below {:.0f}", good * m);
    f.remedy = "take more draws, further apart";
  }
  return f;
}

}  // namespace tweedie
