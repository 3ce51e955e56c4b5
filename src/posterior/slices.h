#pragma once
// Rows in slices of fixed number, each slice on one thread from start to end, so that its activations stay in
// that core's cache and no bit of a draw depends on the batch or the threads. Every method whose draws are
// independent walks is run by this.

#include "tweedie/posterior.h"

#include <functional>

namespace tweedie {

// Slices whose rows are (case, draw) pairs, some of them copies that fill the slice up.
class Slice {
 public:
  Slice(std::vector<int64_t> cases, std::vector<int64_t> own, Noise noise,
        std::function<void(const Tensor&)> report)
      : cases_(std::move(cases)),
        own_(std::move(own)),
        noise_(std::move(noise)),
        report_(std::move(report)) {}

  const std::vector<int64_t>& cases() const { return cases_; }  // of each row
  int64_t rows() const { return static_cast<int64_t>(cases_.size()); }
  const std::vector<int64_t>& own() const { return own_; }  // the rows that are no copies
  // Of these rows: take a stream() of it for each use.
  const Noise& noise() const { return noise_; }
  // The rows of `per_case` (cases, ...) that belong to this slice's rows
  Tensor rows_of(const Tensor& per_case) const;
  // To be called after each of the steps with the state then. Throws Interrupted when the observer said stop.
  void step_done(const Tensor& x) const { report_(x); }

 private:
  std::vector<int64_t> cases_, own_;
  Noise noise_;
  std::function<void(const Tensor&)> report_;
};

// walk(slice) -> (slice.rows(), *shape), calling step_done `steps` times. Returns (draws, cases, *shape) on
// the CPU.
Tensor draw_slices(const std::function<Tensor(const Slice&)>& walk, int64_t steps, const Shape& shape,
                   int64_t draws, int64_t cases, const Noise& noise, const Observer& observer,
                   const DrawOptions& options, RunRecord* record);

}  // namespace tweedie
