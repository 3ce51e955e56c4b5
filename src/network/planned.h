#pragma once
// A plan as a differentiable function of libtorch's tensors.

#include "network/plan.h"

#include <cstddef>
#include <memory>
#include <mutex>

namespace tweedie {

// Memory for runs, handed from one to the next: fresh pages cost more than filling them.
class Buffers {
 public:
  // Gradients are held until all slices of a batch have theirs: beside runs they would crowd these out.
  enum class Use { run, gradients };
  struct Return {
    Buffers* home;
    int64_t size;
    Use use;
    void operator()(std::byte* memory) const { home->put(memory, size, use); }
  };
  using Buffer = std::unique_ptr<std::byte, Return>;
  Buffer take(int64_t bytes, Use use = Use::run);  // 64-byte aligned, filled with anything

  Buffers() = default;
  ~Buffers();
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

 private:
  struct Free {
    std::byte* memory;
    int64_t size;
  };
  void put(std::byte* memory, int64_t size, Use use);
  std::vector<Free>& free_for(Use use) { return use == Use::run ? runs_ : gradients_; }
  std::mutex mutex_;
  std::vector<Free> runs_, gradients_;
};

// What a plan for these weights and this dtype has for numbers; none: libtorch's tensors run the network, on
// a GPU or in another dtype. Where the processor does not multiply bfloat16, float32 is the faster one, and
// as exact at least.
enum class PlanNumbers { none, float32, bfloat16 };
PlanNumbers plan_numbers(const Weights& weights, at::ScalarType dtype);

// planned(E{}) where a plan has these numbers, else otherwise()
template <class Planned, class Otherwise>
Network::Bound bind_planned(const Weights& weights, at::ScalarType dtype, Planned planned,
                            Otherwise otherwise) {
  switch (plan_numbers(weights, dtype)) {
    case PlanNumbers::float32:
      return planned(float{});
    case PlanNumbers::bfloat16:
      return planned(Bfloat16{});
    case PlanNumbers::none:
      break;
  }
  return otherwise();
}

// x: (B, C, H, W); modulation: (B, width) or (1, width), both float32 on the CPU. Differentiable once in both
// and in those of the plan's parameters that require a gradient. The same bits for a row whatever the others
// are.
template <class E>
Tensor run_plan(const std::shared_ptr<const Plan<E>>& plan, const std::shared_ptr<Buffers>& buffers,
                const Tensor& x, const Tensor& modulation);

}  // namespace tweedie
