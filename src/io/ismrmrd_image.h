#pragma once
// The header of an image of ISMRMRD, as it is in memory; in files its members are found by name.

#include "io/hdf5_library.h"
#include "io/ismrmrd_geometry.h"

#include <cstdint>

namespace tweedie {

struct IsmrmrdImageHead {
  uint16_t version = 1, data_type = 0;
  uint64_t flags = 0;
  uint32_t measurement = 0;
  uint16_t size[3] = {};  // x, y, z
  float field[3] = {};    // mm
  uint16_t channels = 1;
  IsmrmrdGeometry geometry;
  float table[3] = {};
  uint16_t average = 0, slice = 0, contrast = 0, phase = 0, repetition = 0, set = 0;
  uint32_t time = 0, physiology[3] = {};
  uint16_t type = 0, index = 0, series = 0;
  int32_t user_int[8] = {};
  float user_float[8] = {};
  uint32_t attributes = 0;  // bytes of their text
};

Hdf5Id ismrmrd_image_head_type(const Hdf5& h);

}  // namespace tweedie
