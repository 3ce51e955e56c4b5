// All findings in one sentence.

#include "tweedie/diagnostics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tweedie {

const char* to_string(Finding::Status status) {
  switch (status) {
    case Finding::Status::pass:
      return "pass";
    case Finding::Status::warn:
      return "warn";
    case Finding::Status::fail:
      return "fail";
    case Finding::Status::skipped:
      return "skipped";
  }
  return "unknown";
}

Verdict verdict(const std::vector<Finding>& findings) {
  std::vector<std::string> passed, warned, failed;
  for (const Finding& f : findings) {
    if (f.status == Finding::Status::pass) passed.push_back(f.name);
    if (f.status == Finding::Status::warn) warned.push_back(f.name);
    if (f.status == Finding::Status::fail) failed.push_back(f.name);
  }
  if (!failed.empty()) {
    return {false, fmt::format("The draws can't be trusted: {} failed.", fmt::join(failed, ", "))};
  }
  if (passed.empty() && warned.empty())
    return {false, "Nothing could be checked, so the draws can't be trusted."};
  if (!warned.empty()) {
    return {true, fmt::format("The draws can be trusted, with care: {} warned.", fmt::join(warned, ", "))};
  }
  return {true, fmt::format("The draws can be trusted: {} passed.", fmt::join(passed, ", "))};
}

}  // namespace tweedie
