#include "core/workers.h"
#include "network/planned.h"

#include "check_tensor.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

namespace tweedie {
namespace {

struct Gradients {
  Tensor y;
  std::vector<Tensor> of_inputs;
};

Gradients differentiate(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                        const std::vector<Tensor>& at, const Tensor& dy) {
  const at::AutoGradMode gradients(true);
  std::vector<Tensor> inputs;
  for (const Tensor& t : at) inputs.push_back(t.detach().requires_grad_());
  const Tensor y = f(inputs);
  return {y.detach(), torch::autograd::grad({y}, inputs, {dy.to(y.scalar_type())})};
}

std::vector<Tensor> in_float64(std::vector<Tensor> tensors) {
  for (Tensor& t : tensors) t = t.to(at::kDouble);
  return tensors;
}

// Largest difference, as part of the largest number
double relative(const Tensor& ours, const Tensor& truth) {
  return max_difference(ours, truth) / truth.abs().max().item<double>();
}

void expect_near(const Gradients& ours, const Gradients& truth, double allowed) {
  ASSERT_EQ(ours.y.sizes(), truth.y.sizes());
  EXPECT_LT(relative(ours.y, truth.y), allowed);
  for (size_t i = 0; i < truth.of_inputs.size(); ++i) {
    ASSERT_EQ(ours.of_inputs[i].sizes(), truth.of_inputs[i].sizes());
    EXPECT_LT(relative(ours.of_inputs[i], truth.of_inputs[i]), allowed) << "gradient of input " << i;
  }
}

// The plan's numbers, float or Bfloat16, by libtorch's name
template <class E>
constexpr at::ScalarType dtype_of = std::is_same_v<E, float> ? at::kFloat : at::kBFloat16;
// What they round to, relative
template <class E>
constexpr double rounding = std::is_same_v<E, float> ? 0x1p-24 : 0x1p-9;

// conv(silu(norm(x))) + skip(x), with everything that may go with a convolution
struct Layer {
  const char* name;
  int64_t rows, in, out, height, width, kernel, groups;
  bool one_level = false;  // one row of modulation for all
};

class PlannedConvolution : public testing::TestWithParam<Layer> {
 protected:
  enum Input { x, modulation, norm_weight, norm_bias, weight, bias, skip_weight, skip_bias };

  Layer layer = GetParam();
  int64_t width = 2 * layer.in + (layer.kernel == 1 ? layer.out : 0);
  Tensor dy = normal({layer.rows, layer.out, layer.height, layer.width}, 20, at::kFloat);

  std::vector<Tensor> inputs() const {
    const double fan = std::sqrt(static_cast<double>(layer.in * layer.kernel * layer.kernel));
    const auto draw = [](at::IntArrayRef shape, uint64_t seed) {
      return normal({1, c10::multiply_integers(shape)}, seed, at::kFloat).view(shape);
    };
    return {draw({layer.rows, layer.in, layer.height, layer.width}, 1),
            0.5 * draw({layer.one_level ? 1 : layer.rows, width}, 2),
            1 + 0.5 * draw({layer.in}, 3),
            draw({layer.in}, 4),
            draw({layer.out, layer.in, layer.kernel, layer.kernel}, 5) / fan,
            draw({layer.out}, 6),
            draw({layer.out, layer.in, 1, 1}, 7) / std::sqrt(static_cast<double>(layer.in)),
            draw({layer.out}, 8)};
  }

  Tensor formula(const std::vector<Tensor>& v) const {
    const auto per_channel = [](const Tensor& t) { return t.unsqueeze(-1).unsqueeze(-1); };
    const auto part = [&](int64_t begin, int64_t count) {
      return per_channel(v[modulation].slice(1, begin, begin + count));
    };
    const Tensor normed = at::group_norm(v[x], layer.groups, v[norm_weight], v[norm_bias], 1e-5);
    const Tensor z = at::silu(normed * (1 + part(0, layer.in)) + part(layer.in, layer.in));
    const Tensor y = at::conv2d(z, v[weight], v[bias], 1, layer.kernel / 2);
    const Tensor skipped = at::conv2d(v[x], v[skip_weight], v[skip_bias]);
    return y + skipped + (layer.kernel == 1 ? part(2 * layer.in, layer.out) : at::zeros({1}, v[x].options()));
  }

