/// A golden story as it stands in its file: steps above `---`, and what they print below. Nothing here knows what a
/// step means.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace odb::simulation {

struct StoryStep {
  std::string actor, verb, name, value;
  bool is_refused;  // must be
  std::string text;
};

struct Story {
  std::string file;
  std::vector<StoryStep> steps;
  std::vector<std::string> expected;
};

/// Throws when the file has no `---`.
Story story_of(const std::filesystem::path& path);

}  // namespace odb::simulation
