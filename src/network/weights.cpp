#include "network/cuda_graph.h"
#include "tweedie/error.h"
#include "tweedie/network.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

void Weights::add(const std::string& name, Tensor value) {
  if (contains(name)) throw Error("weights", "'" + name + "' is there twice");
  if (names_.use_count() > 1) names_ = std::make_shared<Names>(*names_);
  names_->index.emplace(name, tensors_.size());
  names_->list.push_back(name);
  tensors_.push_back(std::move(value));
}

const Tensor& Weights::operator[](const std::string& name) const {
  const auto found = names_->index.find(name);
  if (found == names_->index.end()) throw Error("weights", "no array named '" + name + "'");
  return tensors_[found->second];
}

int64_t Weights::count() const {
  int64_t result = 0;
  for (const Tensor& tensor : tensors_) result += tensor.numel();
  return result;
}

Weights Weights::with(std::vector<Tensor> tensors) const {
  if (tensors.size() != tensors_.size()) {
    throw Error("weights", fmt::format("{} arrays for {} names", tensors.size(), tensors_.size()));
  }
  Weights result = *this;
  result.tensors_ = std::move(tensors);
  return result;
}

Weights Weights::clone() const {
  std::vector<Tensor> copies;
  for (const Tensor& tensor : tensors_) copies.push_back(tensor.detach().clone());
  return with(std::move(copies));
}

Tensor Weights::cast(const Tensor& weight, at::Device device, at::ScalarType dtype) {
  const Tensor result = weight.to(device, dtype);
  return result.dim() == 4 ? result.contiguous(at::MemoryFormat::ChannelsLast) : result;
}

Weights Weights::to(at::Device device, at::ScalarType dtype) const {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors_) result.push_back(cast(tensor, device, dtype));
  return with(std::move(result));
}

Network::Bound Network::bind(const Weights& weights, at::ScalarType dtype) const {
  const Tensor& any = weights.tensors().front();
  const bool cast = any.scalar_type() != dtype;  // in every call, so that gradients pass it
  return [this, weights, dtype, cast, device = any.device()](const Tensor& x, const Tensor& c_noise,
                                                             const Tensor& labels) {
    return forward(cast ? weights.to(device, dtype) : weights, x.to(dtype), c_noise, labels)
        .to(x.scalar_type());
  };
}

NetworkPredictor::NetworkPredictor(std::shared_ptr<const Network> network, const Weights& weights)
    : network_(std::move(network)) {
  const Tensor& any = weights.tensors().front();
  Network::Bound bound = network_->bind(weights, any.scalar_type());
  bound_ = std::make_shared<const Network::Bound>(any.is_cuda() ? replayed(std::move(bound)) : bound);
}

NetworkPredictor NetworkPredictor::labelled(const Tensor& labels) const {
  const int64_t classes = network_->classes();
  if (classes == 0) throw Error("label", "this model was not trained with classes");
  if (labels.numel() > 0) {
    const auto least = labels.min().item<int64_t>(), most = labels.max().item<int64_t>();
    if (least < 0 || most >= classes)
      throw Error("label", fmt::format("{}: 0 to {} is meant", least < 0 ? least : most, classes - 1));
  }
  NetworkPredictor result = *this;
  result.labels_ = labels.contiguous();
  return result;
}

Tensor NetworkPredictor::predict(const Tensor& x_t, const Tensor& t) const {
  // One embedding serves all rows of one noise level. That they have one is for the caller to say, by stride
  // 0: were it read off the values, the bits of a row would depend on the others' levels.
  const bool one_level = t.numel() > 1 && t.stride(0) == 0;
  return (*bound_)(x_t, one_level ? t.slice(0, 0, 1) : t,
                   labels_.defined() ? labels_.to(x_t.device()) : labels_);
}

}  // namespace tweedie
