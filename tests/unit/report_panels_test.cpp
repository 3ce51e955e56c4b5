#include "report/panels.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

PanelGrid grid(int rows, at::IntArrayRef shape) {
  PanelGrid g{.title = "a title"};
  g.columns = {{.title = "truth", .range = ValueRange{-1, 1}},
               {.title = "std", .map = ColourMap::sequential, .colour_bar = true},
               {.title = "draw 1", .new_group = true}};
  for (int i = 0; i < rows; ++i) {
    g.rows.push_back({{at::zeros(shape), at::full(shape, 0.1 * i), at::ones(shape)}, "PSNR 22.9 dB"});
  }
  return g;
}

bool overlap(const Rect& a, const Rect& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

TEST(Panels, GrowByWholeFactors) {
  const auto side = [](int64_t n) { return lay_out(grid(1, {1, n, n})).panels[0][0].width; };
  EXPECT_EQ(side(28), 112);
  EXPECT_EQ(side(32), 128);
  EXPECT_EQ(side(64), 128);
  EXPECT_EQ(side(8), 112);
  EXPECT_EQ(side(300), 300);
  EXPECT_EQ(side(1000), 250);  // shrunk by 4
}

TEST(Panels, NothingOverlapsAndAllIsInside) {
  PanelGrid g = grid(3, {1, 28, 20});
  g.rows[1].caption =
      "a caption so long that it certainly does not fit into one line of a figure with three panels only";
  const PanelLayout layout = lay_out(g);
  EXPECT_GT(layout.captions[1].size(), 1u);
  std::vector<Rect> all(layout.headings);
  for (const auto& row : layout.panels) all.insert(all.end(), row.begin(), row.end());
  for (const Rect& bar : layout.bars) {
    if (bar.width > 0) all.push_back(bar);
  }
  EXPECT_EQ(all.size(), 3u + 9u + 1u);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_GE(all[i].x, 10);
    EXPECT_GE(all[i].y, 10);
    EXPECT_LE(all[i].x + all[i].width, layout.width - 10);
    EXPECT_LE(all[i].y + all[i].height, layout.height - 10);
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(overlap(all[i], all[j])) << i << ", " << j;
  }
  // Room for each line of a caption between its row and the next.
  EXPECT_GE(layout.panels[2][0].y - layout.panels[1][0].y - layout.panels[1][0].height,
            static_cast<int>(layout.captions[1].size()) * 17);
}

TEST(Panels, PixelsHaveTheColourOfTheirValue) {
  PanelGrid g = grid(1, {28, 28});
  g.rows[0].images[0][0][0] = NAN;
  g.rows[0].images[0][0][1] = 5;
  const PanelLayout layout = lay_out(g);
  const Figure figure = draw_panels(g);
  EXPECT_EQ(figure.image.sizes(), (at::IntArrayRef{layout.height, layout.width, 3}));
  const auto at_pixel = [&](const Rect& panel, int i, int j) {
    const Tensor p = figure.image[panel.y + 4 * i + 2][panel.x + 4 * j + 2];
    return Colour{p[0].item<uint8_t>(), p[1].item<uint8_t>(), p[2].item<uint8_t>()};
  };
  EXPECT_EQ(at_pixel(layout.panels[0][0], 0, 0), missing);
  EXPECT_EQ(at_pixel(layout.panels[0][0], 0, 1), (Colour{255, 255, 255}));
  EXPECT_EQ(at_pixel(layout.panels[0][0], 5, 5), colour(ColourMap::gray, 0.5));
}

TEST(Panels, ColourImages) {
  PanelGrid g{.columns = {{.title = "rgb", .range = ValueRange{0, 1}}}};
  Tensor image = at::zeros({3, 28, 28});
  image[0].fill_(1);
  g.rows.push_back({{image}, ""});
  const Rect panel = lay_out(g).panels[0][0];
  const Tensor p = draw_panels(g).image[panel.y + 50][panel.x + 50];
  EXPECT_EQ(p[0].item<int>(), 255);
  EXPECT_EQ(p[1].item<int>(), 0);
}

TEST(Panels, AbsentAndConstantImagesAreFine) {
  PanelGrid g = grid(2, {1, 8, 8});
  g.rows[0].images[0] = Tensor();
  g.rows[1].images[1] = at::full({1, 8, 8}, NAN);
  g.rows[0].images[1] = at::zeros({1, 8, 8});
  EXPECT_NO_THROW(draw_panels(g));
  EXPECT_NO_THROW(draw_panels({}));
}

TEST(Panels, RefusesWhatIsNoImage) {
  for (const Tensor& bad :
       {at::zeros({5}), at::zeros({2, 8, 8}), at::zeros({1, 0, 8}), at::zeros({1, 1, 8, 8})}) {
    PanelGrid g = grid(1, {1, 8, 8});
    g.rows[0].images[1] = bad;
    EXPECT_THROW(draw_panels(g), Error);
  }
  PanelGrid g = grid(1, {1, 8, 8});
  g.rows[0].images.pop_back();
  EXPECT_THROW(draw_panels(g), Error);
}

}  // namespace
}  // namespace tweedie
