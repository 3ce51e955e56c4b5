#pragma once
// Bad input and exhausted resources. Non-convergence is a result, never an Error.

#include <stdexcept>
#include <string>

namespace tweedie {

enum class ErrorKind {
  input,      // something the caller gave is wrong: the program exits with 2
  resources,  // memory, disk or device ran out: the program exits with 3
};

// One line: where, what is wrong with which value, and what was meant.
// place: "config.toml:3:7", a file, or a field such as "dps.step_size".
class Error : public std::runtime_error {
 public:
  Error(std::string place, const std::string& what, ErrorKind kind = ErrorKind::input)
      : std::runtime_error(place + ": " + what), place_(std::move(place)), kind_(kind) {}

  const std::string& place() const { return place_; }
  ErrorKind kind() const { return kind_; }

 private:
  std::string place_;
  ErrorKind kind_;
};

}  // namespace tweedie
