#include "services/services.h"

#include "core/blas.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <string_view>

const tweedie::Services* tweedie_services(const char* version) {
  using namespace tweedie;
  if (std::string_view(version) != TWEEDIE_VERSION) return nullptr;
  wake_blas();
  // All threads are Workers', over slices: libtorch's own would sum in an order that depends on their number.
  at::set_num_threads(1);
  static const Services services{
      .train = train,
      .sample = sample,
      .measure = measure,
      .infer = infer,
      .forecast = forecast,
      .diagnose = diagnose,
      .calibrate = calibrate,
      .certify = certify,
      .compare_files = compare_files,
      .likelihood = likelihood,
      .evaluate = evaluate,
      .denoise = denoise,
      .reconstruct = reconstruct,
      .complete = complete,
      .convert = convert,
      .info = info,
      .bench = bench,
      .check_operator_of = check_operator_of,
      .check_all_operators = check_all_operators,
      .bench_json = to_json,
      .blas_library = blas_library,
      .blas_is_reference = blas_is_reference,
      .has_cuda = [] { return at::globalContext().hasCUDA(); },
  };
  return &services;
}
