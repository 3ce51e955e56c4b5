#pragma once
// The kinds of data set that come as files of a package, as they are there: not yet scaled.

#include "io/array_file.h"
#include "tweedie/dataset.h"

namespace tweedie {

struct DataSource {
  ArrayFile array;    // (N, *shape); with `white`, its values are in [0, white]
  Tensor labels;      // (N) of any real type; undefined where there are none
  std::string place;  // the file or folder, for errors
};

DataSource read_fashion_mnist(const DataOptions& options);
DataSource read_digits(const DataOptions& options);
DataSource read_faces(const DataOptions& options);
DataSource read_mri(const DataOptions& options);
// Each character of each font. Labelled with the place of the character in options.characters where there
// are several fonts. Characters that a font lacks are left out.
DataSource read_glyphs(const DataOptions& options);

// options.size, or what it is where it is not given; Error("data.size") when it is out of range
int64_t pixels_of_side(const DataOptions& options, int64_t otherwise);

}  // namespace tweedie
