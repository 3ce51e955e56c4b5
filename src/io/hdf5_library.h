#pragma once
// libhdf5 as it is found when the first HDF5 file is met: with what it is linked to (an HTTP client among
// others) it takes longer to load than the program to start.

#include <hdf5.h>

#include <string>

namespace tweedie {

// The functions that are used
// clang-format off
#define TWEEDIE_HDF5_FUNCTIONS(with) \
  with(H5open) with(H5Eset_auto2) with(H5Idec_ref) with(H5free_memory) with(H5Fopen) with(H5Fcreate) \
  with(H5Fflush) with(H5Fget_file_image) with(H5Gopen2) with(H5Gcreate2) with(H5Gget_num_objs) \
  with(H5Gget_objname_by_idx) with(H5Gget_objtype_by_idx) with(H5Lexists) with(H5Dopen2) with(H5Dcreate2) \
  with(H5Dread) with(H5Dwrite) with(H5Dget_space) with(H5Dget_type) with(H5Dget_storage_size) \
  with(H5Dget_create_plist) with(H5Dvlen_reclaim) with(H5Aexists) with(H5Aopen) with(H5Aread) with(H5Aget_type) \
  with(H5Aget_space) with(H5Acreate2) with(H5Awrite) with(H5Screate) with(H5Screate_simple) \
  with(H5Sget_simple_extent_type) with(H5Sget_simple_extent_ndims) with(H5Sget_simple_extent_dims) \
  with(H5Sget_simple_extent_npoints) with(H5Sselect_hyperslab) with(H5Tget_class) with(H5Tget_size) \
  with(H5Tget_sign) with(H5Tget_super) with(H5Tget_nmembers) with(H5Tget_member_name) with(H5Tget_member_index) \
  with(H5Tget_member_type) with(H5Tis_variable_str) with(H5Tcreate) with(H5Tinsert) with(H5Tcopy) \
  with(H5Tset_size) with(H5Tvlen_create) with(H5Tarray_create2) with(H5Pcreate) with(H5Pset_fapl_core) \
  with(H5Pget_nfilters) with(H5Pset_obj_track_times)
// clang-format on

class Hdf5 {
 public:
  // Loads the library; Error(place) when it is not installed.
  static const Hdf5& library(const std::string& place);

#define TWEEDIE_MEMBER(name) decltype(&::name) name;
  TWEEDIE_HDF5_FUNCTIONS(TWEEDIE_MEMBER)
#undef TWEEDIE_MEMBER

  // A type that the library has of its own, "NATIVE_FLOAT"; after H5open.
  hid_t type(const std::string& name) const;
  // A class of property lists, "FILE_ACCESS"
  hid_t property(const std::string& name) const;

 private:
  explicit Hdf5(void* handle);
  template <class Function>
  void find(Function& function, const char* name);
  hid_t id(const std::string& symbol) const;
  void* handle_;
};

// An identifier of the library's, given back in the end.
class Hdf5Id {
 public:
  Hdf5Id(const Hdf5& h, hid_t id) : api_(&h), id_(id) {}
  Hdf5Id(Hdf5Id&& other) noexcept : api_(other.api_), id_(other.id_) { other.id_ = -1; }
  Hdf5Id& operator=(Hdf5Id&&) = delete;
  ~Hdf5Id() {
    if (id_ >= 0) api_->H5Idec_ref(id_);
  }
  operator hid_t() const {
    return id_;
  }  // NOLINT(google-explicit-constructor): as the library's functions take it
  bool ok() const { return id_ >= 0; }

 private:
  const Hdf5* api_;
  hid_t id_;
};

}  // namespace tweedie
