#include "io/npz.h"

#include "io/npy.h"
#include "tweedie/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zip.h>

#include <algorithm>
#include <memory>
#include <new>

namespace tweedie {

namespace {

using Archive = std::unique_ptr<zip_t, void (*)(zip_t*)>;

Archive open_archive(ByteView bytes, const std::string& place) {
  zip_error_t error;
  zip_error_init(&error);
  const auto fail = [&](zip_source_t* source) {
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    if (source) zip_source_free(source);
    throw Error(place, fmt::format("is no readable zip archive: {}", reason));
  };
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (!source) fail(nullptr);
  zip_t* archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
  if (!archive) fail(source);
  zip_error_fini(&error);
  return {archive, &zip_discard};
}

std::string strip_npy(const std::string& name) {
  return name.ends_with(".npy") ? name.substr(0, name.size() - 4) : name;
}

Bytes unpack(zip_t* archive, zip_uint64_t index, const std::string& place, uint64_t limit) {
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive, index, 0),
                                                               &zip_fclose);
  if (!file) throw Error(place, fmt::format("can't be unpacked: {}", zip_strerror(archive)));
  // The size that the archive claims may be a lie, so memory grows with what really comes out.
  Bytes result;
  size_t written = 0;
  try {
    while (true) {
      if (written == result.size()) result.resize(std::max<size_t>(2 * written, size_t{1} << 16));
      const zip_int64_t count = zip_fread(file.get(), result.data() + written, result.size() - written);
      if (count < 0) throw Error(place, fmt::format("can't be unpacked: {}", zip_file_strerror(file.get())));
      if (count == 0) break;
      written += static_cast<size_t>(count);
      if (written > limit) {
        throw Error(place, fmt::format("unpacks to more than {}", count_of_bytes(limit)),
                    ErrorKind::resources);
      }
    }
  } catch (const std::bad_alloc&) {
    throw Error(place, "does not fit in memory when unpacked", ErrorKind::resources);
  }
  result.resize(written);
  return result;
}

}  // namespace

Tensor parse_npz(ByteView bytes, const std::string& key, const std::string& place, uint64_t limit) {
  const Archive archive = open_archive(bytes, place);
  std::vector<std::string> keys;
  const auto count =
      static_cast<zip_uint64_t>(std::max<zip_int64_t>(zip_get_num_entries(archive.get(), 0), 0));
  for (zip_uint64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive.get(), i, 0);
    keys.push_back(strip_npy(name ? name : ""));
  }
  if (keys.empty()) throw Error(place, "holds no array");
  const auto found =
      key.empty() && keys.size() == 1 ? keys.begin() : std::find(keys.begin(), keys.end(), strip_npy(key));
  if (found == keys.end()) {
    constexpr size_t listed = 20;
    const bool more = keys.size() > listed;
    if (more) keys.resize(listed);
    std::transform(keys.begin(), keys.end(), keys.begin(), one_line);
    throw Error(place,
                fmt::format("{}; write FILE.npz:KEY with one of the keys {}{}",
                            key.empty() ? "holds several arrays" : fmt::format("has no array '{}'", key),
                            fmt::join(keys, ", "), more ? ", ..." : ""));
  }
  const std::string inside = place + ":" + one_line(*found);
  const auto index = static_cast<zip_uint64_t>(found - keys.begin());
  return parse_npy(unpack(archive.get(), index, inside, limit), inside);
}

}  // namespace tweedie
