// The shipped catalogue of devices, links and models. Every figure there names its source.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/json_document.hpp"

namespace isthmus::scenarios {

//! The three files, checked against their tables. Read once per scenario; a few milliseconds.
class Catalogue {
 public:
  //! Reads from `folder`. Sources are registered below every scenario file. Throws InputError.
  Catalogue(const std::filesystem::path& folder, Sources& sources);

  //! Names in the order of the file; models include aliases.
  std::vector<std::string> devices() const { return names(devices_); }
  std::vector<std::string> links() const { return names(links_); }
  std::vector<std::string> models() const;

  //! Entries, or null. Models are found by alias too.
  const Value* device(std::string_view name) const { return devices_.find(name); }
  const Value* link(std::string_view name) const { return links_.find(name); }
  const Value* model(std::string_view name) const;

 private:
  static std::vector<std::string> names(const Value& table);
  Value devices_, links_, models_;
};

//! The folder of the shipped catalogue: $ISTHMUS_CATALOGUE, else scenarios/catalogue of the
//! sources.
std::filesystem::path catalogue_folder();

//! Paths of figures in catalogue entries that have no source, e.g.
//! "devices.json: nvidia-t4: units.gpu.peak.fp16"; empty for a sound catalogue.
std::vector<std::string> figures_without_source(const Catalogue& catalogue);

}  // namespace isthmus::scenarios
