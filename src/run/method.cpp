#include "run/method.h"

#include "run/prior.h"
#include "tweedie/array_io.h"
#include "tweedie/error.h"

#include <fmt/format.h>

namespace tweedie {

namespace {

constexpr int64_t default_steps = 32;

// What a method may need of the rest of the config.
struct Walk {
  const SamplerConfig& sampler;
  const Schedule& schedule;
  int64_t steps;
  const DrawOptions& options;
};
using MethodPtr = std::unique_ptr<const PosteriorSampler>;

// Every guidance: any sampler, any schedule.
template <class Guide>
MethodPtr make(const Guide& guide, const Walk& w) {
  return std::make_unique<GuidedSampler>(guide, make_sampler(w.sampler, w.steps),
                                         make_schedule(w.schedule, w.steps), w.options);
}

MethodPtr make(const ExactOptions&, const Walk& w) {
  return std::make_unique<ExactSampler>(w.options);
}

// Their noise is their own, so they take no sampler.
MethodPtr make(const DdrmOptions& o, const Walk& w) {
  return std::make_unique<DdrmSampler>(o, make_schedule(w.schedule, w.steps), w.options);
}
MethodPtr make(const DdnmPlusOptions& o, const Walk& w) {
  return std::make_unique<DdrmSampler>(o, make_schedule(w.schedule, w.steps), w.options);
}

// Every method with a loop of its own over the levels.
template <class Options>
concept OwnsItsLoop = requires {
  Options::default_steps;
};
template <OwnsItsLoop Options>
MethodPtr make(const Options& options, const Walk& w) {
  return posterior_sampler(options, make_schedule(w.schedule, w.steps), w.options);
}

// Those that give one answer
template <class Options>
concept Points = requires(const Options& options) {
  point_estimate(options, DrawOptions{});
};
template <Points Options>
MethodPtr make(const Options& options, const Walk& w) {
  return point_estimate(options, w.options);
}
MethodPtr make(const WienerOptions& options, const Walk& w) {
  return point_estimate(options, options.data.empty() ? Tensor() : read_array(options.data), w.options);
}

int64_t default_steps_of(const MethodConfig& method) {
  return std::visit(
      []<class Options>(const Options&) {
        if constexpr (OwnsItsLoop<Options>) return Options::default_steps;
        return default_steps;
      },
      method.rule);
}

}  // namespace

int64_t steps_of(const MethodConfig& method, const std::optional<SamplerConfig>& sampler) {
  if (sampler && !takes_sampler(method)) {
    const char* kind = std::visit([](const auto& rule) { return rule.kind; }, sampler->rule);
    throw Error("sampler", fmt::format("{}, but {} takes none; [sampler] is for guidance such as mmps", kind,
                                       name_of(method)));
  }
  if (std::holds_alternative<ExactOptions>(method.rule) || is_point_estimate(method)) return 0;
  const auto a = method.steps, b = sampler ? sampler->steps : std::nullopt;
  if (a && b && *a != *b) {
    throw Error("method.steps", fmt::format("{}, but sampler.steps is {}; one number is meant", *a, *b));
  }
  return a ? *a : b.value_or(default_steps_of(method));
}

std::unique_ptr<const PosteriorSampler> make_method(const MethodConfig& method, const SamplerConfig& sampler,
                                                    const Schedule& schedule, int64_t steps,
                                                    const DrawOptions& options) {
  const Walk walk{sampler, schedule, steps, options};
  return with_whitening(std::visit([&](const auto& rule) { return make(rule, walk); }, method.rule));
}

std::string name_of(const MethodConfig& method) {
  return std::visit([](const auto& rule) { return std::string(rule.kind); }, method.rule);
}

}  // namespace tweedie
