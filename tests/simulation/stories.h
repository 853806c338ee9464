/// The golden stories of tests/scripts, told by client cores and a server core over the simulated network: the same
/// files, verbs and words as tests/contracts/test_scripts.py, which describes them. Here each story runs many times,
/// with other delays each time, and must always print the same.
#pragma once

#include <cstdint>
#include <string>

namespace odb::simulation {

/// Replays every .txt file of a folder with each seed; prints one line, and what went wrong. False when something did.
bool replay_stories(const std::string& folder, uint64_t first_seed, uint64_t seeds);

}  // namespace odb::simulation
