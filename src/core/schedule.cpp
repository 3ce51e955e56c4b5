#include "tweedie/schedule.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace tweedie {

namespace {

void require_steps(int64_t steps) {
  if (steps < 1) throw Error("schedule.steps", fmt::format("{}, but at least 1 is needed", steps));
}

void require_levels(double low, double high) {
  if (!(low > 0 && std::isfinite(low))) {
    throw Error("schedule.sigma_min", fmt::format("{}, but a finite value above 0 is needed", low));
  }
  if (!(high > low && std::isfinite(high))) {
    throw Error("schedule.sigma_max",
                fmt::format("{}, but a finite value above sigma_min = {} is needed", high, low));
  }
}

void require_between_0_and_1(double value, const char* field) {
  if (!(value > 0 && value < 1)) {
    throw Error(std::string("schedule.") + field,
                fmt::format("{}, but a value between 0 and 1 is needed", value));
  }
}

void require_betas(double first, double last) {
  require_between_0_and_1(first, "beta_start");
  if (!(last >= first && last < 1)) {
    throw Error("schedule.beta_end",
                fmt::format("{}, but a value from beta_start = {} to 1 is needed", last, first));
  }
}

// part of the way, from 0 to 1
double part(int64_t i, int64_t count) {
  return count == 1 ? 0 : static_cast<double>(i) / static_cast<double>(count - 1);
}

// sigma_i = level(i) for i < steps, then 0
template <class Level>
Tensor levels(int64_t steps, Level level) {
  const Tensor sigma = at::zeros({steps + 1}, at::kDouble);
  double* value = sigma.data_ptr<double>();
  for (int64_t i = 0; i < steps; ++i) value[i] = level(i);
  return sigma;
}

// prod (1 - beta(t)) for t = 0 .. steps; the largest beta is the value of a field
template <class Beta>
Tensor cumulate(int64_t steps, const char* field, double largest, Beta beta) {
  if (steps < 1) throw Error("schedule.train_steps", fmt::format("{}, but at least 1 is needed", steps));
  const Tensor result = at::ones({steps + 1}, at::kDouble);
  double* a = result.data_ptr<double>();
  for (int64_t t = 1; t <= steps; ++t) a[t] = a[t - 1] * (1 - beta(t));
  // Below the least normal number sigma and the start would lose their digits.
  if (!(a[steps] >= std::numeric_limits<double>::min())) {
    throw Error(std::string("schedule.") + field,
                fmt::format("{} leaves nothing of the data; a lower value is needed", largest));
  }
  return result;
}

NoiseSchedule make_vp(const Tensor& alpha_bar, int64_t steps) {
  require_steps(steps);
  const int64_t train_steps = alpha_bar.numel() - 1;
  if (steps > train_steps) {
    throw Error("schedule.steps",
                fmt::format("{}, but at most train_steps = {} are meant", steps, train_steps));
  }
  const double* a = alpha_bar.data_ptr<double>();
  const Tensor sigma = levels(steps, [&](int64_t i) {
    // round(train_steps k / N) in integers
    const int64_t k = steps - i, t = (2 * train_steps * k + steps) / (2 * steps);
    return std::sqrt((1 - a[t]) / a[t]);
  });
  return {sigma, 1 / std::sqrt(a[train_steps])};
}

}  // namespace

NoiseSchedule make_schedule(const Karras& options, int64_t steps) {
  require_steps(steps);
  const auto [low, high, rho] = options;
  require_levels(low, high);
  if (!(rho > 0 && std::isfinite(rho))) {
    throw Error("schedule.rho", fmt::format("{}, but a finite value above 0 is needed", rho));
  }
  const double from = std::pow(high, 1 / rho), to = std::pow(low, 1 / rho);
  const Tensor sigma = levels(steps, [&, first = high, power = rho](int64_t i) {
    return i == 0 ? first : std::pow(from + part(i, steps) * (to - from), power);
  });
  return {sigma, high};
}

NoiseSchedule make_schedule(const GeometricVe& options, int64_t steps) {
  require_steps(steps);
  require_levels(options.sigma_min, options.sigma_max);
  const double ratio = std::log(options.sigma_min / options.sigma_max);
  const Tensor sigma =
      levels(steps, [&](int64_t i) { return options.sigma_max * std::exp(part(i, steps) * ratio); });
  return {sigma, options.sigma_max};
}

NoiseSchedule make_schedule(const UniformFlow& options, int64_t steps) {
  require_steps(steps);
  require_between_0_and_1(options.t_max, "t_max");
  const Tensor sigma = levels(steps, [&](int64_t i) {
    const double t = options.t_max * static_cast<double>(steps - i) / static_cast<double>(steps);
    return t / (1 - t);
  });
  return {sigma, 1 / (1 - options.t_max)};
}

NoiseSchedule make_schedule(const VpLinear& options, int64_t steps) {
  return make_vp(alpha_bar(options), steps);
}

NoiseSchedule make_schedule(const VpScaledLinear& options, int64_t steps) {
  return make_vp(alpha_bar(options), steps);
}

NoiseSchedule make_schedule(const Cosine& options, int64_t steps) {
  return make_vp(alpha_bar(options), steps);
}

NoiseSchedule make_schedule(const Schedule& schedule, int64_t steps) {
  return std::visit([steps](const auto& options) { return make_schedule(options, steps); }, schedule);
}

Tensor alpha_bar(const VpLinear& o) {
  require_betas(o.beta_start, o.beta_end);
  return cumulate(o.train_steps, "beta_end", o.beta_end, [&](int64_t t) {
    return o.beta_start + part(t - 1, o.train_steps) * (o.beta_end - o.beta_start);
  });
}

Tensor alpha_bar(const VpScaledLinear& o) {
  require_betas(o.beta_start, o.beta_end);
  const double first = std::sqrt(o.beta_start), last = std::sqrt(o.beta_end);
  return cumulate(o.train_steps, "beta_end", o.beta_end, [&](int64_t t) {
    const double root = first + part(t - 1, o.train_steps) * (last - first);
    return root * root;
  });
}

Tensor alpha_bar(const Cosine& o) {
  if (!(o.s >= 0 && o.s <= 1)) throw Error("schedule.s", fmt::format("{}, but 0 to 1 is meant", o.s));
  require_between_0_and_1(o.max_beta, "max_beta");
  const auto f = [&](int64_t t) {
    const double time = static_cast<double>(t) / static_cast<double>(o.train_steps);
    const double root = std::cos(std::numbers::pi / 2 * (time + o.s) / (1 + o.s));
    return root * root;
  };
  return cumulate(o.train_steps, "max_beta", o.max_beta,
                  [&](int64_t t) { return std::min(1 - f(t) / f(t - 1), o.max_beta); });
}

}  // namespace tweedie
