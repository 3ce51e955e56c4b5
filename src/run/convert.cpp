// tweedie convert: an array in another format, with its units and its place in space.

#include "core/shape.h"
#include "io/file_names.h"
#include "run/services.h"

namespace tweedie {

Summary convert(const std::filesystem::path& from, const std::filesystem::path& to,
                const RunContext& context) {
  const FileFormat format = format_named(to);
  const FileName name = file_name_of(to);
  std::error_code ignored;
  if (std::filesystem::exists(name.file, ignored) && !context.force)
    throw Error(name.file.string(), "exists; choose another name, or overwrite it with --force");
  ArrayData data = read_array_data(from);
  if (data.meta.format != format) data.meta.header.clear();  // it is of the other format
  data.meta.format = format;
  write_like(to, data.values, data.meta);
  const ArrayMeta written = read_array_data(to).meta;
  Summary summary{{"command", "convert"}, {"file", to.string()}};
  summary["format"] = names(FileFormat{}).at(static_cast<size_t>(written.format));
  summary["shape"] = written.shape;
  summary["stored_dtype"] = written.dtype;
  summary["spacing"] = written.spacing;
  summary["orientation"] = written.orientation;
  return summary;
}

}  // namespace tweedie
