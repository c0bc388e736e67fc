// The models of the catalogue: every one of them can be built, and accuracies are quoted, with a
// metric that says which ones may be compared.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "models/builtin_graphs.hpp"
#include "scenarios/catalogue.hpp"
#include "scenarios/explain.hpp"

namespace isthmus::scenarios {
namespace {

const Catalogue& catalogue() {
  static Sources sources;
  static const Catalogue c(catalogue_folder(), sources);
  return c;
}

TEST(CatalogueModels, HoldEveryPublishedGraph) {
  // ResNet-50 with the stride of the paper has no published accuracy of its own.
  for (const std::string& name : models::builtin_graph_names()) {
    if (name != "resnet-50-v1") {
      EXPECT_NE(catalogue().model(name), nullptr) << name;
    }
  }
}

TEST(CatalogueModels, AccuraciesHaveAMetricAndASource) {
  int known = 0;
  std::map<std::string, int> metrics;
  for (const std::string& name : catalogue().models())
    for (const Member& v : catalogue().model(name)->find("variants")->members) {
      SCOPED_TRACE(name + " " + v.key);
      const Value* accuracy = v.value.find("accuracy");
      EXPECT_EQ(accuracy != nullptr, v.value.find("accuracy_metric") != nullptr);
      EXPECT_EQ(accuracy != nullptr, v.value.find("accuracy_source") != nullptr);
      if (!accuracy) continue;
      ++known;
      ++metrics[v.value.find("accuracy_metric")->text];
      EXPECT_GT(accuracy->number, 0.2);
      EXPECT_LT(accuracy->number, 0.95);
      EXPECT_GE(v.value.find("accuracy_source")->text.size(), 20U);
    }
  EXPECT_GE(known, 40);
  // A metric that stands alone lets nobody compare anything; a misspelt one looks like that.
  for (const auto& [metric, count] : metrics) EXPECT_GE(count, 2) << metric;
}

// Known orders: quantizing costs accuracy, larger members of a family are better.
TEST(CatalogueModels, AccuraciesAreInKnownOrder) {
  const auto accuracy = [](const char* model, const char* variant) {
    const Value* v = catalogue().model(model)->find("variants")->find(variant);
    EXPECT_NE(v->find("accuracy"), nullptr) << model << " " << variant;
    return v->find("accuracy")->number;
  };
  for (const char* model : {"mobilenet-v2", "mobilenet-v3", "resnet-18", "resnet-50",
                            "efficientnet-lite0", "efficientnet-lite4"}) {
    EXPECT_LT(accuracy(model, "int8"), accuracy(model, "fp32")) << model;
    EXPECT_GT(accuracy(model, "int8"), accuracy(model, "fp32") - 0.02) << model;
  }
  const auto rising = [&](std::initializer_list<const char*> family, const char* variant) {
    double last = 0;
    for (const char* model : family) {
      EXPECT_GT(accuracy(model, variant), last) << model;
      last = accuracy(model, variant);
    }
  };
  rising({"resnet-18", "resnet-34", "resnet-50", "resnet-101", "resnet-152"}, "fp32");
  rising({"efficientdet-lite0", "efficientdet-lite1", "efficientdet-lite2", "efficientdet-lite3",
          "efficientdet-lite4"},
         "int8");
  rising({"yolov5n", "yolov5s", "yolov5m"}, "fp32");
  rising({"distilbert", "bert-base", "bert-large"}, "fp32");
  rising({"roberta-base", "roberta-large"}, "fp32");
  rising({"deit-tiny", "deit-small"}, "fp32");
}

TEST(CatalogueModels, NarrowFormatsShrinkTheWeights) {
  for (const std::string& name : catalogue().models()) {
    if (catalogue().model(name)->find("kind")->text != "graph") continue;
    const auto bytes = [&](const char* variant) {
      ExplainQuestion q;
      q.model = name;
      q.device = "nvidia-h100-sxm";
      q.variant = variant;
      return explain(q).weight_bytes;
    };
    const double wide = bytes("fp32");
    EXPECT_NEAR(bytes("fp16") / wide, 0.5, 1e-9) << name;
    EXPECT_NEAR(bytes("int8") / wide, 0.25, 1e-9) << name;
  }
}

}  // namespace
}  // namespace isthmus::scenarios
