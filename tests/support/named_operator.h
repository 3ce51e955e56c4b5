#pragma once
// An operator that a test runs on, under the name that it is reported by.

#include <functional>
#include <ostream>
#include <string>

namespace tweedie {

template <class Pointer>
struct NamedOperator {
  std::string name;
  std::function<Pointer()> make;
};

template <class Pointer>
void PrintTo(const NamedOperator<Pointer>& c, std::ostream* out) {
  *out << c.name;
}

}  // namespace tweedie
