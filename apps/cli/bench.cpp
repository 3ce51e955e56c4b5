#include "cli.h"

namespace tweedie::cli {

void add_bench(CLI::App&, Shared&, Action&) {}

}  // namespace tweedie::cli
