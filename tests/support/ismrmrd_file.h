#pragma once
// ISMRMRD files for tests: some acquisitions with the members of their headers that say where they belong.

#include "io/hdf5_library.h"

#include <algorithm>
#include <complex>
#include <filesystem>
#include <string>
#include <vector>

namespace tweedie::test {

struct TestAcquisition {
  uint64_t flags = 0;
  uint16_t ky = 0, slice = 0, repetition = 0, center = 0, samples = 0, channels = 0;
  std::vector<std::complex<float>> data;  // (channels, samples)
  float position[3] = {}, read[3] = {}, phase[3] = {}, normal[3] = {};
};

inline std::string ismrmrd_xml(int nx, int ny, int center, const std::string& trajectory = "cartesian",
                               int slices = 0) {
  const std::string x = std::to_string(nx), y = std::to_string(ny);
  const auto space = [&](const std::string& name, const std::string& field) {
    return "<" + name + "><matrixSize><x>" + x + "</x><y>" + y +
           "</y><z>1</z></matrixSize><fieldOfView_mm><x>" + field + "</x><y>" + field +
           "</y><z>5</z></fieldOfView_mm></" + name + ">";
  };
  return "<?xml version=\"1.0\"?><ismrmrdHeader xmlns=\"http://www.ismrm.org/ISMRMRD\"><encoding>" +
         space("encodedSpace", "300") + space("reconSpace", "240") +
         "<encodingLimits><kspace_encoding_step_0/><kspace_encoding_step_1><minimum>0</minimum><maximum>" +
         y + "</maximum><center>" + std::to_string(center) + "</center></kspace_encoding_step_1>" +
         (slices == 0 ? ""
                      : "<slice><minimum>0</minimum><maximum>" + std::to_string(slices - 1) +
                            "</maximum><center>0</center></slice>") +
         "</encodingLimits><trajectory>" + trajectory + "</trajectory></encoding></ismrmrdHeader>";
}

inline void write_ismrmrd(const std::filesystem::path& path, const std::string& xml,
                          const std::vector<TestAcquisition>& acquisitions) {
  struct Idx {
    uint16_t ky, kz, average, slice, contrast, phase, repetition, set;
  };
  struct Head {
    uint16_t version;
    uint64_t flags;
    uint16_t samples, channels, pre, post, center, space;
    float position[3], read[3], phase[3], normal[3];
    Idx idx;
  };
  struct Row {
    Head head;
    hvl_t traj, data;
  };
  const Hdf5& h = Hdf5::library("test");
  h.H5open();
  const hid_t u16 = h.type("NATIVE_UINT16"), number = h.type("NATIVE_FLOAT");
  const auto compound = [&](size_t size) { return Hdf5Id(h, h.H5Tcreate(H5T_COMPOUND, size)); };
  const Hdf5Id idx = compound(sizeof(Idx)), head = compound(sizeof(Head)), row = compound(sizeof(Row));
  const char* counters[] = {"kspace_encode_step_1",
                            "kspace_encode_step_2",
                            "average",
                            "slice",
                            "contrast",
                            "phase",
                            "repetition",
                            "set"};
  for (size_t i = 0; i < 8; ++i) h.H5Tinsert(idx, counters[i], 2 * i, u16);
  h.H5Tinsert(head, "version", offsetof(Head, version), u16);
  h.H5Tinsert(head, "flags", offsetof(Head, flags), h.type("NATIVE_UINT64"));
  h.H5Tinsert(head, "number_of_samples", offsetof(Head, samples), u16);
  h.H5Tinsert(head, "active_channels", offsetof(Head, channels), u16);
  h.H5Tinsert(head, "discard_pre", offsetof(Head, pre), u16);
  h.H5Tinsert(head, "discard_post", offsetof(Head, post), u16);
  h.H5Tinsert(head, "center_sample", offsetof(Head, center), u16);
  h.H5Tinsert(head, "encoding_space_ref", offsetof(Head, space), u16);
  const hsize_t three = 3;
  const Hdf5Id position(h, h.H5Tarray_create2(number, 1, &three)), list(h, h.H5Tvlen_create(number));
  h.H5Tinsert(head, "position", offsetof(Head, position), position);
  h.H5Tinsert(head, "read_dir", offsetof(Head, read), position);
  h.H5Tinsert(head, "phase_dir", offsetof(Head, phase), position);
  h.H5Tinsert(head, "slice_dir", offsetof(Head, normal), position);
  h.H5Tinsert(head, "idx", offsetof(Head, idx), idx);
  h.H5Tinsert(row, "head", offsetof(Row, head), head);
  h.H5Tinsert(row, "traj", offsetof(Row, traj), list);
  h.H5Tinsert(row, "data", offsetof(Row, data), list);

  std::vector<Row> rows;
  for (const TestAcquisition& a : acquisitions) {
    Row& r = rows.emplace_back();
    r = {};
    r.head.flags = a.flags;
    r.head.samples = a.samples;
    r.head.channels = a.channels;
    r.head.center = a.center;
    std::copy_n(a.position, 3, r.head.position);
    std::copy_n(a.read, 3, r.head.read);
    std::copy_n(a.phase, 3, r.head.phase);
    std::copy_n(a.normal, 3, r.head.normal);
    r.head.idx.ky = a.ky;
    r.head.idx.slice = a.slice;
    r.head.idx.repetition = a.repetition;
    r.data = {2 * a.data.size(), const_cast<std::complex<float>*>(a.data.data())};
  }
  const Hdf5Id file(h, h.H5Fcreate(path.c_str(), 2u, H5P_DEFAULT, H5P_DEFAULT));
  const Hdf5Id group(h, h.H5Gcreate2(file, "dataset", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  const hsize_t count = rows.size(), one = 1;
  const Hdf5Id space(h, h.H5Screate_simple(1, &count, nullptr)),
      single(h, h.H5Screate_simple(1, &one, nullptr));
  const Hdf5Id data(h, h.H5Dcreate2(file, "dataset/data", row, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  h.H5Dwrite(data, row, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.data());
  const Hdf5Id text(h, h.H5Tcopy(h.type("C_S1")));
  h.H5Tset_size(text, static_cast<size_t>(-1));  // of any length
  const Hdf5Id header(h,
                      h.H5Dcreate2(file, "dataset/xml", text, single, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  const char* pointer = xml.c_str();
  h.H5Dwrite(header, text, H5S_ALL, H5S_ALL, H5P_DEFAULT, &pointer);
}

}  // namespace tweedie::test
