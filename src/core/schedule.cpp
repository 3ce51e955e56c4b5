#include "tweedie/schedule.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

void require_steps(int64_t steps) {
  if (steps < 1) throw Error("schedule.steps", fmt::format("{}, but at least 1 is needed", steps));
}

}  // namespace

NoiseSchedule make_schedule(const Karras& options, int64_t steps) {
  require_steps(steps);
  const auto [low, high, rho] = options;
  if (!(low > 0 && std::isfinite(low))) {
    throw Error("schedule.sigma_min", fmt::format("{}, but a finite value above 0 is needed", low));
  }
  if (!(high > low && std::isfinite(high))) {
    throw Error("schedule.sigma_max",
                fmt::format("{}, but a finite value above sigma_min = {} is needed", high, low));
  }
  if (!(rho > 0 && std::isfinite(rho))) {
    throw Error("schedule.rho", fmt::format("{}, but a finite value above 0 is needed", rho));
  }
  const double from = std::pow(high, 1 / rho), to = std::pow(low, 1 / rho);
  const Tensor sigma = at::zeros({steps + 1}, at::kDouble);
  double* value = sigma.data_ptr<double>();
  for (int64_t i = 0; i < steps; ++i) {
    const double part = steps == 1 ? 0 : static_cast<double>(i) / static_cast<double>(steps - 1);
    value[i] = i == 0 ? high : std::pow(from + part * (to - from), rho);
  }
  return {sigma, high};
}

NoiseSchedule make_schedule(const VpLinear& options, int64_t steps) {
  require_steps(steps);
  const Tensor bar = alpha_bar(options);
  if (steps > options.train_steps) {
    throw Error("schedule.steps",
                fmt::format("{}, but at most train_steps = {} are meant", steps, options.train_steps));
  }
  const double* a = bar.data_ptr<double>();
  const Tensor sigma = at::zeros({steps + 1}, at::kDouble);
  double* value = sigma.data_ptr<double>();
  for (int64_t i = 0; i < steps; ++i) {
    // round(train_steps k / N) in integers
    const int64_t k = steps - i, t = (2 * options.train_steps * k + steps) / (2 * steps);
    value[i] = std::sqrt((1 - a[t]) / a[t]);
  }
  return {sigma, 1 / std::sqrt(a[options.train_steps])};
}

NoiseSchedule make_schedule(const Schedule& schedule, int64_t steps) {
  return std::visit([steps](const auto& options) { return make_schedule(options, steps); }, schedule);
}

Tensor alpha_bar(const VpLinear& options) {
  const auto [first, last, steps] = options;
  if (steps < 1) throw Error("schedule.train_steps", fmt::format("{}, but at least 1 is needed", steps));
  if (!(first > 0 && first < 1)) {
    throw Error("schedule.beta_start", fmt::format("{}, but a value between 0 and 1 is needed", first));
  }
  if (!(last >= first && last < 1)) {
    throw Error("schedule.beta_end",
                fmt::format("{}, but a value from beta_start = {} to 1 is needed", last, first));
  }
  const Tensor result = at::ones({steps + 1}, at::kDouble);
  double* a = result.data_ptr<double>();
  for (int64_t t = 1; t <= steps; ++t) {
    const double part = steps == 1 ? 0 : static_cast<double>(t - 1) / static_cast<double>(steps - 1);
    a[t] = a[t - 1] * (1 - (first + part * (last - first)));
  }
  if (!(a[steps] > 0)) throw Error("schedule.beta_end", fmt::format("{} leaves nothing of the data", last));
  return result;
}

}  // namespace tweedie
