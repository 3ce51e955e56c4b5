#pragma once
// The field tables (core/fields.h) of autoencoders, masked autoencoders and latent diffusion.

#include "core/fields.h"
#include "tweedie/latent_diffusion.h"
#include "tweedie/masked_autoencoder.h"
#include "tweedie/vae.h"

namespace tweedie {

inline void fields(FieldVisitor& visit, VaeOptions& o) {
  visit(o.architecture, {"architecture", "auto: convolutional for images, mlp for all else"});
  visit(o.latent, {"latent", "dimension of z; of a feature map, its channels", {.min = 1, .max = 65536}});
  visit(o.width, {"width", "mlp: of each hidden layer", {.min = 1, .max = 65536}});
  visit(o.depth, {"depth", "mlp: hidden layers of encoder and decoder each", {.min = 1, .max = 1024}});
  visit(o.channels, {"channels", "convolutions: at full resolution", {.min = 1, .max = 4096}});
  visit(o.halvings, {"halvings", "convolutions: of both sides of the image", {.min = 1, .max = 16}});
  visit(o.kl_weight, {"kl_weight", "1: the ELBO; small: nearly a plain autoencoder", {.min = 0}});
  visit(o.importance_samples,
        {"importance_samples", "draws of z for each likelihood", {.min = 1, .max = 1e6}});
}

inline void fields(FieldVisitor& visit, MaskedAutoencoderOptions& o) {
  visit(o.patch, {"patch", "squares of pixels, or neighbours in a vector", {.min = 1, .max = 65536}});
  visit(o.mask_fraction, {"mask_fraction",
                          "of the patches that are hidden in training",
                          {.min = 0, .max = 1, .open_min = true, .open_max = true}});
  visit(o.width, {"width", "encoder: of a token, a multiple of 4 and of heads", {.min = 4, .max = 65536}});
  visit(o.depth, {"depth", "encoder: blocks", {.min = 1, .max = 1024}});
  visit(o.heads, {"heads", "encoder: of attention", {.min = 1, .max = 1024}});
  visit(o.decoder_width, {"decoder_width", "of a token", {.min = 4, .max = 65536}});
  visit(o.decoder_depth, {"decoder_depth", "blocks", {.min = 1, .max = 1024}});
  visit(o.decoder_heads, {"decoder_heads", "of attention", {.min = 1, .max = 1024}});
}

inline void fields(FieldVisitor& visit, LatentDiffusionOptions& o) {
  visit(o.conditional, {"conditional", "learn p(z | label) and p(z), from data with labels"});
  visit(o.label_dropout, {"label_dropout",
                          "share of rows whose label is hidden in training",
                          {.min = 0, .max = 1, .open_min = true, .open_max = true}});
}

}  // namespace tweedie
