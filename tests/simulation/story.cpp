#include "tests/simulation/story.h"

#include <fstream>
#include <sstream>

#include "core/base/check.h"

namespace odb::simulation {
namespace {

std::string stripped(const std::string& text) {
  size_t begin = text.find_first_not_of(' '), end = text.find_last_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

StoryStep step_of(const std::string& actor, const std::string& text) {
  StoryStep step{actor, text, {}, {}, text.starts_with("!"), text};
  if (step.is_refused) step.verb.erase(0, 1);
  if (size_t at = step.verb.find(' '); at != std::string::npos) {
    step.name = step.verb.substr(at + 1);
    step.verb.erase(at);
  }
  if (size_t at = step.name.find('='); at != std::string::npos) {
    step.value = step.name.substr(at + 1);
    step.name.erase(at);
  }
  return step;
}

}  // namespace

Story story_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  size_t middle = text.find("\n---\n");
  ODB_CHECK(middle != std::string::npos, path.string());
  Story story{path.filename().string(), {}, lines_of(text.substr(middle + 5))};
  for (const std::string& line : lines_of(text.substr(0, middle))) {
    if (line.empty() || line.starts_with("#")) continue;
    size_t colon = line.find(':');
    std::istringstream steps(line.substr(colon + 1));
    for (std::string part; std::getline(steps, part, ',');)
      story.steps.push_back(step_of(line.substr(0, colon), stripped(part)));
  }
  return story;
}

}  // namespace odb::simulation
