#include "run/class_agreement.h"

#include "core/workers.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tweedie {

namespace {

using Counts = std::vector<std::vector<int64_t>>;

// The likeliest class of each row, (N) int64
Tensor seen_by(const NoisyClassifier& classifier, const Tensor& x, int64_t threads) {
  constexpr int64_t block_rows = 64;
  // Next to no noise: what the classifier was shown as clean
  const Tensor sigma = at::scalar_tensor(classifier.sigma_data() / 1000, at::kDouble);
  const Tensor seen = at::empty({x.size(0)}, at::kLong);
  Workers workers(threads);
  workers.for_each((x.size(0) + block_rows - 1) / block_rows, [&](int64_t block) {
    const int64_t first = block * block_rows, last = std::min(x.size(0), first + block_rows);
    seen.slice(0, first, last).copy_(classifier.log_probs(x.slice(0, first, last), sigma).argmax(1));
  });
  return seen;
}

Counts rows_of(const Tensor& confusion) {
  Counts rows;
  for (int64_t i = 0; i < confusion.size(0); ++i) {
    const int64_t* row = confusion[i].data_ptr<int64_t>();
    rows.emplace_back(row, row + confusion.size(1));
  }
  return rows;
}

struct Share {
  double value = 0, standard_error = 0;
};

Share share_of(int64_t part, int64_t whole) {
  const double share = static_cast<double>(part) / static_cast<double>(whole);
  return {share, std::sqrt(share * (1 - share) / static_cast<double>(whole))};
}

int64_t sum(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

std::string percent(const std::vector<int64_t>& row, size_t column) {
  const int64_t rows = sum(row);
  if (rows == 0) return "";
  const Share share = share_of(row[column], rows);
  return fmt::format("{:.1f} ± {:.1f}%", 100 * share.value, 100 * share.standard_error);
}

}  // namespace

Tensor confusion_of(const Tensor& labels, const Tensor& seen, int64_t classes) {
  return at::bincount(labels * classes + seen, {}, classes * classes).reshape({classes, classes});
}

void require_known(const NoisyClassifier& classifier, const Tensor& labels, const std::string& place) {
  if (!labels.defined() || labels.numel() == 0) return;
  const auto least = labels.min().item<int64_t>(), most = labels.max().item<int64_t>();
  if (least < 0 || most >= classifier.classes()) {
    throw Error(place, fmt::format("label {}, but the classifier knows 0 to {}", least < 0 ? least : most,
                                   classifier.classes() - 1));
  }
}

void add_classes(const NoisyClassifier& classifier, const Tensor& draws, const Tensor& draw_labels,
                 const Tensor& data, const Tensor& data_labels, const RunContext& context, Summary& summary) {
  const auto add = [&](const char* of, const Tensor& x, const Tensor& labels) {
    const Tensor seen = seen_by(classifier, x, context.threads);
    summary["class_confusion"][of] = rows_of(confusion_of(labels, seen, classifier.classes()));
    return share_of(seen.eq(labels).sum().item<int64_t>(), x.size(0));
  };
  if (data_labels.defined()) summary["classifier_accuracy"] = add("data", data, data_labels).value;
  if (!draw_labels.defined()) return;
  const Share agreement = add("draws", draws, draw_labels);
  summary["class_agreement"] = agreement.value;
  summary["class_agreement_standard_error"] = agreement.standard_error;
}

std::string class_table(const Summary& summary) {
  if (!summary.contains("class_agreement")) return "";
  const auto draws = summary["class_confusion"]["draws"].get<Counts>();
  const Counts data = summary["class_confusion"].value("data", Counts());
  std::string text =
      "| class | draws | seen as it | of the data | else most often as | share | of the data |\n"
      "|---:|---:|---:|---:|---:|---:|---:|\n";
  for (size_t label = 0; label < draws.size(); ++label) {
    std::vector<int64_t> others = draws[label];
    if (sum(others) == 0) continue;
    others[label] = 0;
    const size_t other = std::max_element(others.begin(), others.end()) - others.begin();
    const auto of_data = [&](size_t column) { return data.empty() ? "" : percent(data[label], column); };
    text += fmt::format("| {} | {} | {} | {} |", label, sum(draws[label]), percent(draws[label], label),
                        of_data(label));
    text += others[other] == 0
                ? "  |  |  |\n"
                : fmt::format(" {} | {} | {} |\n", other, percent(draws[label], other), of_data(other));
  }
  return text;
}

}  // namespace tweedie
