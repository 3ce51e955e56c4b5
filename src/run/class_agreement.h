#pragma once
// What an independent classifier makes of rows that are said to be of a class.

#include "run/context.h"
#include "tweedie/noisy_classifier.h"

namespace tweedie {

// (K, K) int64, K = classes: [i][j] rows of label i that are seen as j. labels, seen: (N) int64 in 0 .. K - 1
Tensor confusion_of(const Tensor& labels, const Tensor& seen, int64_t classes);

// Throws Error at place unless the classifier knows all of the labels, which may be undefined.
void require_known(const NoisyClassifier& classifier, const Tensor& labels, const std::string& place);

// Into the summary: classifier_accuracy, of the data where those have labels; class_agreement and its
// standard error, of draws that were asked to be of a class; class_confusion of either, "data" and "draws".
void add_classes(const NoisyClassifier& classifier, const Tensor& draws, const Tensor& draw_labels,
                 const Tensor& data, const Tensor& data_labels, const RunContext& context, Summary& summary);

// Class by class, a table in Markdown; empty where no draws were asked to be of a class.
std::string class_table(const Summary& summary);

}  // namespace tweedie
