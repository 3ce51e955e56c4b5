#include "kernel/direct_convolution.h"

#include "kernel/scratch.h"

#include <dnnl.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <unordered_map>

extern "C" {
int omp_get_max_threads();
void omp_set_num_threads(int);
}

namespace tweedie {

namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

// oneDNN splits its work over OpenMP's threads, by how many there are when a primitive is made and when it
// runs.
class OnThisThreadAlone {
 public:
  OnThisThreadAlone() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OnThisThreadAlone() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OnThisThreadAlone(const OnThisThreadAlone&) = delete;
  OnThisThreadAlone& operator=(const OnThisThreadAlone&) = delete;

 private:
  int before_;
};

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}
dnnl::stream& stream() {
  thread_local dnnl::stream mine(engine());
  return mine;
}

memory::desc images(int64_t rows, int64_t lanes, const ConvolutionSize& s, Type type) {
  return {{rows, lanes, s.height, s.width}, type, Tag::nhwc};
}
memory::desc kernels(const ConvolutionSize& s, Type type, Tag tag) {
  return {{s.out, s.in, s.kernel, s.kernel}, type, tag};
}
memory at(const memory::desc& desc, const void* data) {
  return {desc, engine(), const_cast<void*>(data)};
}
int64_t numbers_of(const memory::desc& desc) {
  return (static_cast<int64_t>(desc.get_size()) + 3) / 4;
}

dnnl::primitive_attr attributes(bool sum) {
  dnnl::primitive_attr result;
  result.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (sum) {
    dnnl::post_ops after;
    after.append_sum(1.0F);
    result.set_post_ops(after);
  }
  return result;
}

using Forward = dnnl::convolution_forward;
Forward::primitive_desc forward_desc(dnnl::prop_kind kind, const memory::desc& x, const memory::desc& weight,
                                     const memory::desc& bias, const memory::desc& y, int64_t padding,
                                     const dnnl::primitive_attr& attr) {
  const memory::dims strides{1, 1}, pad{padding, padding};
  constexpr auto direct = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kind, direct, x, weight, bias, y, strides, pad, pad, attr};
#else
  return {{kind, direct, x, weight, bias, y, strides, pad, pad}, attr, engine()};
#endif
}

using Backward = dnnl::convolution_backward_weights;
Backward::primitive_desc backward_desc(const memory::desc& x, const memory::desc& weight,
                                       const memory::desc& y, int64_t padding,
                                       const Forward::primitive_desc& hint) {
  const memory::dims strides{1, 1}, pad{padding, padding};
  constexpr auto direct = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), direct, x, weight, y, strides, pad, pad, hint, attributes(false)};
#else
  return {{direct, x, weight, y, strides, pad, pad}, attributes(false), engine(), hint};
#endif
}

// From one order of the same numbers to another
class Reorder {
 public:
  Reorder() = default;
  Reorder(const memory::desc& from, const memory::desc& to)
      : desc_(engine(), from, engine(), to, attributes(false)), primitive_(desc_) {}
  void run(memory from, memory to) const {
    memory scratch(desc_.scratchpad_desc(), engine());
    primitive_.execute(stream(), {{DNNL_ARG_FROM, std::move(from)},
                                  {DNNL_ARG_TO, std::move(to)},
                                  {DNNL_ARG_SCRATCHPAD, std::move(scratch)}});
  }

 private:
  dnnl::reorder::primitive_desc desc_;
  dnnl::reorder primitive_;
};

// Making a primitive takes longer than running it, and layers of the same sizes share one.
template <class Primitive, class Key>
const Primitive& made_once(const Key& key) {
  static std::mutex mutex;
  static std::map<Key, Primitive> made;
  const std::lock_guard lock(mutex);
  const auto found = made.find(key);
  return found != made.end() ? found->second : made.emplace(key, Primitive(key)).first->second;
}

