#pragma once
// What an operator of a config file is made from besides its options, and how the operators' own errors are
// told in the words of that file.

#include "core/shape.h"
#include "tweedie/operator_options.h"

#include <fmt/format.h>

namespace tweedie {

// An argument `name` of an operator that the config file gives as `field`: the path of the file that holds
// it, or (path empty) the numbers themselves.
struct GivenAs {
  std::string name, field;
  std::filesystem::path path = {};
};

struct OperatorContext {
  const Shape& domain;
  const Noise& noise;
  const ReadArray& read_array;
  std::string place = "measurement.operator";  // of a part: measurement.operator.parts[1]

  // The value of make(); an Error that it throws at "blur.std" becomes one at "measurement.operator.std". A
  // `domain` is the user's only through the image, so that an error about it points at the operator as a
  // whole.
  template <class Make>
  auto in_config(Make make, const std::vector<GivenAs>& given = {}) const {
    try {
      return make();
    } catch (const Error& e) {
      const size_t dot = e.place().find('.');
      const std::string name = dot == std::string::npos ? "domain" : e.place().substr(dot + 1);
      const std::string what = std::string(e.what()).substr(e.place().size() + 2);
      for (const GivenAs& argument : given) {
        if (name != argument.name) continue;
        throw Error(place + "." + argument.field,
                    argument.path.empty() ? what : argument.path.string() + ": " + what);
      }
      throw Error(name == "domain" ? place : place + "." + name, what);
    }
  }

  Tensor read(const std::filesystem::path& path, const char* field) const {
    if (path.empty()) {
      throw Error(fmt::format("{}.{}", place, field), "no file is given, but the path of an array is needed");
    }
    return read_array(path);
  }
};

}  // namespace tweedie
