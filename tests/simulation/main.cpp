/// The simulator: many runs of a server and its clients in one thread, each from one number.
///
///   odb_sim [--seeds N] [--first S] [--steps K] [--workload bank|index|all]     one line for each workload
///   odb_sim --seed S [--workload W] [--verbose]                                 one run again, exactly as it was
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "tests/simulation/world.h"

namespace odb::simulation {
namespace {

struct Arguments {
  uint64_t first = 1;
  uint64_t seeds = 100;
  std::string workload = "all";
  RunOptions run;
};

[[noreturn]] void usage(const char* complaint) {
  std::fprintf(
      stderr,
      "odb_sim: %s\n"
      "usage: odb_sim [--seeds N] [--first S] [--seed S] [--steps K] [--check-every K] [--workload bank|index|all] "
      "[--verbose]\n",
      complaint);
  std::exit(2);
}

uint64_t number(const char* text) {
  char* end = nullptr;
  uint64_t value = text == nullptr ? 0 : std::strtoull(text, &end, 10);
  if (end == nullptr || end == text || *end != '\0') usage("a number is missing");
  return value;
}

Arguments parse(char** at) {
  Arguments arguments;
  for (; *at != nullptr; ++at) {
    std::string flag = *at;
    if (flag == "--verbose") {
      arguments.run.is_verbose = true;
      continue;
    }
    const char* value = *++at;
    if (flag == "--seeds") {
      arguments.seeds = number(value);
    } else if (flag == "--first" || flag == "--first-seed") {
      arguments.first = number(value);
    } else if (flag == "--seed") {
      arguments.first = number(value);
      arguments.seeds = 1;
    } else if (flag == "--steps") {
      arguments.run.steps = static_cast<int64_t>(number(value));
    } else if (flag == "--check-every") {
      arguments.run.check_every = std::max<int64_t>(1, static_cast<int64_t>(number(value)));
    } else if (flag == "--workload" && value != nullptr) {
      arguments.workload = value;
    } else {
      usage(flag.c_str());
    }
    if (value == nullptr) usage("a value is missing");
  }
  return arguments;
}

/// False when a seed failed.
bool run_seeds(const Arguments& arguments, std::unique_ptr<Workload> (*make)()) {
  std::string name = make()->name();
  auto start = std::chrono::steady_clock::now();
  Figures sum;
  for (uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    RunOptions options = arguments.run;
    options.seed = seed;
    try {
      sum.add(World(make(), options).run());
    } catch (const std::exception& error) {
      std::printf("%s: seed %llu FAILED: %s\nagain: odb_sim --workload %s --seed %llu --steps %lld --verbose\n",
                  name.c_str(), static_cast<unsigned long long>(seed), error.what(), name.c_str(),
                  static_cast<unsigned long long>(seed), static_cast<long long>(options.steps));
      return false;
    }
  }
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%s: seeds %llu to %llu in %.1f s: %llu events, %llu commits, %llu conflicts, %llu too old, "
      "%llu refused by the store, %llu unanswered, %llu cuts, %llu closed by the server, %llu views\n",
      name.c_str(), n(arguments.first), n(arguments.first + arguments.seeds - 1), seconds.count(), n(sum.events),
      n(sum.accepted), n(sum.conflicts), n(sum.too_old), n(sum.refused_by_store), n(sum.unanswered), n(sum.cuts),
      n(sum.closed_by_server), n(sum.views));
  return true;
}

int run(char** argv) {
  Arguments arguments = parse(argv + 1);
  bool is_all = arguments.workload == "all", is_ok = true, is_known = is_all;
  for (auto make : {make_bank, make_index}) {
    if (!is_all && arguments.workload != make()->name()) continue;
    is_known = true;
    is_ok = run_seeds(arguments, make) && is_ok;
  }
  if (!is_known) usage("no such workload");
  return is_ok ? 0 : 1;
}

}  // namespace
}  // namespace odb::simulation

int main(int, char** argv) { return odb::simulation::run(argv); }
