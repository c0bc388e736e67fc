// The tables themselves, the pages and the schema made from them, and the catalogue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "scenarios/catalogue.hpp"
#include "scenarios/check.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/json_schema.hpp"
#include "scenarios/reader.hpp"
#include "scenarios/reference_page.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"
#include "tests/scenarios/sample.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using testing::slurp;
using testing::TemporaryFolder;

std::filesystem::path source(const std::string& path) {
  return std::filesystem::path(ISTHMUS_SOURCE_DIR) / path;
}

// Every table that is reached from the top, and every row.
void visit(const ObjectSpec& spec, std::set<const ObjectSpec*>& seen, const auto& row);
void visit(const Field& f, std::set<const ObjectSpec*>& seen, const auto& row) {
  if (f.type == FieldType::object) visit(f.spec(), seen, row);
  if (f.type == FieldType::distribution) visit(distribution_spec(f.unit), seen, row);
  for (const Field& e : f.elements) visit(e, seen, row);
}
void visit(const ObjectSpec& spec, std::set<const ObjectSpec*>& seen, const auto& row) {
  if (!seen.insert(&spec).second) return;
  const auto all = [&](const std::vector<Field>& fields) {
    for (const Field& f : fields) {
      row(spec, f);
      visit(f, seen, row);
    }
  };
  all(spec.fields);
  for (const Variant& v : spec.variants) all(v.fields);
}

TEST(Tables, EveryRowIsComplete) {
  std::set<const ObjectSpec*> seen;
  int rows = 0;
  const auto row = [&](const ObjectSpec& spec, const Field& f) {
    SCOPED_TRACE(spec.name + "." + f.name);
    ++rows;
    EXPECT_FALSE(f.name.empty());
    EXPECT_FALSE(f.help.empty());
    EXPECT_LE(f.min, f.max);
    if (f.type == FieldType::word) {
      EXPECT_FALSE(f.choices.empty());
    }
    if (f.default_text.empty() || f.type == FieldType::either) return;
    // The default passes the row's own check.
    Value v = text_value(f.default_text, {});
    const bool bare = f.type == FieldType::integer || f.type == FieldType::boolean ||
                      ((f.type == FieldType::quantity || f.type == FieldType::distribution) &&
                       accepts_bare(f.unit));
    Sources sources;
    const std::uint32_t id = sources.add("default");
    if (bare) v = parse_json(f.default_text, sources, id);
    Problems problems(sources);
    const Names none;
    Checker(sources, none, problems).field(v, f, "");
    EXPECT_TRUE(problems.lines().empty()) << problems.lines().front();
  };
  for (const ObjectSpec* top :
       {&scenario_spec(), &device_spec(), &link_preset_spec(), &model_spec(), &offload_view_spec(),
        &routing_view_spec(), &batching_view_spec(), &autoscaling_view_spec(), &governor_view_spec(),
         &variant_view_spec(), &eviction_view_spec(), &admission_view_spec(), &placement_view_spec(),
         &requirements_spec()})
    visit(*top, seen, row);
  EXPECT_GT(rows, 300);
}

TEST(Tables, NoNameStandsTwice) {
  std::set<const ObjectSpec*> seen;
  visit(scenario_spec(), seen, [](const ObjectSpec&, const Field&) {});
  std::set<std::string> headings;
  for (const ObjectSpec* spec : seen) {
    EXPECT_TRUE(headings.insert(spec->name).second) << spec->name;
    std::set<std::string> common;
    for (const Field& f : spec->fields) EXPECT_TRUE(common.insert(f.name).second) << f.name;
    for (const Variant& v : spec->variants) {
      std::set<std::string> names = common;
      // The threshold policy's fallback is the offload section's: a service, or a tier as well.
      if (spec->name == "offload" && v.value == "threshold") names.erase("fallback");
      for (const Field& f : v.fields)
        EXPECT_TRUE(names.insert(f.name).second) << spec->name << " " << v.value << " " << f.name;
    }
  }
}

void expect_up_to_date(const std::string& page, const std::string& text) {
  const auto path = source(page);
  if (std::getenv("ISTHMUS_UPDATE") != nullptr) write_file_atomically(path, text);
  EXPECT_EQ(slurp(path), text) << page << " is out of date; run this test with ISTHMUS_UPDATE=1";
}

TEST(Docs, ScenarioReferenceIsUpToDate) {
  expect_up_to_date("docs/scenario_reference.md", scenario_reference_markdown());
}