struct ForwardKey {
  ConvolutionSize size;
  OutputKind output;
  auto operator<=>(const ForwardKey&) const = default;
};
struct ForwardPrimitive {
  explicit ForwardPrimitive(const ForwardKey& key) {
    const OnThisThreadAlone alone;
    const ConvolutionSize& s = key.size;
    const Type type = key.output == OutputKind::float32 ? Type::f32 : Type::bf16;
    desc = forward_desc(dnnl::prop_kind::forward_inference, images(1, s.in, s, Type::bf16),
                        kernels(s, Type::bf16, Tag::any), {{s.out}, Type::f32, Tag::x},
                        images(1, s.out, s, type), s.kernel / 2,
                        attributes(key.output == OutputKind::added_bfloat16));
    primitive = Forward(desc);
    pack = Reorder(kernels(s, Type::f32, Tag::ohwi), desc.weights_desc());
  }
  Forward::primitive_desc desc;
  Forward primitive;
  Reorder pack;
};

struct BackwardKey {
  ConvolutionSize size;
  int64_t rows;
  auto operator<=>(const BackwardKey&) const = default;
};
struct BackwardPrimitive {
  explicit BackwardPrimitive(const BackwardKey& key) {
    const OnThisThreadAlone alone;
    const ConvolutionSize& s = key.size;
    const memory::desc x = images(key.rows, s.in, s, Type::bf16), y = images(key.rows, s.out, s, Type::bf16);
    const memory::desc weight = kernels(s, Type::f32, Tag::any);
    const auto hint = forward_desc(dnnl::prop_kind::forward_training, x, kernels(s, Type::bf16, Tag::any),
                                   {{s.out}, Type::f32, Tag::x}, y, s.kernel / 2, attributes(false));
    desc = backward_desc(x, weight, y, s.kernel / 2, hint);
    primitive = Backward(desc);
    to_rows = Reorder(desc.diff_weights_desc(), kernels(s, Type::f32, Tag::ohwi));
  }
  Backward::primitive_desc desc;
  Backward primitive;
  Reorder to_rows;
};

}  // namespace

struct DirectConvolution::State {
  const ForwardPrimitive& forward;
  memory weights;
};

DirectConvolution DirectConvolution::make(const ConvolutionSize& size, const std::vector<float>& weight,
                                          OutputKind output) {
  const auto& forward = made_once<ForwardPrimitive>(ForwardKey{size, output});
  const OnThisThreadAlone alone;
  memory packed(forward.desc.weights_desc(), engine());
  forward.pack.run(at(kernels(size, Type::f32, Tag::ohwi), weight.data()), packed);
  return DirectConvolution(std::make_shared<const State>(State{forward, std::move(packed)}));
}

DirectConvolution DirectConvolution::forward(const ImageSize& x, const float* weight, int64_t out,
                                             int64_t kernel, OutputKind output) {
  const int64_t taps = kernel * kernel, in = x.channels, lanes = x.lanes();
  std::vector<float> filled(static_cast<size_t>(lanes_of(out) * taps * lanes), 0.0F);
  for (int64_t i = 0; i < out * taps; ++i) std::copy_n(weight + i * in, in, filled.data() + i * lanes);
  return make({x.height, x.width, lanes, lanes_of(out), kernel}, filled, output);
}

DirectConvolution DirectConvolution::adjoint(const ImageSize& y, const float* weight, int64_t in,
                                             int64_t kernel, OutputKind output) {
  const int64_t taps = kernel * kernel, out = y.channels, lanes = y.lanes();
  std::vector<float> filled(static_cast<size_t>(lanes_of(in) * taps * lanes), 0.0F);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t t = 0; t < taps; ++t) {  // turned round
      const float* from = weight + (o * taps + taps - 1 - t) * in;
      for (int64_t i = 0; i < in; ++i) filled[(i * taps + t) * lanes + o] = from[i];
    }
  }
  return make({y.height, y.width, lanes, lanes_of(in), kernel}, filled, output);
}

