// Operators that users bring: TorchScript modules, and programs that answer in NPY.

#include "core/shape.h"
#include "support/temporary_folder.h"
#include "tweedie/operator_check.h"
#include "tweedie/user_operators.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <chrono>
#include <fstream>
#include <thread>

namespace tweedie {
namespace {

using test::TemporaryFolder;

using testing::AllOf;
using testing::HasSubstr;

std::filesystem::path saved(const std::filesystem::path& folder, const std::string& code) {
  torch::jit::Module module("operator");
  module.register_parameter("w", at::tensor({0.5, -1.5, 2.0}), false);
  module.define(code);
  const auto file = folder / "operator.pt";
  module.save(file.string());
  return file;
}

template <class Make>
void expect_refused(Make make, const testing::Matcher<std::string>& what) {
  try {
    make();
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(std::string(e.what()), AllOf(what, testing::Not(HasSubstr("\n")))) << e.what();
  }
}

bool passes(const ForwardOperator& a) {
  const auto checks = check_operator(a, {.single_precision = true});
  return std::all_of(checks.begin(), checks.end(), [](const auto& c) { return c.passed(); });
}

TEST(TorchscriptOperator, HasTheDerivativeOfAutograd) {
  const TemporaryFolder folder;
  const auto file =
      saved(folder.path(), "def forward(self, x):\n  return torch.tanh(x * self.w).sum(-1, keepdim=True)\n");
  const auto a = load_torchscript_operator(file, {2, 3}, "", "operator");
  EXPECT_EQ(a->codomain(), (Shape{2, 1}));
  EXPECT_TRUE(passes(*a));
  const Tensor x = at::ones({4, 2, 3}, at::kFloat);
  EXPECT_EQ(a->apply(x).scalar_type(), at::kFloat);
  EXPECT_FALSE(a->vjp(x, at::ones({4, 2, 1}, at::kFloat)).requires_grad());
}

TEST(TorchscriptOperator, IsLinearWithAnAdjoint) {
  const TemporaryFolder folder;
  const auto file = saved(folder.path(),
                          "def forward(self, x):\n  return x * self.w\n"
                          "def adjoint(self, y):\n  return y * self.w\n"
                          "def wrong(self, y):\n  return y * self.w * 2\n"
                          "def short(self, y):\n  return y[:, :1]\n");
  EXPECT_TRUE(passes(*load_torchscript_operator(file, {3}, "adjoint", "operator")));
  EXPECT_FALSE(passes(*load_torchscript_operator(file, {3}, "wrong", "operator")));
  expect_refused([&] { load_torchscript_operator(file, {3}, "short", "operator"); },
                 AllOf(HasSubstr("short gives shape (2, 1)"), HasSubstr("(2, 3) is needed")));
  expect_refused([&] { load_torchscript_operator(file, {3}, "none", "operator"); },
                 HasSubstr("no method 'none'"));
  expect_refused([&] { load_torchscript_operator(file, {4}, "", "operator"); }, HasSubstr("forward fails"));
  expect_refused([&] { load_torchscript_operator(folder.path() / "no.pt", {3}, "", "operator"); },
                 HasSubstr("no such file"));
}

TEST(TorchscriptOperator, RefusesNanAndWhatIsNoBatch) {
  const TemporaryFolder folder;
  const auto nan = saved(folder.path(), "def forward(self, x):\n  return torch.log(x - 1)\n");
  expect_refused(
      [&] {
        load_torchscript_operator(nan, {3}, "", "operator")->apply(at::zeros({1, 3}, at::kDouble));
      },
      HasSubstr("NaN"));
  const auto sum = saved(folder.path(), "def forward(self, x):\n  return x.sum()\n");
  expect_refused([&] { load_torchscript_operator(sum, {3}, "", "operator"); },
                 HasSubstr("a batch, row by row"));
}

// A program in Python's own modules that answers with what `answer` makes of the word and its arrays, lists
// of numbers.
Subprocess program(const std::filesystem::path& folder, const std::string& answer, bool linear = true,
                   double timeout = 20) {
  std::ofstream(folder / "operator.py") << R"(
import array, os, struct, sys, time
def save(shape, values):
    header = repr({"descr": "<f8", "fortran_order": False, "shape": tuple(shape)}).ljust(117) + "\n"
    sys.stdout.buffer.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + array.array("d", values).tobytes())
    sys.stdout.buffer.flush()
def load(size):
    data = sys.stdin.buffer.read(int(size))
    return array.array("d", data[10 + struct.unpack("<H", data[8:10])[0]:])
count = 0
while line := sys.stdin.buffer.readline().split():
    word, arrays = line[0].decode(), [load(size) for size in line[1:]]
    x = arrays[0]
    count += 1
)" << answer;
  return {.command = {"python3", "operator.py"}, .folder = folder, .linear = linear, .timeout = timeout};
}

