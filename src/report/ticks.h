#pragma once
// Where an axis has its ticks, and what they say.

#include <string>
#include <vector>

namespace tweedie {

// Multiples of 1, 2 or 5 times a power of ten within [low, high], about `count` of them. low < high.
std::vector<double> linear_ticks(double low, double high, int count);

// Powers of ten within [low, high], thinned to about `count`; 1, 2 and 5 times them when there are few. 0 <
// low < high.
std::vector<double> log_ticks(double low, double high, int count);

// As many decimals as ticks `step` apart need; "2·10⁶" for the very large and small.
std::string tick_label(double value, double step);
// "0.01", "10⁻⁵"
std::string log_tick_label(double value);

// A number for people: about three significant digits.
std::string short_number(double value);

}  // namespace tweedie
