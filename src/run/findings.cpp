#include "run/findings.h"

#include <cmath>

namespace tweedie {

Summary to_json(const std::vector<Finding>& findings) {
  Summary list = Summary::array();
  for (const Finding& finding : findings) {
    Summary entry{
        {"name", finding.name}, {"status", to_string(finding.status)}, {"message", finding.message}};
    if (std::isfinite(finding.value)) entry["value"] = finding.value;
    if (finding.p_value) entry["p_value"] = *finding.p_value;
    if (!finding.remedy.empty()) entry["remedy"] = finding.remedy;
    list.push_back(entry);
  }
  return list;
}

}  // namespace tweedie