// y = (2 x0, 3 x1, x0 - x2)
const std::string linear_map =
    "    if word == 'apply': save([3], [2 * x[0], 3 * x[1], x[0] - x[2]])\n"
    "    else: save([3], [2 * x[0] + x[2], 3 * x[1], -x[2]])\n";

TEST(SubprocessOperator, AnswersApplyAndAdjoint) {
  const TemporaryFolder folder;
  const auto a = start_subprocess_operator(program(folder.path(), linear_map), {3}, "operator");
  EXPECT_TRUE(passes(*a));
  const Tensor x = at::tensor({1., 2., 3., 4., 5., 6.}, at::kDouble).view({2, 3});
  EXPECT_TRUE(at::equal(a->apply(x), at::tensor({2., 6., -2., 8., 15., -2.}, at::kDouble).view({2, 3})));
  EXPECT_EQ(a->apply(x.to(at::kFloat)).scalar_type(), at::kFloat);
}

TEST(SubprocessOperator, AnswersSeveralThreads) {
  const TemporaryFolder folder;
  const auto a = start_subprocess_operator(program(folder.path(), linear_map), {3}, "operator");
  std::vector<std::thread> threads;
  std::vector<int> right(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const Tensor x = at::full({1, 3}, t + 1.0, at::kDouble);
        right[t] += a->apply(x)[0][0].item<double>() == 2 * (t + 1.0);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(right, testing::Each(20));
}

TEST(SubprocessOperator, AnswersVjp) {
  const TemporaryFolder folder;
  const std::string squares =
      "    if word == 'apply': save([3], [v * v for v in x])\n"
      "    else: save([3], [2 * v * w for v, w in zip(x, arrays[1])])\n";
  EXPECT_TRUE(passes(*start_subprocess_operator(program(folder.path(), squares, false), {3}, "operator")));
  const std::string wrong =
      "    if word == 'apply': save([3], [v * v for v in x])\n"
      "    else: save([3], [v * w for v, w in zip(x, arrays[1])])\n";
  EXPECT_FALSE(passes(*start_subprocess_operator(program(folder.path(), wrong, false), {3}, "operator")));
}

TEST(SubprocessOperator, SaysWhatWentWrong) {
  const TemporaryFolder folder;
  const auto once = [&](const std::string& answer, double timeout = 20) {
    return [&folder, answer, timeout] {
      const auto a =
          start_subprocess_operator(program(folder.path(), answer, true, timeout), {3}, "operator");
      a->apply(at::ones({1, 3}, at::kDouble));
    };
  };
  expect_refused(
      once("    save([3], x) if count == 1 else sys.exit('the detector is off')\n"),
      AllOf(HasSubstr("ended with status 1"), HasSubstr("the detector is off"), HasSubstr("was expected")));
  expect_refused(once("    os.kill(os.getpid(), 9)\n"), HasSubstr("was killed by signal 9"));
  expect_refused(once("    save([2], x[:2]) if count > 1 else save([3], x)\n"),
                 AllOf(HasSubstr("apply with shape (2,)"), HasSubstr("(3,) is needed")));
  expect_refused(once("    save([3], [float('nan')] * 3)\n"), HasSubstr("NaN"));
  expect_refused(once("    print('hello'); sys.stdout.flush()\n"), HasSubstr("gives 'hello"));
  expect_refused(once("    save([3], list(x) + [1.0])\n"), HasSubstr("8 bytes more than its array has"));
  expect_refused(once("    time.sleep(100)\n", 0.3), HasSubstr("did not answer within 0.3 s"));
  const auto missing = [&] {
    start_subprocess_operator({.command = {"no-such-program"}, .folder = folder.path()}, {3}, "operator");
  };
  expect_refused(missing, AllOf(HasSubstr("'no-such-program' can't be started"), HasSubstr("No such file")));
  expect_refused([&] { start_subprocess_operator({}, {3}, "operator"); }, HasSubstr("no program is given"));
}

// It ends with its operator, and so does what it started itself.
TEST(SubprocessOperator, LeavesNoProcessBehind) {
  const TemporaryFolder folder;
  const std::string answer =
      "    import subprocess\n"
      "    child = subprocess.Popen(['sleep', '1000'])\n"
      "    save([2], [os.getpid(), child.pid])\n";
  Tensor pids;
  {
    const auto a = start_subprocess_operator(program(folder.path(), answer, false), {3}, "operator");
    pids = a->apply(at::ones({1, 3}, at::kDouble))[0];
  }
  for (int64_t i = 0; i < 2; ++i) {
    const auto pid = static_cast<pid_t>(pids[i].item<double>());
    const auto lives = [&] {
      std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
      std::string word, name, state;
      stat >> word >> name >> state;
      return !state.empty() && state != "Z";
    };
    for (int wait = 0; wait < 200 && lives(); ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_FALSE(lives()) << i;
  }
}

}  // namespace
}  // namespace tweedie
