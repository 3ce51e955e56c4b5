#pragma once
// One stderr line that says how far the work is, and Ctrl-C.

#include "tweedie/progress.h"

namespace tweedie::cli {

// SIGINT and SIGTERM: the next report of progress asks the work to stop; a second one ends the program at
// once.
void listen_for_interrupts();
bool interrupted();

// An observer that draws the line (unless quiet) a few times a second and stops the work when interrupted.
Observer progress_line(bool quiet);
// Ends the line, if there is one, so that what is printed next starts on its own.
void end_progress_line();

}  // namespace tweedie::cli
