#include "io/image.h"

#include "tweedie/error.h"

namespace tweedie {

Image parse_image(ByteView bytes, const std::string& place) {
  if (is_png(bytes)) return parse_png(bytes, place);
  if (is_jpeg(bytes)) return parse_jpeg(bytes, place);
  throw Error(place, "is neither a PNG nor a JPEG image");
}

}  // namespace tweedie
