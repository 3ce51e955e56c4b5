#include "progress_line.h"

#include <fmt/format.h>

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

namespace tweedie::cli {

namespace {

volatile sig_atomic_t interrupt = 0;
bool line_open = false;

void on_interrupt(int) {
  if (interrupt != 0) _exit(130);
  interrupt = 1;
}

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::lround(seconds));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

void listen_for_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return interrupt != 0;
}

Observer progress_line(bool quiet) {
  using Clock = std::chrono::steady_clock;
  struct State {
    Clock::time_point begin = Clock::now(), last{};
    int64_t first = -1;
  };
  const auto state = std::make_shared<State>();
  const bool terminal = isatty(STDERR_FILENO) != 0;
  return [=](const Progress& p) {
    const auto now = Clock::now();
    if (state->first < 0) state->first = p.done - 1;
    // On a terminal the line is drawn over itself; in a file a line every ten seconds is enough.
    const double pause = terminal ? 0.2 : 10;
    if (!quiet && (std::chrono::duration<double>(now - state->last).count() >= pause || p.done == p.total)) {
      state->last = now;
      const double seconds = std::chrono::duration<double>(now - state->begin).count();
      const double left =
          seconds / static_cast<double>(p.done - state->first) * static_cast<double>(p.total - p.done);
      std::string line = fmt::format("{}/{}", p.done, p.total);
      if (p.rows_per_second > 0) line += fmt::format("  {:.0f} items/s", p.rows_per_second);
      if (!std::isnan(p.loss)) line += fmt::format("  loss {:.4f}", p.loss);
      line += fmt::format("  ETA {}", duration(left));
      std::fprintf(stderr, terminal ? "\r%s\033[K" : "%s\n", line.c_str());
      std::fflush(stderr);
      line_open = terminal;
      if (p.done == p.total) end_progress_line();
    }
    return interrupted() ? Control::stop : Control::proceed;
  };
}

void end_progress_line() {
  if (line_open) std::fputc('\n', stderr);
  line_open = false;
}

}  // namespace tweedie::cli
