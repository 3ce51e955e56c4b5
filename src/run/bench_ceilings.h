#pragma once
// What the machine can do: the yardstick of tweedie bench.

#include "run/bench.h"
#include "run/bench_meter.h"

namespace tweedie {

class Workers;

// How many pieces of work measure_ceilings() gives the meter.
int64_t ceiling_count(bool bf16);
Ceilings measure_ceilings(Meter& meter, Workers& workers, at::Device device, bool bf16);

}  // namespace tweedie
