#pragma once
// States as the fields that they stand for, and the files of `tweedie forecast`.

#include "run/forecast_config.h"
#include "tweedie/noise.h"

namespace tweedie {

// Real numbers, float64
Tensor read_real_array(const std::filesystem::path& path);
// (cases, leads, *shape) of a file. Unless each is its own, the axes of cases and leads may be 1 or, from the
// first on, missing; that of one case always. Throws Error(path).
Tensor read_leads(const std::filesystem::path& path, int64_t cases, int64_t leads, const Shape& shape,
                  bool each_its_own = false);

class FieldMap {
 public:
  // Throws Error for files that don't fit.
  FieldMap(const std::optional<FieldOptions>& options, const Shape& state, int64_t cases, int64_t leads);

  const Shape& shape() const { return shape_; }
  // Of a case and a lead, both from 0: states (members, *state) -> (members, *field), each with its expected
  // residual
  Tensor expected(const Tensor& states, int64_t c, int64_t lead) const;
  // Those, each with a residual of its own instead. That of member m is a function of (noise, case + cases m,
  // lead) alone; where each lead has its own, a member has that of the same number at all leads.
  Tensor with_residuals(const Tensor& expected, int64_t c, int64_t lead, const Noise& noise) const;

 private:
  Shape shape_;
  int64_t cases_;
  Tensor basis_, offset_;    // (K, n), (cases, leads, *field)
  Tensor residuals_, mean_;  // (leads or 1, N, *field) about their mean, (leads or 1, *field)
  bool of_lead_ = false;     // residuals are the lead's
};

}  // namespace tweedie
