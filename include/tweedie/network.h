#pragma once
// A network is a pure function of its weights: averaging, casting, sharing between threads and saving them
// need nothing from it.

#include "tweedie/noise.h"
#include "tweedie/predictor.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace tweedie {

// Named arrays in a fixed order.
class Weights {
 public:
  // Moved as copied, so that names_ is never null
  Weights() = default;
  Weights(const Weights&) = default;
  Weights& operator=(const Weights&) = default;
  ~Weights() = default;

  void add(const std::string& name, Tensor value);  // while no other thread has a copy
  bool contains(std::string_view name) const { return names_->index.count(std::string(name)) > 0; }
  const Tensor& operator[](const std::string& name) const;  // throws Error if there is none

  size_t size() const { return tensors_.size(); }
  const std::vector<std::string>& names() const { return names_->list; }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  int64_t count() const;  // numbers in all of them

  Weights clone() const;
  // Cast to dtype on device; 4-d weights become channels-last, which convolutions are fastest in.
  Weights to(at::Device device, at::ScalarType dtype) const;
  static Tensor cast(const Tensor& weight, at::Device device, at::ScalarType dtype);
  // The same names over other arrays
  Weights with(std::vector<Tensor> tensors) const;

 private:
  struct Names {
    std::vector<std::string> list;
    std::unordered_map<std::string, size_t> index;
  };
  std::shared_ptr<Names> names_ = std::make_shared<Names>();  // shared by copies until one adds
  std::vector<Tensor> tensors_;
};

class Network {
 public:
  virtual ~Network() = default;
  virtual Shape shape() const = 0;  // of one input
  virtual int64_t classes() const { return 0; }
  // Outputs, each of the input's shape, one after another along the first axis of an output
  virtual int64_t outputs() const { return 1; }
  // A fresh start. The output layer is zero, so that the network's first output is.
  virtual Weights initialise(Noise noise) const = 0;
  // x: (B, *shape) in the weights' dtype; c_noise: (1) or (B), a function of the noise level of order 1;
  // labels: (1) or (B) int64, of which classes() says "none", or undefined, which says so of all rows. Twice
  // differentiable, unlike what is bound.
  virtual Tensor forward(const Weights& weights, const Tensor& x, const Tensor& c_noise,
                         const Tensor& labels = {}) const = 0;
  // forward() at given weights, computed in `dtype` by the fastest code that there is for it: for many calls,
  // from any thread. x of any floating dtype, which the result has too. Differentiable in x, c_noise and the
  // weights that require a gradient, once; the same numbers up to the rounding of `dtype`. The network
  // outlives it.
  using Bound = std::function<Tensor(const Tensor& x, const Tensor& c_noise, const Tensor& labels)>;
  virtual Bound bind(const Weights& weights, at::ScalarType dtype) const;
  // Floating-point operations of one forward pass of one row (a multiply-add is 2), dense layers only
  virtual double flops() const = 0;
};

// Residual network on flat vectors, with the noise embedding added in each layer.
struct MlpOptions {
  static constexpr const char* kind = "mlp";
  int64_t width = 128;
  int64_t depth = 3;        // residual layers
  int64_t frequencies = 0;  // K: sin and cos of each coordinate times 1, 2, 4, .. 2^(K - 1) are inputs too,
                            // with which fine detail in few dimensions is learned sooner (Tancik et al. 2020)
};

// Ho et al. 2020 (DDPM), appendix B, in the form of Dhariwal & Nichol 2021: residual blocks of GroupNorm,
// SiLU and 3x3 convolutions, scaled and shifted by the noise embedding; average-pool down, nearest-neighbour
// up; skip connections.
struct UNetOptions {
  static constexpr const char* kind = "unet";
  int64_t channels = 32;                      // at full resolution
  std::vector<int64_t> multipliers{1, 2, 3};  // of channels, one per resolution, each half of the one before
  int64_t blocks = 2;                         // residual blocks per resolution, down and up
  std::vector<int64_t> attention{};           // resolutions (heights, after folding) with self-attention
  int64_t patch = 1;  // squares of patch x patch pixels are folded into channels first
};

// Peebles and Xie 2023 (DiT): a transformer on the patches of an image, whose blocks the noise level and the
// label modulate (adaLN-zero).
struct DitOptions {
  static constexpr const char* kind = "dit";
  int64_t patch = 2;    // a token is a square of patch x patch pixels; divides both sides of the image
  int64_t width = 192;  // numbers of a token, a multiple of 4 and of heads
  int64_t depth = 6;    // blocks
  int64_t heads = 3;    // of attention
};

using NetworkOptions = std::variant<UNetOptions, MlpOptions, DitOptions>;

// The bytes that networks on the CPU may keep for derivatives at a time, in all threads together; 0: a
// quarter of the machine's memory. What would take more is computed a second time when it is differentiated,
// with the same bits.
void limit_kept_memory(int64_t bytes);

// A network with its weights, which it computes in the dtype of, as what the adapters take. Input and output
// keep the caller's dtype.
class NetworkPredictor final : public Predictor {
 public:
  NetworkPredictor(std::shared_ptr<const Network> network, const Weights& weights);
  Tensor predict(const Tensor& x_t, const Tensor& t) const override;
  // The same for rows of these classes: (1), for all rows, or (B) int64. Shares all memory. Throws Error on a
  // label that is not one of 0 .. classes - 1.
  NetworkPredictor labelled(const Tensor& labels) const;

 private:
  std::shared_ptr<const Network> network_;
  std::shared_ptr<const Network::Bound> bound_;
  Tensor labels_;
};

// What a network takes and gives beside x.
struct NetworkHeads {
  int64_t classes = 0;  // what labels may be, 0 .. classes - 1; 0: none are taken
  int64_t outputs = 1;
};

// shape: (C, H, W) for the U-Net and the DiT, anything for the MLP. Throws Error on options that don't fit
// it.
std::shared_ptr<const Network> make_network(const NetworkOptions& options, const Shape& shape,
                                            const NetworkHeads& heads = {});
std::shared_ptr<const Network> make_network(const UNetOptions& options, const Shape& shape,
                                            const NetworkHeads& heads = {});
std::shared_ptr<const Network> make_network(const MlpOptions& options, const Shape& shape,
                                            const NetworkHeads& heads = {});
std::shared_ptr<const Network> make_network(const DitOptions& options, const Shape& shape,
                                            const NetworkHeads& heads = {});

}  // namespace tweedie
