#pragma once
// What the program computes with: the services of run/, as a table in a shared module of its own. The program
// is linked without libtorch and loads the module, and libtorch with it, when a command has to compute.

#include "run/bench.h"
#include "run/certify.h"
#include "run/check_operator.h"
#include "run/evaluate.h"
#include "run/services.h"

namespace tweedie {

struct Services {
  decltype(&tweedie::train) train;
  decltype(&tweedie::sample) sample;
  decltype(&tweedie::measure) measure;
  decltype(&tweedie::infer) infer;
  decltype(&tweedie::forecast) forecast;
  decltype(&tweedie::diagnose) diagnose;
  decltype(&tweedie::calibrate) calibrate;
  decltype(&tweedie::certify) certify;
  decltype(&tweedie::compare_files) compare_files;
  decltype(&tweedie::likelihood) likelihood;
  decltype(&tweedie::evaluate) evaluate;
  decltype(&tweedie::denoise) denoise;
  decltype(&tweedie::reconstruct) reconstruct;
  decltype(&tweedie::complete) complete;
  decltype(&tweedie::convert) convert;
  decltype(&tweedie::info) info;
  decltype(&tweedie::bench) bench;
  decltype(&tweedie::check_operator_of) check_operator_of;
  decltype(&tweedie::check_all_operators) check_all_operators;
  decltype(&tweedie::to_json) bench_json;
  decltype(&tweedie::blas_library) blas_library;
  decltype(&tweedie::blas_is_reference) blas_is_reference;
  bool (*has_cuda)();
};

}  // namespace tweedie

// The module's one symbol; null for a program of another version. Makes libtorch ready.
extern "C" const tweedie::Services* tweedie_services(const char* version);
