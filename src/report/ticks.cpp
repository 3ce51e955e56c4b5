#include "report/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

std::string superscript(int value) {
  static constexpr const char* digits[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                           "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string result;
  for (const char c : fmt::format("{}", value)) result += c == '-' ? "\u207b" : digits[c - '0'];
  return result;
}

// A real minus sign, as wide as a digit.
std::string with_minus(std::string text) {
  if (!text.empty() && text[0] == '-') text.replace(0, 1, "\u2212");
  return text;
}

// Three digits at most, by way of the formatter's own rounding, so that 9.999e-5 becomes 10^-4.
std::string scientific(double value) {
  const std::string text = fmt::format("{:.2e}", value);
  const size_t e = text.find('e');
  std::string mantissa = text.substr(0, e);
  mantissa.erase(mantissa.find_last_not_of('0') + 1);
  if (mantissa.back() == '.') mantissa.pop_back();
  const std::string power = "10" + superscript(std::stoi(text.substr(e + 1)));
  return mantissa == "1" ? power : with_minus(mantissa) + "\u00b7" + power;
}

bool is_plain(double magnitude) {
  return magnitude == 0 || (magnitude >= 1e-3 && magnitude < 1e6);
}

}  // namespace

std::vector<double> linear_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(1, count),
               power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    // Halfway between two steps, in ratio, decides.
    if (rough <= factor * power * 1.4142) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double slack = 1e-9 * (high - low);
  if (!(step > 0) || !std::isfinite(step) || std::abs(low / step) > 1e12 || std::abs(high / step) > 1e12)
    return ticks;
  for (double k = std::ceil((low - slack) / step); k * step <= high + slack; ++k)
    ticks.push_back(k == 0 ? 0 : k * step);
  return ticks;
}

std::vector<double> log_ticks(double low, double high, int count) {
  const double from = std::log10(low), to = std::log10(high);
  std::vector<double> ticks;
  const auto add = [&](double tick) {
    if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
  };
  const int decades = static_cast<int>(std::ceil(to) - std::floor(from));
  const int stride = std::max(1, decades / std::max(1, count));
  for (int k = static_cast<int>(std::floor(from)); k <= std::ceil(to); ++k) {
    if (to - from < 2.5) {
      for (const double factor : {1.0, 2.0, 5.0}) add(factor * std::pow(10.0, k));
    } else if (k % stride == 0) {
      add(std::pow(10.0, k));
    }
  }
  // Less than a factor of two: lines at equal distances say more.
  return ticks.size() < 2 ? linear_ticks(low, high, count) : ticks;
}

std::string tick_label(double value, double step) {
  if (value != 0 && (std::abs(value) >= 1e6 || step < 1e-4)) return scientific(value);
  const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  return with_minus(fmt::format("{:.{}f}", value, decimals));
}

std::string log_tick_label(double value) {
  return is_plain(value) ? fmt::format("{:.6g}", value) : scientific(value);
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  return is_plain(std::abs(value)) ? with_minus(fmt::format("{:.3g}", value)) : scientific(value);
}

}  // namespace tweedie
