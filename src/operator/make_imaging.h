#pragma once
// Operators of imaging from their options.

#include "tweedie/operator_options.h"

namespace tweedie {

// What an operator is made from besides its options
struct ImagingContext {
  const Shape& domain;
  const Noise& noise;
  const ReadArray& read_array;
};

LinearOperatorPtr make_imaging(const FourierOptions& options, const ImagingContext& context);
LinearOperatorPtr make_imaging(const MultiCoilOptions& options, const ImagingContext& context);
LinearOperatorPtr make_imaging(const NufftOptions& options, const ImagingContext& context);
LinearOperatorPtr make_imaging(const RadonOptions& options, const ImagingContext& context);

}  // namespace tweedie
