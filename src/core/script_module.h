#pragma once
// Modules that were saved by torch.jit.

#include <torch/script.h>

#include <exception>
#include <filesystem>
#include <string>

namespace tweedie {

// What libtorch has to say, in a line without its stack trace.
std::string gist_of(const std::exception& e);

// The module in a file, on the CPU and in evaluation mode. Throws Error(place) when there is none.
torch::jit::Module load_script_module(const std::filesystem::path& file, const std::string& place);

}  // namespace tweedie
