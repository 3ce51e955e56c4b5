#include "train/gradient.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace tweedie {

namespace {

using torch::autograd::AccumulateGrad;
using torch::autograd::Node;

// A node of a graph without branches, and which leaf each of its outputs is the gradient of
struct Link {
  Node* node;
  std::vector<std::optional<size_t>> leaf_of;  // none: it goes on to the next node, or nowhere
};

// The nodes from the loss on, where each but the last has one output besides those to leaves, and every leaf
// has one gradient.
std::optional<std::vector<Link>> chain_of(const Tensor& loss, const std::vector<Tensor>& leaves) {
  std::vector<Link> chain;
  size_t found = 0;
  std::vector<bool> seen(leaves.size(), false);
  for (Node* node = loss.grad_fn().get(); node != nullptr;) {
    if (!node->pre_hooks().empty() || !node->post_hooks().empty() || node->num_inputs() != 1) return {};
    Link link{node, std::vector<std::optional<size_t>>(node->num_outputs())};
    Node* next = nullptr;
    for (size_t i = 0; i < node->num_outputs(); ++i) {
      const auto& edge = node->next_edge(i);
      if (!edge.is_valid()) continue;
      if (const auto* end = dynamic_cast<const AccumulateGrad*>(edge.function.get())) {
        const auto leaf = std::find_if(leaves.begin(), leaves.end(),
                                       [&](const Tensor& t) { return t.is_same(end->variable); });
        if (leaf == leaves.end() || seen[leaf - leaves.begin()]) return {};
        link.leaf_of[i] = leaf - leaves.begin();
        seen[leaf - leaves.begin()] = true;
        ++found;
      } else {
        if (next != nullptr) return {};
        next = edge.function.get();
      }
    }
    chain.push_back(std::move(link));
    node = next;
  }
  if (found < leaves.size()) return {};
  return chain;
}

// As what the edge leads to takes it: a node may give the gradient of what it broadcast, or in another dtype.
Tensor taken(const torch::autograd::Edge& edge, Tensor part) {
  const auto& input = edge.function->input_metadata(edge.input_nr);
  if (!input.is_same_shape(part)) part = input.reduce_grad(part);
  const at::ScalarType dtype = c10::typeMetaToScalarType(input.options().dtype());
  return part.scalar_type() == dtype ? part : part.to(dtype);
}

}  // namespace

// Without libtorch's engine where it has nothing to decide: for a small network it costs as much as a layer.
std::vector<Tensor> gradient(const Tensor& loss, const std::vector<Tensor>& leaves) {
  const bool plain = loss.device().is_cpu() && loss.numel() == 1;
  const auto chain = plain ? chain_of(loss, leaves) : std::nullopt;
  if (!chain) return torch::autograd::grad({loss}, leaves);
  const at::AutoGradMode no_gradients(false);
  std::vector<Tensor> result(leaves.size());
  Tensor along = at::ones_like(loss);
  for (const Link& link : *chain) {
    torch::autograd::variable_list parts = (*link.node)({along});
    along.reset();
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i].defined() || !link.node->next_edge(i).is_valid()) continue;
      Tensor part = taken(link.node->next_edge(i), std::move(parts[i]));
      (link.leaf_of[i] ? result[*link.leaf_of[i]] : along) = std::move(part);
    }
  }
  if (!std::all_of(result.begin(), result.end(), [](const Tensor& part) { return part.defined(); }))
    throw std::logic_error("a leaf has no gradient");
  return result;
}

}  // namespace tweedie
