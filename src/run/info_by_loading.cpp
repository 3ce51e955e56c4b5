// tweedie info: what a file holds, for those that have to be loaded to tell.

#include "run/info.h"
#include "run/prior.h"
#include "run/services.h"

namespace tweedie {

Summary info(const std::filesystem::path& file) {
  const auto flops = [](const ModelCard& card) {
    return takes_network(card.model) ? network_of(card)->flops() : 0;
  };
  if (auto summary = info_by_reading(file, flops)) return *std::move(summary);
  const LoadedPrior prior = load_prior(prior_of(file), RunContext{});
  return {{"command", "info"},
          {"file", file.string()},
          {"kind", "prior"},
          {"prior", prior.description},
          {"shape", prior.denoiser->shape()}};
}

}  // namespace tweedie
