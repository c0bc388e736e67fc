#include "results/run_input.hpp"

#include <fmt/format.h>

#include "models/hdf5.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {

RunInput read_run_input(const std::filesystem::path& directory, std::uint64_t request) {
  const std::string path = (directory / "run.h5").string();
  const h5::File file = h5::File::open(path);
  if (!file.has_attribute("filetype") || file.string_attribute("filetype") != "isthmus run")
    throw InputError(fmt::format("{}: no run of isthmus", path));
  RunInput input;
  input.scenario_json = file.string_attribute("scenario");
  input.replication = static_cast<std::uint32_t>(file.uint64_attribute("replication"));
  input.created = file.uint64_attribute("created");
  const h5::Group decisions = file.open_group("decisions");
  const auto requests = decisions.read<std::uint64_t>("request");
  const auto dates = decisions.read<std::int64_t>("at");
  const auto scores = decisions.read<double>("score");
  if (dates.size() != requests.size() || scores.size() != requests.size())
    throw InputError(path + ": columns of \"decisions\" differ in length");
  input.has_decisions = !requests.empty();
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (requests[i] == request) {
      input.dates.push_back(dates[i]);
      input.scores.push_back(scores[i]);
    }
  return input;
}

}  // namespace isthmus::results
