#include "io/latent_fields.h"

#include "check_tensor.h"
#include "io/config.h"

namespace tweedie {
namespace {

TEST(LatentFields, AreReadWithTheirRanges) {
  const auto config = [](const char* text) { return Config::parse(text, "a.toml"); };
  const auto vae =
      config(
          "architecture = 'feature-map'\nlatent = 4\nchannels = 8\nhalvings = 1\nkl_weight = 0.1\n"
          "width = 5\ndepth = 6\nimportance_samples = 7")
          .as<VaeOptions>();
  EXPECT_EQ(vae.architecture, VaeOptions::Architecture::feature_map);
  EXPECT_EQ(
      (std::array{vae.latent, vae.channels, vae.halvings, vae.width, vae.depth, vae.importance_samples}),
      (std::array<int64_t, 6>{4, 8, 1, 5, 6, 7}));
  EXPECT_EQ(vae.kl_weight, 0.1);
  EXPECT_EQ(config("").as<VaeOptions>().architecture, VaeOptions::Architecture::automatic);
  const auto masked = config(
                          "patch = 2\nmask_fraction = 0.5\nwidth = 8\ndepth = 1\nheads = 2\n"
                          "decoder_width = 12\ndecoder_depth = 3\ndecoder_heads = 6")
                          .as<MaskedAutoencoderOptions>();
  EXPECT_EQ((std::array{masked.patch, masked.width, masked.depth, masked.heads, masked.decoder_width,
                        masked.decoder_depth, masked.decoder_heads}),
            (std::array<int64_t, 7>{2, 8, 1, 2, 12, 3, 6}));
  EXPECT_EQ(masked.mask_fraction, 0.5);
  const auto diffusion = config("conditional = true\nlabel_dropout = 0.2").as<LatentDiffusionOptions>();
  EXPECT_TRUE(diffusion.conditional);
  EXPECT_EQ(diffusion.label_dropout, 0.2);

  expect_error([&] { config("architecture = 'dense'").as<VaeOptions>(); },
               {"a.toml:1", "architecture", "dense"});
  expect_error([&] { config("kl_weight = -1").as<VaeOptions>(); }, {"a.toml:1", "kl_weight", "-1"});
  expect_error([&] { config("mask_fraction = 1").as<MaskedAutoencoderOptions>(); }, {"mask_fraction", "1"});
}

}  // namespace
}  // namespace tweedie
