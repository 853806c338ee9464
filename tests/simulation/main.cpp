/// The simulator: many runs of a server and its clients, each from one number and in one thread.
///
///   odb_sim [--seeds N] [--first-seed S] [--jobs J]      seeds take turns through the workloads
///   odb_sim --workload ring [--seeds N] ...              all seeds with one workload
///   odb_sim --workload ring --seed S --verbose           one run again, exactly as it was
///   odb_sim --scripts tests/scripts [--seeds N] ...      golden stories, each N times with other delays
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#include "tests/simulation/stories.h"
#include "tests/simulation/world.h"

namespace odb::simulation {
namespace {

struct Arguments {
  uint64_t first = 1;
  uint64_t seeds = 100;
  uint64_t jobs = 1;
  std::string workload;  // empty: all, by turns
  std::string scripts;   // a folder
  RunOptions run;
};

[[noreturn]] void usage(const std::string& complaint) {
  std::string names;
  for (const NamedWorkload& workload : kWorkloads) names += std::string(names.empty() ? "" : "|") + workload.name;
  std::fprintf(stderr,
               "odb_sim: %s\nusage: odb_sim [--seeds N] [--first-seed S] [--seed S] [--jobs J] [--steps K] "
               "[--workload %s] [--scripts FOLDER] [--verbose]\n",
               complaint.c_str(), names.c_str());
  std::exit(2);
}

uint64_t number(const std::string& text) {
  char* end = nullptr;
  uint64_t value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') usage("'" + text + "' is not a number");
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
    if (*++at == nullptr) usage(flag + " needs a value");
    std::string value = *at;
    if (flag == "--seeds") {
      arguments.seeds = number(value);
    } else if (flag == "--first-seed") {
      arguments.first = number(value);
    } else if (flag == "--seed") {
      arguments.first = number(value);
      arguments.seeds = 1;
    } else if (flag == "--jobs") {
      arguments.jobs = std::max<uint64_t>(1, number(value));
    } else if (flag == "--steps") {
      arguments.run.steps = static_cast<int64_t>(number(value));
    } else if (flag == "--workload") {
      arguments.workload = value;
    } else if (flag == "--scripts") {
      arguments.scripts = value;
    } else {
      usage("there is no " + flag);
    }
  }
  return arguments;
}

std::vector<NamedWorkload> workloads_of(const Arguments& arguments) {
  std::vector<NamedWorkload> workloads;
  for (const NamedWorkload& workload : kWorkloads)
    if (arguments.workload.empty() || arguments.workload == workload.name) workloads.push_back(workload);
  if (workloads.empty()) usage("there is no workload " + arguments.workload);
  return workloads;
}

/// Every seed, shared out among threads. Runs share nothing, so threads change nothing.
class Seeds {
 public:
  explicit Seeds(Arguments arguments) : arguments_(std::move(arguments)), workloads_(workloads_of(arguments_)) {
    sums_.resize(workloads_.size());
    counts_.resize(workloads_.size());
  }

  /// False when a seed failed.
  bool run() {
    auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (uint64_t job = 1; job < arguments_.jobs; ++job) threads.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : threads) thread.join();
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    for (size_t i = 0; i < workloads_.size(); ++i) {
      if (counts_[i] > 0)
        std::printf("%s: %llu seeds, %s\n", workloads_[i].name, static_cast<unsigned long long>(counts_[i]),
                    sums_[i].text().c_str());
    }
    std::printf("%llu seeds from %llu in %.1f s\n%s", static_cast<unsigned long long>(arguments_.seeds),
                static_cast<unsigned long long>(arguments_.first), seconds.count(), failure_.c_str());
    return failure_.empty();
  }

 private:
  void work() {
    for (uint64_t i = next_++; i < arguments_.seeds && !has_failed_; i = next_++) run_one(arguments_.first + i);
  }

  void run_one(uint64_t seed) {
    RunOptions options = arguments_.run;
    options.seed = seed;
    size_t workload = seed % workloads_.size();
    try {
      Figures figures = World(workloads_[workload].make(), options).run();
      std::lock_guard lock(mutex_);
      sums_[workload].add(figures);
      ++counts_[workload];
    } catch (const std::exception& error) {
      std::lock_guard lock(mutex_);
      has_failed_ = true;
      std::string name = workloads_[workload].name;
      failure_ += name + ": seed " + std::to_string(seed) + " FAILED: " + error.what() +
                  "\nagain: odb_sim --workload " + name + " --seed " + std::to_string(seed) + " --steps " +
                  std::to_string(options.steps) + " --verbose\n";
    }
  }

  const Arguments arguments_;
  const std::vector<NamedWorkload> workloads_;
  std::atomic<uint64_t> next_{0};
  std::atomic<bool> has_failed_{false};
  std::mutex mutex_;           // guards what follows
  std::vector<Figures> sums_;  // parallel to workloads_
  std::vector<uint64_t> counts_;
  std::string failure_;
};

int run(char** argv) {
  Arguments arguments = parse(argv + 1);
  if (!arguments.scripts.empty()) return replay_stories(arguments.scripts, arguments.first, arguments.seeds) ? 0 : 1;
  return Seeds(arguments).run() ? 0 : 1;
}

}  // namespace
}  // namespace odb::simulation

int main(int, char** argv) { return odb::simulation::run(argv); }