  template <class E>
  Tensor planned(const std::vector<Tensor>& v) const {
    const auto plan = std::make_shared<Plan<E>>();
    const Value input = plan->input({layer.height, layer.width, layer.in});
    const auto parameter = [&](Input i) { return plan->parameter(v[i]); };
    Convolution skip{};
    skip.out = layer.out;
    skip.kernel = 1;
    skip.weight = parameter(skip_weight);
    skip.bias = parameter(skip_bias);
    Convolution convolution{};
    convolution.out = layer.out;
    convolution.kernel = layer.kernel;
    convolution.weight = parameter(weight);
    convolution.bias = parameter(bias);
    convolution.norm = Normalisation{layer.groups, parameter(norm_weight), parameter(norm_bias), 0};
    convolution.activation = Activation::silu;
    convolution.addend = plan->convolve(input, skip);
    if (layer.kernel == 1) convolution.modulation = 2 * layer.in;
    plan->finish(plan->convolve(input, convolution));
    return run_plan<E>(plan, buffers, v[x], v[modulation]);
  }

  std::shared_ptr<Buffers> buffers = std::make_shared<Buffers>();
};

// Channels in and out of whole lanes and not, tiles whole and not, more rows than a frame has
INSTANTIATE_TEST_SUITE_P(
    Sizes, PlannedConvolution,
    testing::Values(Layer{"WholeTiles", 3, 16, 32, 8, 8, 3, 4}, Layer{"OddSides", 2, 12, 20, 7, 5, 3, 3},
                    Layer{"OnePixel", 4, 8, 4, 1, 1, 3, 2}, Layer{"OneRow", 1, 48, 16, 6, 9, 3, 8},
                    Layer{"TwoFrames", 19, 8, 40, 4, 4, 3, 1}, Layer{"OneLevel", 18, 8, 16, 5, 4, 3, 8, true},
                    Layer{"LargeImage", 1, 4, 68, 33, 30, 3, 4}, Layer{"Wide", 2, 96, 70, 9, 8, 3, 32},
                    Layer{"Pointwise", 3, 12, 20, 7, 5, 1, 3},
                    Layer{"PointwisePixel", 19, 32, 64, 1, 1, 1, 8},
                    Layer{"ManyPixels", 150, 12, 20, 1, 1, 1, 3},
                    Layer{"PointwiseOneLevel", 2, 4, 4, 3, 2, 1, 4, true}),
    [](const auto& info) { return info.param.name; });

TEST_P(PlannedConvolution, IsTheFormulaWithItsGradients) {
  const auto f = [&](const auto& v) { return formula(v); };
  const Gradients ours = differentiate([&](const auto& v) { return planned<float>(v); }, inputs(), dy);
  expect_near(ours, differentiate(f, in_float64(inputs()), dy), 2e-5);

  std::vector<Tensor> transposed = in_float64(inputs());
  transposed[weight] = transposed[weight].flip({2, 3}).roll({1}, {1});
  EXPECT_GT(relative(ours.of_inputs[x], differentiate(f, transposed, dy).of_inputs[x]), 1e-2);
}

// In bfloat16 a value is rounded where it is stored: x, z, the residual, y and as many gradients. Numbers
// that bfloat16 has are used for x, weights and dy, so that rounding those is no part of it.
TEST_P(PlannedConvolution, InBfloat16IsTheFormulaToRounding) {
  if (!cpu_has_bfloat16()) GTEST_SKIP() << "networks do not run in bfloat16 on this processor";
  const auto exact = [](const Tensor& t) { return t.to(at::kBFloat16).to(at::kFloat); };
  std::vector<Tensor> all = inputs();
  for (const Input i : {x, weight, skip_weight}) all[i] = exact(all[i]);
  const Tensor change = exact(dy);
  const Gradients ours = differentiate([&](const auto& v) { return planned<Bfloat16>(v); }, all, change);
  const Gradients truth = differentiate([&](const auto& v) { return formula(v); }, in_float64(all), change);
  expect_near(ours, truth, 12 * rounding<Bfloat16>);
  // Coarser than float32, or it was not in bfloat16.
  EXPECT_GT(relative(ours.y, truth.y), rounding<Bfloat16> / 16);
}

// A row's bits, and those of its gradient, are the same in any company.
TEST_P(PlannedConvolution, RowsAreIndependent) {
  const auto expect_independent = [&](auto f) {
    const auto all = inputs();
    const Gradients together = differentiate(f, all, dy);
    const int64_t row = layer.rows - 1;
    auto alone = all;
    alone[x] = all[x].narrow(0, row, 1);
    if (!layer.one_level) alone[modulation] = all[modulation].narrow(0, row, 1);
    const Gradients single = differentiate(f, alone, dy.narrow(0, row, 1));
    EXPECT_TRUE(at::equal(single.y[0], together.y[row]));
    EXPECT_TRUE(at::equal(single.of_inputs[x][0], together.of_inputs[x][row]));
    const at::AutoGradMode gradients(false);
    EXPECT_TRUE(at::equal(f(all), together.y));
  };
  expect_independent([&](const std::vector<Tensor>& v) { return planned<float>(v); });
  if (cpu_has_bfloat16())
    expect_independent([&](const std::vector<Tensor>& v) { return planned<Bfloat16>(v); });
}

// Without memory to keep values in they are computed again, to the same bits.
TEST_P(PlannedConvolution, IsTheSameWithoutMemory) {
  const auto expect_same = [&](auto f) {
    const Gradients kept = differentiate(f, inputs(), dy);
    limit_kept_memory(1);
    const Gradients again = differentiate(f, inputs(), dy);
    limit_kept_memory(0);
    EXPECT_TRUE(at::equal(again.y, kept.y));
    for (size_t i = 0; i < kept.of_inputs.size(); ++i)
      EXPECT_TRUE(at::equal(again.of_inputs[i], kept.of_inputs[i])) << "gradient of input " << i;
  };
  expect_same([&](const std::vector<Tensor>& v) { return planned<float>(v); });
  if (cpu_has_bfloat16()) expect_same([&](const std::vector<Tensor>& v) { return planned<Bfloat16>(v); });
}

struct Step {
  const char* name;
  int64_t channels, height, width;
  std::function<Value(Plan<float>&, const Value&)> record;
  std::function<Value(Plan<Bfloat16>&, const Value&)> record_bfloat16;
  std::function<Tensor(const Tensor&)> formula;
};
template <class Record>
Step step(const char* name, int64_t channels, int64_t height, int64_t width, Record record,
          std::function<Tensor(const Tensor&)> formula) {
  return {name, channels, height, width, record, record, std::move(formula)};
}

class PlannedStep : public testing::TestWithParam<Step> {};

Tensor attention(const Tensor& qkv) {
  const auto parts = qkv.flatten(2).transpose(1, 2).chunk(3, 2);
  const Tensor similarity =
      parts[0].matmul(parts[1].transpose(1, 2)) / std::sqrt(static_cast<double>(parts[0].size(2)));
  const Tensor mixed = similarity.softmax(-1).matmul(parts[2]).transpose(1, 2);
  return mixed.reshape({qkv.size(0), -1, qkv.size(2), qkv.size(3)});
}
constexpr auto attend = [](auto& plan, const Value& x) { return plan.attend(x); };
constexpr auto halve = [](auto& plan, const Value& x) { return plan.halve(x); };
constexpr auto enlarge = [](auto& plan, const Value& x) { return plan.enlarge(x, 7, 4); };
// A value that is read twice sums two gradients.
constexpr auto joined = [](auto& plan, const Value& x) {
  const Value half = plan.halve(x);
  return plan.concatenate(half, plan.concatenate(plan.halve(x), half));
};

INSTANTIATE_TEST_SUITE_P(Kinds, PlannedStep,
                         testing::Values(step("Attention", 3 * 16, 4, 4, attend, attention),
                                         step("AttentionOddSizes", 3 * 20, 5, 7, attend, attention),
                                         step("AttentionManyPixels", 3 * 8, 16, 17, attend, attention),
                                         step("AttentionOnePixel", 3 * 4, 1, 1, attend, attention),
                                         step("Halving", 20, 8, 6, halve,
                                              [](const Tensor& x) { return at::avg_pool2d(x, 2); }),
                                         step("HalvingOddSides", 16, 7, 5, halve,
                                              [](const Tensor& x) { return at::avg_pool2d(x, 2); }),
                                         step("Enlargement", 20, 3, 2, enlarge,
                                              [](const Tensor& x) {
                                                return at::upsample_nearest2d(x, {7, 4});
                                              }),
                                         step("Concatenation", 12, 5, 4, joined,
                                              [](const Tensor& x) {
                                                const Tensor half = at::avg_pool2d(x, 2);
                                                return at::cat({half, half, half}, 1);
                                              })),
                         [](const auto& info) { return info.param.name; });

template <class E>
void expect_formula(const Step& step, const std::function<Value(Plan<E>&, const Value&)>& record,
                    double allowed) {
  const auto plan = std::make_shared<Plan<E>>();
  plan->finish(record(*plan, plan->input({step.height, step.width, step.channels})));
  const auto buffers = std::make_shared<Buffers>();
  const auto planned = [&](const auto& v) { return run_plan<E>(plan, buffers, v[0], at::zeros({1, 0})); };
  const auto exact = [](const Tensor& t) { return t.to(dtype_of<E>).to(at::kFloat); };
  const Tensor x = exact(normal({18, step.channels, step.height, step.width}, 1, at::kFloat));
  const Tensor dy = exact(normal(step.formula(x).sizes(), 2, at::kFloat));
  const Gradients ours = differentiate(planned, {x}, dy);
  expect_near(ours, differentiate([&](const auto& v) { return step.formula(v[0]); }, {x.to(at::kDouble)}, dy),
              allowed);
}

TEST_P(PlannedStep, IsTheFormulaWithItsGradient) {
  expect_formula<float>(GetParam(), GetParam().record, 5e-6);
  expect_formula<Bfloat16>(GetParam(), GetParam().record_bfloat16, 4 * rounding<Bfloat16>);
}

// Scores of hundreds overflow exp() unless the largest is taken off first.
TEST(PlannedAttention, StaysFinite) {
  const auto plan = std::make_shared<Plan<float>>();
  plan->finish(plan->attend(plan->input({4, 4, 24})));
  const Tensor x = 100 * normal({2, 24, 4, 4}, 1, at::kFloat), dy = normal({2, 8, 4, 4}, 2, at::kFloat);
  const auto buffers = std::make_shared<Buffers>();
  const auto f = [&](const auto& v) { return run_plan<float>(plan, buffers, v[0], at::zeros({1, 0})); };
  expect_near(differentiate(f, {x}, dy),
              differentiate([](const auto& v) { return attention(v[0]); }, {x.to(at::kDouble)}, dy), 1e-3);
}

// Memory that was kept serves several runs backwards until it is given back.
// What is added may have its place taken by the sum, unless it is read later: here by the second sum.
TEST(PlannedRun, AValueReadLaterKeepsItsPlace) {
  const auto run = [](auto plan) {
    const auto identity = [&](double scale) {
      Convolution result{};
      result.out = 16;
      result.kernel = 3;
      Tensor weight = at::zeros({16, 16, 3, 3});
      for (int64_t i = 0; i < 16; ++i) weight[i][i][1][1] = scale;
      result.weight = plan->parameter(weight);
      result.bias = plan->parameter(at::zeros({16}));
      return result;
    };
    const Value x = plan->input({8, 8, 16});
    const Value a = plan->convolve(x, identity(2)), b = plan->convolve(x, identity(3));
    Convolution sum = identity(1);
    sum.addend = a;
    const Value c = plan->convolve(b, sum), d = plan->convolve(c, sum);  // 5 x, then 5 x + 2 x
    plan->finish(d);
    return plan;
  };
  const at::AutoGradMode gradients(true);
  const Tensor x = at::ones({3, 16, 8, 8}).requires_grad_();
  const auto buffers = std::make_shared<Buffers>();
  const Tensor y = run_plan<float>(run(std::make_shared<Plan<float>>()), buffers, x, at::zeros({1, 0}));
  EXPECT_LT(max_difference(y, 7 * x), 1e-4);
  EXPECT_LT(max_difference(torch::autograd::grad({y}, {x}, {at::ones_like(y)})[0], at::full_like(y, 7)),
            1e-4);
  if (!cpu_has_bfloat16()) return;
  EXPECT_TRUE(at::equal(
      run_plan<Bfloat16>(run(std::make_shared<Plan<Bfloat16>>()), buffers, x, at::zeros({1, 0})), 7 * x));
}

TEST(PlannedRun, IsDifferentiatedAgain) {
  const auto plan = std::make_shared<Plan<float>>();
  plan->finish(plan->attend(plan->input({4, 4, 24})));
  const auto buffers = std::make_shared<Buffers>();
  const at::AutoGradMode gradients(true);
  const Tensor x = normal({2, 24, 4, 4}, 1, at::kFloat).requires_grad_();
  const Tensor y = run_plan<float>(plan, buffers, x, at::zeros({1, 0}));
  const auto grad = [&](const Tensor& dy, bool keep) {
    return torch::autograd::grad({y}, {x}, {dy}, keep)[0];
  };
  const Tensor dy = normal({2, 8, 4, 4}, 2, at::kFloat);
  const Tensor first = grad(dy, true);
  grad(2 * dy, true);
  EXPECT_TRUE(at::equal(grad(dy, false), first));
  EXPECT_THROW(grad(dy, false), std::exception);
}

}  // namespace
}  // namespace tweedie
