#include "io/csv.h"

#include "io/tensors.h"
#include "tweedie/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace tweedie {

namespace {

struct Cell {
  std::string_view text;
  size_t column;  // of its first character, from 1
};

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos ? text.substr(0, 0)
                                         : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// A comma inside double quotes is part of the cell.
std::vector<Cell> split(std::string_view line) {
  std::vector<Cell> cells;
  size_t start = 0;
  bool quoted = false;
  for (size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size() && line[i] == '"') quoted = !quoted;
    if (i < line.size() && (line[i] != ',' || quoted)) continue;
    std::string_view text = trim(line.substr(start, i - start));
    const size_t column = text.empty() ? start + 1 : static_cast<size_t>(text.data() - line.data()) + 1;
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
      text = trim(text.substr(1, text.size() - 2));
    cells.push_back({text, column});
    start = i + 1;
  }
  return cells;
}

std::errc to_number(std::string_view text, double& value) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end != text.data() + text.size()) return std::errc::invalid_argument;
  return error;
}

bool is_name(const Cell& cell) {
  double ignored;
  return !cell.text.empty() && to_number(cell.text, ignored) == std::errc::invalid_argument;
}

}  // namespace

Tensor parse_csv(ByteView bytes, const std::string& place, bool finite) {
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  std::vector<double> values;
  size_t columns = 0;
  bool first = true;
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const std::string_view content = trim(line);
    if (content.empty() || content[0] == '#') continue;

    const std::vector<Cell> cells = split(line);
    const auto fail = [&](const Cell& cell, const std::string& what) {
      throw Error(fmt::format("{}:{}:{}", place, number, cell.column), what);
    };
    if (first) columns = cells.size();
    if (cells.size() != columns) {
      fail(cells[std::min(cells.size() - 1, columns)],
           fmt::format("{} cells, but the first row has {}", cells.size(), columns));
    }
    const bool names = first && std::all_of(cells.begin(), cells.end(), is_name);
    first = false;
    if (names) continue;
    for (const Cell& cell : cells) {
      double value = 0;
      const std::errc error = to_number(cell.text, value);
      if (cell.text.empty()) fail(cell, "an empty cell, but a number is meant");
      if (error == std::errc::result_out_of_range)
        fail(cell, fmt::format("'{}' is beyond float64", one_line(cell.text)));
      if (error != std::errc()) fail(cell, fmt::format("'{}' is no number", one_line(cell.text)));
      if (finite && !std::isfinite(value))
        fail(cell, fmt::format("'{}', but a finite number is meant", one_line(cell.text)));
      values.push_back(value);
    }
  }
  if (values.empty()) throw Error(place, "holds no row of numbers");
  const auto width = static_cast<int64_t>(columns), rows = static_cast<int64_t>(values.size() / columns);
  const ByteView data(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(double));
  return tensor_from(data, at::kDouble, {rows, width});
}

}  // namespace tweedie
