// The checks that come first: are the draws numbers, and do enough of them carry weight?

#include "tweedie/diagnostics.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

Finding finite(const Tensor& draws) {
  const double bad = at::isfinite(draws).logical_not().sum().item<double>();
  Finding f{"finite",
            Finding::Status::pass,
            bad,
            std::nullopt,
            fmt::format("all {} values of the draws are finite", draws.numel()),
            ""};
  if (bad > 0) {
    f.status = Finding::Status::fail;
    f.message = fmt::format("{} of {} values of the draws are NaN or infinite", bad, draws.numel());
    f.remedy = "lower the guidance's step size, start from a smaller sigma_max, or use float32";
  }
  return f;
}

Finding weights(const Tensor& log_weight) {
  constexpr double least = 10, least_fraction = 0.01;
  if (log_weight.dim() != 1 || log_weight.size(0) == 0) {
    throw Error("weights",
                fmt::format("log weights of shape {}; (draws) is meant", to_string(log_weight.sizes())));
  }
  const Tensor log_w = log_weight.detach().to(at::kDouble);
  const double n = static_cast<double>(log_w.numel()), top = log_w.max().item<double>();
  Finding f{"weights", Finding::Status::pass, 0, std::nullopt, "", ""};
  if (!std::isfinite(top)) {  // NaN wins a maximum
    f.status = Finding::Status::fail;
    f.message = fmt::format("the largest of {} log weights is {}", log_w.numel(), top);
    f.remedy = "check noise std and operator: no draw explains the measurement";
    return f;
  }
  if ((log_w == top).all().item<bool>()) {
    f.status = Finding::Status::skipped;
    f.value = n;
    f.message = fmt::format("all {} draws weigh the same", log_w.numel());
    return f;
  }
  const Tensor w = (log_w - top).exp();
  f.value = std::pow(w.sum().item<double>(), 2) / w.square().sum().item<double>();
  f.message = fmt::format("effective sample size is {:.1f} of {} draws", f.value, log_w.numel());
  if (f.value < least || f.value < least_fraction * n) {
    f.status = Finding::Status::fail;
    f.message += fmt::format(", below {:.3g}", std::max(least, least_fraction * n));
    f.remedy = "take more particles";
  }
  return f;
}

}  // namespace tweedie
