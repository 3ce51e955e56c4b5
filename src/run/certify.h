#pragma once
// tweedie certify: every posterior sampler on problems whose posterior is known, with equal numbers of
// network evaluations, in one table.

#include "run/context.h"

#include <optional>
#include <string>
#include <vector>

namespace tweedie {

struct CertifyOptions {
  int64_t evaluations = 64;  // of the network (values and derivatives) for each draw
  int64_t draws = 200;       // for each case, as many exact ones beside them
  int64_t cases = 2;         // measurements of each rung
  uint64_t seed = 1;
  std::vector<std::string> methods{}, rungs{};  // names; empty: all
};

// A method on a rung.
struct CertificateEntry {
  std::string rung, method;
  std::string refused;  // why it does not apply, else empty
  int64_t steps = 0;
  double evaluations = 0;  // for each draw
  double distance =
      0;  // sliced Wasserstein (mean over directions of W_1) to the exact posterior, mean over cases
  double floor = 0;  // of two sets of exact draws
  double coverage =
      0;  // exact posterior probability of the draws' central 90% intervals, mean over coordinates
  std::optional<double> evidence_error;  // log Z-hat - log Z, mean over cases
  double seconds = 0;
  enum class Verdict { exact, close, biased, point, diverged, refused } verdict = Verdict::refused;
  bool promised = false;  // exact in the limit of many evaluations (and particles), by its theory

  double ratio() const { return distance / floor; }
};
const char* to_string(CertificateEntry::Verdict verdict);

struct Certificate {
  std::vector<CertificateEntry> entries;
  bool kept;         // every promised entry is exact or close
  std::string text;  // the tables, Markdown
  Summary summary;
};
// RUN/certificate.md and summary.json
Certificate certify(const CertifyOptions& options, const RunContext& context);

}  // namespace tweedie
