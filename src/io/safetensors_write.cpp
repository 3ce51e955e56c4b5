#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/safetensors_header.h"
#include "tweedie/error.h"

#include <algorithm>

namespace tweedie {

namespace {

using nlohmann::json;

struct Layout {
  Bytes header;  // with the length before it
  std::vector<Tensor> data;
};

Layout lay_out(const SafeTensors& content, const std::string& place) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : content.tensors) {
    if (name == metadata_key || !tensor.defined())
      throw Error(place + ":" + one_line(name), "can't be written");
    tensors.emplace_back(name, plain(tensor));
  }
  // Large items first, so that each tensor is aligned.
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return a.second.element_size() > b.second.element_size();
  });
  json header = json::object();
  header[metadata_key] = content.metadata;
  Layout result;
  uint64_t offset = 0;
  for (const auto& named : tensors) {
    const auto& [name, tensor] = named;
    const auto type =
        std::find_if(std::begin(safetensors_types), std::end(safetensors_types),
                     [kind = tensor.scalar_type()](const auto& known) { return known.second == kind; });
    if (type == std::end(safetensors_types)) {
      throw Error(place + ":" + one_line(name),
                  fmt::format("dtype {} can't be written", toString(tensor.scalar_type())));
    }
    const uint64_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", type->first}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
    result.data.push_back(tensor);
  }
  std::string text;
  try {
    uint32_t crc = header_crc(header);
    for (const Tensor& tensor : result.data) crc = crc32_of(view_of(tensor), crc);
    header[metadata_key][checksum_key] = hex(crc);
    text = header.dump();
  } catch (const json::exception&) {
    throw Error(place, "a name or the metadata is no UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > max_safetensors_header) throw Error(place, "the header would be over 100 MB");
  for (int shift = 0; shift < 64; shift += 8)
    result.header.push_back(static_cast<uint8_t>(uint64_t{text.size()} >> shift));
  result.header.insert(result.header.end(), text.begin(), text.end());
  return result;
}

}  // namespace

Bytes serialize_safetensors(const SafeTensors& content) {
  const Layout layout = lay_out(content, "safetensors");
  Bytes result = layout.header;
  for (const Tensor& tensor : layout.data) {
    const ByteView data = view_of(tensor);
    result.insert(result.end(), data.begin(), data.end());
  }
  return result;
}

void write_safetensors(const std::filesystem::path& path, const SafeTensors& content) {
  const Layout layout = lay_out(content, path.string());
  AtomicFile file(path);
  file.write(layout.header);
  for (const Tensor& tensor : layout.data) file.write(view_of(tensor));
  file.commit();
}

}  // namespace tweedie
