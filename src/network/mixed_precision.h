#pragma once
// Losses in bfloat16 of what has no plan: dense layers and convolutions of float32 rows multiply in
// bfloat16, all else stays float32 (Micikevicius et al. 2018, "Mixed precision training").

namespace tweedie {

// While it lives, for layers::Linear and layers::Convolution of this thread
class Bf16Products {
 public:
  explicit Bf16Products(bool on);
  ~Bf16Products();
  Bf16Products(const Bf16Products&) = delete;
  Bf16Products& operator=(const Bf16Products&) = delete;

  static bool on();

 private:
  bool before_;
};

}  // namespace tweedie
