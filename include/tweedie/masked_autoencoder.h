#pragma once
// The masked autoencoder (He et al. 2022): a transformer that sees some patches of a row and predicts the
// others. Trained by squared error, it gives E[hidden | visible].

#include "tweedie/data_scale.h"
#include "tweedie/trainable.h"

#include <memory>

namespace tweedie {

struct MaskedAutoencoderOptions {
  static constexpr const char* kind = "masked-autoencoder";
  int64_t patch = 4;            // squares of patch x patch pixels, or neighbours in a vector
  double mask_fraction = 0.75;  // of the patches that are hidden in training, in (0, 1)
  int64_t width = 128;          // encoder: of a token, a multiple of 4 and of heads
  int64_t depth = 4;            // blocks
  int64_t heads = 4;
  int64_t decoder_width = 64;
  int64_t decoder_depth = 2;
  int64_t decoder_heads = 4;
};

// Loss: the squared error over the hidden patches, in the scale's units; each row hides patches of its own,
// as many as any other. Reported as their mean.
class MaskedAutoencoder final : public Trainable {
 public:
  // shape: (C, H, W) or (d). Throws Error on options that are out of range or don't fit it.
  MaskedAutoencoder(const MaskedAutoencoderOptions& options, const Shape& shape, const DataScale& scale);
  ~MaskedAutoencoder() override;

  Shape shape() const override;
  Weights initialise(Noise noise, const Tensor& rows) const override;
  Loss bind(const Weights& weights, at::ScalarType dtype) const override;
  double terms() const override;  // numbers that are hidden

  int64_t patches() const;
  // Which numbers of a row are hidden: (N, patches) bool -> (N, *shape) bool
  Tensor hidden_numbers(const Tensor& mask) const;
  // x with its hidden patches replaced by E[hidden | visible]: (N, *shape), N >= 1 -> the same, float32. What
  // x has in hidden patches does not matter, but must be finite. mask: (patches) or (N, patches) bool, true
  // where hidden, at least one of each row false; patches of an image go row by row. Throws Error on other
  // masks, and on weights that are not this model's.
  Tensor reconstruct(const Weights& weights, const Tensor& x, const Tensor& mask, int64_t threads = 0) const;

 private:
  struct Layers;
  DataScale scale_;
  int64_t hidden_;
  std::unique_ptr<const Layers> layers_;
};

}  // namespace tweedie
