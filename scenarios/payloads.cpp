#include "scenarios/payloads.hpp"

#include "models/precision.hpp"
#include "scenarios/model_choice.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<std::string> formats() {
  std::vector<std::string> names;
  for (const auto& row : models::precisions) names.emplace_back(row.name);
  return names;
}

// The law of k times what `d` draws.
world::Distribution times(world::Distribution d, double k) {
  using Kind = world::DistributionKind;
  d.a *= k;
  if (d.kind == Kind::uniform || d.kind == Kind::pareto || d.kind == Kind::normal) d.b *= k;
  for (double& v : d.value) v *= k;
  d.min *= k;
  if (d.max < 1e300) d.max *= k;
  return d;
}

double precision_bytes(const std::string& name) { return models::bytes_of(*models::precision_from(name)); }

}  // namespace

const ObjectSpec& payload_spec() {
  static const ObjectSpec spec = [] {
    const Field ratio = quantity("ratio", Unit::none, "raw bytes over those of the codec that wrote it")
                            .at_least(1)
                            .by_default("1");
    ObjectSpec s;
    s.name = "payload";
    s.help = "Bytes of an image, sound, tokens, a tensor or a KV cache.";
    s.tag = "kind";
    s.fields = {word("kind", {}, "what it is").needed()};
    s.variants = {
        {"image",
         "pixels, compressed or not",
         {integer("width", "pixels").at_least(1).at_most(1e6).needed(),
          integer("height", "pixels").at_least(1).at_most(1e6).needed(),
          integer("channels", "per pixel").at_least(1).at_most(1000).by_default("3"),
          word("format", formats(), "of a channel").by_default("int8"),
          distribution("count", Unit::none, "images").by_default("1"), ratio}},
        {"audio",
         "sound",
         {distribution("length", Unit::duration, "of the sound").needed(),
          quantity("bitrate", Unit::bandwidth, "of the codec; 16 kHz of 16 bits without one")
              .above(0)
              .by_default("256 kbps")}},
        {"tokens",
         "text or token numbers",
         {distribution("count", Unit::none, "tokens").needed(),
          quantity("bytes", Unit::bytes, "per token: about four characters of English text")
              .by_default("4 B")}},
        {"tensor",
         "numbers",
         {list("shape", integer("", "elements").at_least(1).at_most(1e12), "elements per dimension")
              .at_least(1)
              .needed(),
          word("format", formats(), "of a number").by_default("fp32"), ratio}},
        {"kv-cache",
         "keys and values of a prompt",
         {distribution("count", Unit::none, "tokens").needed(),
          refer("model", Reference::model, "language model").needed(),
          word("format", formats(), "of a number").by_default("bf16")}}};
    for (const Variant& v : s.variants) s.fields[0].choices.push_back(v.value);
    return s;
  }();
  return spec;
}

world::Distribution payload_bytes(Resolution& r, const ObjectView& v) {
  const std::string& kind = v.variant();
  if (kind == "image")
    return times(v.distribution("count", r.problems),
                 v.number("width") * v.number("height") * v.number("channels") *
                     precision_bytes(v.text("format")) / v.number("ratio"));
  if (kind == "audio") return times(v.distribution("length", r.problems), v.number("bitrate"));
  if (kind == "tokens") return times(v.distribution("count", r.problems), v.number("bytes"));
  if (kind == "tensor") {
    double elements = 1;
    for (const double n : v.numbers("shape")) elements *= n;
    if (elements > 1e15)
      r.problems.add(v.at("shape"), v.pointer_to("shape"), "has more than 1e15 elements");
    return world::Distribution::constant(elements * precision_bytes(v.text("format")) /
                                         v.number("ratio"));
  }
  if (!is_language_model(r, v.text("model"))) {
    r.problems.add(v.at("model"), v.pointer_to("model"), "must be a language model");
    return {};
  }
  Value as = object_value(v.at());
  as.members.push_back({"model", v.at(), text_value(v.text("model"), v.at())});
  const ChosenModel m = choose_model(r, ObjectView(&as, variant_choice_spec(), v.pointer(), v.at()));
  return times(v.distribution("count", r.problems),
               m.shape.kv_bytes_per_token(*models::precision_from(v.text("format"))));
}

}  // namespace isthmus::scenarios