TEST(Docs, CatalogueIsUpToDate) {
  Sources sources;
  expect_up_to_date("docs/catalogue.md",
                    catalogue_markdown(Catalogue(catalogue_folder(), sources)));
}

TEST(Catalogue, EveryFigureHasASource) {
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  EXPECT_THAT(figures_without_source(catalogue), ::testing::IsEmpty());
}

TEST(Catalogue, EverySourceBelongsToAField) {
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  for (const std::string& name : catalogue.devices()) {
    const Value& device = *catalogue.device(name);
    for (const Member& s : device.find("sources")->members) {
      std::string pointer = "/" + s.key;
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      EXPECT_NE(find_pointer(device, pointer), nullptr) << name << " " << s.key;
    }
  }
}

TEST(Catalogue, EveryVariantRunsOnALargeDevice) {
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  for (const std::string& model : catalogue.models())
    for (const Member& variant : catalogue.model(model)->find("variants")->members) {
      SCOPED_TRACE(model + " " + variant.key);
      load_text(R"({"isthmus": 1, "name": "x", "duration": "1 s",
        "nodes": {"n": {"device": "nvidia-h200-sxm"}}, "services": {"s": {"model": ")" +
                model + R"(", "variant": ")" + variant.key +
                R"(", "on": "n"}}, "workload": [{"rate": "1 /s"}]})");
    }
}

TEST(Catalogue, EveryDeviceServesASmallModel) {
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  // Chips that hold their weights on the chip take no language model, and say so.
  const std::set<std::string> on_chip{"coral-edge-tpu", "hailo-8"};
  for (const std::string& device : catalogue.devices()) {
    SCOPED_TRACE(device);
    const std::string scenario =
        R"({"isthmus": 1, "name": "x", "duration": "1 s", "nodes": {"n": {"device": ")" + device +
        R"("}}, "services": {"s": {"model": "qwen2-vl-2b", "variant": "int4", "on": "n"}},
           "workload": [{"rate": "1 /s"}]})";
    if (on_chip.contains(device))
      EXPECT_THROW(load_text(scenario), InputError);
    else
      EXPECT_NO_THROW(load_text(scenario));
  }
}

TEST(Catalogue, ADamagedCatalogueIsRefused) {
  const TemporaryFolder folder;
  folder.write(
      "devices.json",
      R"({"x": {"summary": "s", "sources": {}, "units": {"g": {"peak": {"fp16": "5"}}}}})");
  folder.write("links.json", "{}");
  folder.write("models.json", "{}");
  Sources sources;
  EXPECT_THROW(Catalogue(folder.path(), sources), InputError);
}

// The schema is JSON, a valid schema, and accepts what the reader accepts (if jsonschema is
// installed).
TEST(Schema, AcceptsShippedScenarios) {
  const TemporaryFolder folder;
  const auto schema = folder.write("schema.json", json_schema());
  Sources sources;
  EXPECT_NO_THROW(read_json_file(schema, sources));
  if (std::system("python3 -c 'import jsonschema' 2>/dev/null") != 0)
    GTEST_SKIP() << "no jsonschema";
  std::string files;
  for (const char* dir : {"scenarios", "scenarios/examples"})
    for (const auto& entry : std::filesystem::directory_iterator(source(dir)))
      if (entry.path().extension() == ".json") {
        // Comments are ours; JSON proper has none.
        const Value v = read_json_file(entry.path(), sources);
        files += " '" + folder.write(entry.path().filename(), to_text(v)).string() + "'";
      }
  files += " '" + folder.write("sample.json", testing::sample).string() + "'";
  const auto script = folder.write("check.py", R"(
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
checker = jsonschema.Draft202012Validator
checker.check_schema(schema)
validator = checker(schema)
bad = False
for path in sys.argv[2:]:
    for error in validator.iter_errors(json.load(open(path))):
        print(path, error.json_path, error.message[:300]); bad = True
sample = json.load(open(sys.argv[-1]))
for change in ({"warmupp": "1 s"}, {"duration": "5 MB"}, {"duration": 5},
               {"offload": {"policy": "always-local", "alpha": 0.5}},
               {"workload": [{"source": "poisson", "rates": ["1 /s"]}]},
               {"nodes": {"x": {"count": -1}}}):
    if validator.is_valid({**sample, **change}):
        print("accepted", change); bad = True
sys.exit(bad)
)");
  EXPECT_EQ(
      std::system(("python3 '" + script.string() + "' '" + schema.string() + "'" + files).c_str()),
      0);
}

}  // namespace
}  // namespace isthmus::scenarios
