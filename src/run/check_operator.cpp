#include "run/check_operator.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/operator_fields.h"
#include "io/run_folder.h"
#include "run/forward.h"
#include "run/measured_file.h"
#include "run/operator_catalogue.h"

namespace tweedie {

namespace {

CheckedOperator checked(const std::string& name, const ForwardOperator& a,
                        const OperatorCheckOptions& options) {
  return {name, dynamic_cast<const LinearOperator*>(&a) != nullptr, a.domain(), a.codomain(),
          check_operator(a, options)};
}

nlohmann::ordered_json to_json(const CheckedOperator& o) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const OperatorCheck& c : o.checks) {
    checks.push_back(
        {{"name", c.name}, {"error", c.value}, {"bound", c.bound}, {"passed", c.passed()}, {"note", c.note}});
  }
  return {{"name", o.name},         {"linear", o.linear},   {"domain", o.domain},
          {"codomain", o.codomain}, {"passed", o.passed()}, {"checks", checks}};
}

OperatorReport report(std::vector<CheckedOperator> operators, uint64_t seed, const Stopwatch& watch,
                      const RunContext& context) {
  OperatorReport result{std::move(operators), start_summary("check-operator", seed, context)};
  result.summary["passed"] = result.passed();
  result.summary["operators"] = nlohmann::ordered_json::array();
  for (const CheckedOperator& o : result.operators) result.summary["operators"].push_back(to_json(o));
  finish_summary(result.summary, watch);
  if (!context.out.empty()) {
    RunFolder folder(context.out, context.force);
    write_atomically(folder.path("summary.json"), result.summary.dump(2) + "\n");
    folder.commit();
  }
  return result;
}

}  // namespace

OperatorReport check_operator_of(const CheckOperatorConfig& config, const RunContext& context) {
  const Stopwatch watch;
  const OperatorOptions& options = config.measurement.forward;
  const auto a = make_operator(options, config.measurement.shape, Noise(config.seed).stream(Stream::user),
                               read_for_operator);
  const char* kind = std::visit([](const auto& o) { return o.kind; }, options);
  const OperatorCheckOptions how{.seed = config.seed, .single_precision = is_users_own(options)};
  return report({checked(kind, *a, how)}, config.seed, watch, context);
}

OperatorReport check_all_operators(uint64_t seed, const RunContext& context) {
  const Stopwatch watch;
  std::vector<CheckedOperator> operators;
  for (const CatalogueEntry& entry : operator_catalogue()) {
    const auto a = make_operator(entry.options(), entry.domain, Noise(seed), catalogue_array);
    operators.push_back(checked(entry.name, *a, {.seed = seed}));
  }
  return report(std::move(operators), seed, watch, context);
}

}  // namespace tweedie
