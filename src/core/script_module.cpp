#include "core/script_module.h"

#include "tweedie/error.h"

#include <fmt/format.h>

namespace tweedie {

std::string gist_of(const std::exception& e) {
  const auto* error = dynamic_cast<const c10::Error*>(&e);
  std::string text = error ? error->what_without_backtrace() : e.what();
  // A TorchScript exception ends with its cause; a plain one starts with it.
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const bool traceback = text.find("Traceback of TorchScript") != std::string::npos;
  return traceback ? text.substr(text.rfind('\n') + 1) : text.substr(0, text.find('\n'));
}

torch::jit::Module load_script_module(const std::filesystem::path& file, const std::string& place) {
  if (!std::filesystem::is_regular_file(file))
    throw Error(place, "no such file; a saved torch.jit module is meant");
  torch::jit::Module module;
  try {
    module = torch::jit::load(file.string(), at::kCPU);
  } catch (const std::exception& e) {
    throw Error(place, fmt::format("not a module saved by torch.jit ({})", gist_of(e)));
  }
  module.eval();
  for (const Tensor& p : module.parameters()) Tensor(p).requires_grad_(false);
  return module;
}

}  // namespace tweedie