int64_t DirectConvolution::scratch_numbers() const {
  return numbers_of(state_->forward.desc.scratchpad_desc());
}

namespace {

// What a thread hands to a primitive: made once, since making them takes as long as a small layer.
std::unordered_map<int, memory>& arguments_of(const ForwardPrimitive& forward) {
  thread_local std::unordered_map<const ForwardPrimitive*, std::unordered_map<int, memory>> mine;
  auto& result = mine[&forward];
  if (result.empty()) {
    const auto& desc = forward.desc;
    result = {{DNNL_ARG_SRC, at(desc.src_desc(), nullptr)},
              {DNNL_ARG_WEIGHTS, {}},
              {DNNL_ARG_BIAS, at(desc.bias_desc(), nullptr)},
              {DNNL_ARG_DST, at(desc.dst_desc(), nullptr)},
              {DNNL_ARG_SCRATCHPAD, at(desc.scratchpad_desc(), nullptr)}};
  }
  return result;
}

}  // namespace

void DirectConvolution::run(const Bfloat16* x, const float* bias, void* y, float* scratch) const {
  const OnThisThreadAlone alone;
  auto& arguments = arguments_of(state_->forward);
  arguments[DNNL_ARG_SRC].set_data_handle(const_cast<Bfloat16*>(x));
  arguments[DNNL_ARG_WEIGHTS] = state_->weights;
  arguments[DNNL_ARG_BIAS].set_data_handle(const_cast<float*>(bias));
  arguments[DNNL_ARG_DST].set_data_handle(y);
  arguments[DNNL_ARG_SCRATCHPAD].set_data_handle(scratch);
  state_->forward.primitive.execute(stream(), arguments);
  arguments[DNNL_ARG_WEIGHTS] = {};
}

struct DirectKernelGradient::State {
  ConvolutionSize size;
  const BackwardPrimitive& backward;
};

DirectKernelGradient::DirectKernelGradient(const ImageSize& x, int64_t out, int64_t kernel, int64_t rows)
    : in_(x.channels), out_(out) {
  const ConvolutionSize size{x.height, x.width, x.lanes(), lanes_of(out), kernel};
  state_ = std::make_shared<const State>(State{size, made_once<BackwardPrimitive>(BackwardKey{size, rows})});
}

int64_t DirectKernelGradient::scratch_numbers() const {
  const ConvolutionSize& s = state_->size;
  const auto& desc = state_->backward.desc;
  return Scratch::sum({numbers_of(desc.scratchpad_desc()), numbers_of(desc.diff_weights_desc()),
                       s.out * s.kernel * s.kernel * s.in});
}

void DirectKernelGradient::add(const Bfloat16* x, const Bfloat16* dy, float* gradient, float* scratch) const {
  const OnThisThreadAlone alone;
  const ConvolutionSize& s = state_->size;
  const auto& desc = state_->backward.desc;
  float* ordered = scratch + Scratch::sum({numbers_of(desc.scratchpad_desc())});
  float* rows = ordered + Scratch::sum({numbers_of(desc.diff_weights_desc())});
  memory sums = at(desc.diff_weights_desc(), ordered);
  state_->backward.primitive.execute(stream(), {{DNNL_ARG_SRC, at(desc.src_desc(), x)},
                                                {DNNL_ARG_DIFF_DST, at(desc.diff_dst_desc(), dy)},
                                                {DNNL_ARG_DIFF_WEIGHTS, sums},
                                                {DNNL_ARG_SCRATCHPAD, at(desc.scratchpad_desc(), scratch)}});
  state_->backward.to_rows.run(sums, at(kernels(s, Type::f32, Tag::ohwi), rows));
  const int64_t taps = s.kernel * s.kernel;
  add_channels(rows, {s.in, 0}, out_ * taps, in_, gradient, {in_, 0});
}

}  // namespace tweedie
