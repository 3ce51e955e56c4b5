#pragma once
// A network on a GPU is hundreds of kernels of some microseconds, and launching them takes longer than they
// do.

#include "tweedie/network.h"

namespace tweedie {

// `bound`, recorded as a CUDA graph at the first call for each shape and replayed from then on, without a
// word from the host. Calls that are differentiated, or whose recording fails, go to `bound`. Where libtorch
// has no CUDA it is `bound`.
Network::Bound replayed(Network::Bound bound);

}  // namespace tweedie
