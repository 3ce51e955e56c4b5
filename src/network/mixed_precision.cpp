#include "network/mixed_precision.h"

namespace tweedie {

namespace {

thread_local bool products_in_bf16 = false;

}  // namespace

Bf16Products::Bf16Products(bool on) : before_(products_in_bf16) {
  products_in_bf16 = on;
}

Bf16Products::~Bf16Products() {
  products_in_bf16 = before_;
}

bool Bf16Products::on() {
  return products_in_bf16;
}

}  // namespace tweedie
