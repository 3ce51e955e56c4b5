// A module that PyTorch made (make_torchscript.py) gives PyTorch's numbers; bad modules are named.
#include "tweedie/torchscript_prior.h"

#include "check_tensor.h"

#include <torch/script.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace tweedie {
namespace {

namespace fs = std::filesystem;

const std::string golden = TWEEDIE_SOURCE_DIR "/tests/golden/torchscript_denoiser.pt";

struct Reference {
  torch::jit::Module module = torch::jit::load(golden);
  Tensor operator()(const std::string& name) const { return module.attr("reference_" + name).toTensor(); }
};

double relative(const Tensor& a, const Tensor& b) {
  return max_difference(a, b) / b.abs().max().item<double>();
}

TEST(TorchScript, GivesPyTorchsMeanAndVjp) {
  const Reference reference;
  const auto denoiser = load_torchscript(golden, {});
  EXPECT_EQ(denoiser->shape(), Shape({1, 6, 6}));
  const Tensor x = reference("x"), sigma = reference("sigma"), v = reference("v");
  EXPECT_LT(relative(denoiser->mean(x, sigma), reference("mean")), 1e-5);
  const Linearised at_x = linearise(*denoiser, x, sigma);
  EXPECT_LT(relative(at_x.mean, reference("mean")), 1e-5);
  for (int repeat = 0; repeat < 3; ++repeat) EXPECT_LT(relative(at_x.vjp(v), reference("vjp")), 1e-5);
  // A float64 state, a float32 module
  EXPECT_EQ(denoiser->mean(x.to(at::kDouble), sigma).scalar_type(), at::kDouble);
  EXPECT_LT(relative(linearise(*denoiser, x.to(at::kDouble), sigma).vjp(v), reference("vjp")), 1e-5);
}

TEST(TorchScript, SameBitsEveryCallAndFromThreads) {
  const Reference reference;
  const auto denoiser = load_torchscript(golden, {});
  const Tensor x = reference("x"), v = reference("v");
  const Tensor expected = linearise(*denoiser, x, 0.7).vjp(v);
  for (int repeat = 0; repeat < 3; ++repeat)
    EXPECT_TRUE(at::equal(linearise(*denoiser, x, 0.7).vjp(v), expected));
  std::vector<Tensor> result(4);
  std::vector<std::thread> threads;
  for (Tensor& r : result) threads.emplace_back([&] { r = linearise(*denoiser, x, 0.7).vjp(v); });
  for (auto& thread : threads) thread.join();
  for (const Tensor& r : result) EXPECT_TRUE(at::equal(r, expected));
}

class TorchScriptFile : public testing::Test {
 protected:
  TorchScriptFile()
      : folder_(fs::temp_directory_path() / ("tweedie_torchscript_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~TorchScriptFile() override { fs::remove_all(folder_); }

  std::string path() const { return folder_ / "module.pt"; }
  std::string save(const std::string& forward) const {
    torch::jit::Module module("Denoiser");
    module.define(forward);
    module.save(path());
    return path();
  }
  void expect_bad(const std::string& forward, const std::string& what) const {
    const std::string file = save(forward);
    expect_error([&] { load_torchscript(file, {.shape = {2}}); }, {file, what});
  }

 private:
  fs::path folder_;
};

TEST_F(TorchScriptFile, GoesThroughTheAdapter) {
  // For x_0 ~ N(0, I) on the VP path E[eps | x_t] = sigma_t x_t, and D = x / (1 + sigma^2).
  const std::string file = save("def forward(self, x, t):\n  return x * 0.6\n");
  const auto denoiser = load_torchscript(file, {{2}, VpLinear{}, Prediction::noise});
  const Tensor x = normal({3, 2}, 1, at::kFloat);
  const double sigma = 0.75;  // alpha_t = 0.8, sigma_t = 0.6
  EXPECT_LT(max_difference(denoiser->mean(x, sigma), x / (1 + sigma * sigma)), 1e-6);
}

TEST_F(TorchScriptFile, BadModulesAreNamed) {
  expect_bad("def forward(self, x):\n  return x\n", "1 inputs");
  expect_bad("def forward(self, x, s, c):\n  return x\n", "3 inputs");
  expect_bad("def backward(self, x, s):\n  return x\n", "no forward");
  expect_bad("def forward(self, x, s):\n  return x.sum(1)\n", "(2,)");
  expect_bad("def forward(self, x, s):\n  return x > 0\n", "Bool");
  expect_bad("def forward(self, x, s):\n  return [x]\n", "a tensor is needed");
  expect_bad("def forward(self, x, s):\n  return x / 0\n", "NaN");
  expect_bad("def forward(self, x, s):\n  return x.reshape([7, 7])\n", "fails on x of shape (2, 2)");
  expect_bad("def forward(self, x, s):\n  assert x.dim() == 4, 'images only'\n  return x\n", "images only");
  const std::string file = save("def forward(self, x, s):\n  return x\n");
  expect_error([&] { load_torchscript(file, {}); }, {file, "shape"});
}

TEST_F(TorchScriptFile, LaterNanIsNamed) {
  const std::string file = save("def forward(self, x, s):\n  return x / (x < 100).to(x.dtype)\n");
  const auto denoiser = load_torchscript(file, {.shape = {2}});
  EXPECT_NO_THROW(denoiser->mean(at::ones({3, 2}, at::kFloat), 1.0));
  expect_error([&] { denoiser->mean(at::full({3, 2}, 1000, at::kFloat), 1.0); }, {file, "6 of 6", "NaN"});
}

TEST_F(TorchScriptFile, BadFilesAreNamed) {
  expect_error([&] { load_torchscript(path(), {.shape = {2}}); }, {path(), "no such file"});
  std::ofstream(path()) << "not a module";
  expect_error([&] { load_torchscript(path(), {.shape = {2}}); }, {path(), "torch.jit"});
  save("def forward(self, x, s):\n  return x\n");
  for (const double part : {0.0, 0.3, 0.9}) {
    save("def forward(self, x, s):\n  return x\n");
    fs::resize_file(path(), static_cast<uintmax_t>(part * fs::file_size(path())));
    expect_error([&] { load_torchscript(path(), {.shape = {2}}); }, {path(), "torch.jit"});
  }
}

}  // namespace
}  // namespace tweedie
