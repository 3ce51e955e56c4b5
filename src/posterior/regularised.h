#pragma once
// What the methods of tweedie/regularised.h share: the run over the cases, and accelerated proximal
// gradients.

#include "posterior/weight_rule.h"
#include "tweedie/regularised.h"

namespace tweedie {

// make(case, ||A||^2) for each case, and for each probe of a rule. On the CPU.
using MakeRegularised =
    std::function<std::unique_ptr<RegularisedSolver>(const PointCase& c, double squared_norm)>;
std::unique_ptr<const PosteriorSampler> regularised(const char* method, const WeightOptions& weight,
                                                    int64_t iterations, DrawOptions draw,
                                                    MakeRegularised make);

// min 1/2 ||A x - y||^2 + R(x), prox(z, L, x): x = argmin_x 1/2 ||x - z||^2 + R(x) / L.
// FISTA (Beck and Teboulle, SIAM J. Imaging Sci. 2, 2009), with the momentum taken back where it points
// uphill (O'Donoghue and Candes, Found. Comput. Math. 15, 2015); ISTA without momentum.
struct ProximalGradient {
  double lipschitz;  // L = ||A||^2, about: raised where a step shows that it is larger
  int64_t iterations;
  double tolerance;  // of ||x_{k+1} - v_k|| / ||x_{k+1}||, which is 0 at the answer alone
  bool momentum = true;
};
struct ProximalAnswer {
  Tensor x;
  int64_t iterations = 0;
  double residual = NAN;
  bool converged = false;
  double residual2 = 0;  // ||A x - y||^2
};
using Proximal = std::function<void(const Tensor& z, double lipschitz, Tensor& x)>;
ProximalAnswer proximal_gradient(const PointCase& c, const Tensor& y, const Tensor& start,
                                 const ProximalGradient& options, const Proximal& prox);

}  // namespace tweedie
