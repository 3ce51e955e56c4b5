// The program `tweedie`: flags in, exit status out. 0 done, 1 the answer is no, 2 bad input, 3 out of
// resources, 130 interrupted.

#include "cli.h"
#include "io/config.h"
#include "progress_line.h"
#include "tweedie/error.h"

#include <c10/util/Exception.h>

#include <malloc.h>

#include <algorithm>
#include <iostream>

namespace tweedie::cli {

namespace {

// Activations of a few MB come and go at every layer: keep their memory instead of returning it to the
// system.
void keep_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
}

void add_shared(CLI::App& command, Shared& shared) {
  command.add_option("--out", shared.out, "folder for the results")->type_name("DIR");
  command.add_option("--seed", shared.seed, "of all randomness; overrides the config")
      ->type_name("N")
      ->check([](const std::string& text) {  // CLI11 would take -1 for 2^64 - 1
        return text[0] == '-' ? text + ", but a whole number >= 0 is meant" : "";
      });
  command.add_option("--device", shared.device, "cpu, cuda or cuda:i")->type_name("DEVICE");
  command
      .add_option("--dtype", shared.dtype,
                  "of networks: f32 or bf16; by default f32 on the CPU, bf16 on a GPU")
      ->type_name("TYPE");
  command.add_option("--threads", shared.threads, "by default all cores")->type_name("N");
  command
      .add_option(
          "--memory", shared.memory,
          "most that particles may take, and networks keep for derivatives, as 4G or 500MB; by default "
          "no bound, and a quarter of the machine's")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  command.add_option("--set", shared.set, "table.key=value: overrides the config; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--json", shared.json, "the summary as JSON on stdout, nothing else there");
  command.add_flag("--quiet", shared.quiet, "no progress line");
  command.add_flag("--force", shared.force, "replace an existing results folder");
}

// One line on stderr, whatever a file's name or libtorch put into the text.
int fail(std::string text, int status) {
  end_progress_line();
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' ');
  std::cerr << "tweedie: " << text << "\n";
  return status;
}

// Why the command line was not understood.
std::string complaint(const CLI::App& app, const CLI::ParseError& error) {
  std::string text = error.what();
  if (const auto words = app.remaining(); app.get_subcommands().empty() && !words.empty()) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    text = fmt::format("unknown command '{}'{}", words[0], suggestion(words[0], names));
  }
  return text + "; see `tweedie --help`";
}

int run(int argc, char** argv) {
  CLI::App app{
      "Learn a distribution p(x) from data; draw from p(x | y); say when the draws can't be trusted."};
  app.set_version_flag("--version", std::string("tweedie ") + TWEEDIE_VERSION);
  app.require_subcommand(1);
  Shared shared;
  Action action;
  for (const auto add :
       {add_train, add_sample, add_measure, add_infer, add_forecast, add_diagnose, add_calibrate, add_certify,
        add_compare, add_likelihood, add_evaluate, add_denoise, add_reconstruct, add_complete, add_convert,
        add_info, add_bench, add_check_operator}) {
    add(app, shared, action);
  }
  for (CLI::App* command : app.get_subcommands({})) add_shared(*command, shared);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return fail(complaint(app, error), 2);
  }
  if (shared.threads < 0 || shared.threads > 4096)
    throw Error("--threads", fmt::format("{}: 1 to 4096 is meant", shared.threads));
  return action();
}

}  // namespace

}  // namespace tweedie::cli

int main(int argc, char** argv) {
  using namespace tweedie;
  cli::keep_memory();
  cli::listen_for_interrupts();
  try {
    return cli::run(argc, argv);
  } catch (const Interrupted&) {
    return cli::fail("interrupted, nothing written", 130);
  } catch (const Error& error) {
    return cli::fail(error.what(), error.kind() == ErrorKind::resources ? 3 : 2);
  } catch (const std::bad_alloc&) {
    return cli::fail("out of memory", 3);
  } catch (const c10::Error& error) {
    const std::string what = error.what_without_backtrace();
    const bool memory =
        what.find("alloc") != std::string::npos || what.find("out of memory") != std::string::npos;
    return cli::fail((memory ? "out of memory: " : "") + what.substr(0, what.find('\n')), memory ? 3 : 2);
  } catch (const std::exception& error) {
    return cli::fail(error.what(), 2);
  }
}
