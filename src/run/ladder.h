#pragma once
// Problems whose posteriors are known exactly, from easy to hard: what every method is certified on. Under
// Gaussian noise in closed form, under other noise by quadrature in two dimensions.

#include "tweedie/analytic_prior.h"
#include "tweedie/likelihood.h"
#include "tweedie/operators.h"
#include "tweedie/schedule.h"

#include <string>
#include <vector>

namespace tweedie {

struct Rung {
  std::string name;         // kebab-case
  std::string description;  // one line
  std::shared_ptr<const AnalyticPrior> prior;
  LinearOperatorPtr forward;
  NoiseModelPtr noise;
  Karras schedule;  // levels that span the prior
};

std::vector<Rung> ladder();

}  // namespace tweedie
