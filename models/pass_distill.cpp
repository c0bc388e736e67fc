#include "models/pass_distill.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "models/pass_edit.hpp"
#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

constexpr std::string_view exits_module = "exits";  // numbers its heads, which are no layers

// The number that all of `text` is.
std::optional<std::size_t> number_of(std::string_view text) {
  std::size_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// "encoder.layer.3.attention" -> {"encoder.layer", 3}: the outermost number, or the one behind
// `layers`.
struct Place {
  std::string stack;
  std::size_t layer = 0;
};
std::optional<Place> place_of(std::string_view module, std::string_view layers) {
  for (std::size_t begin = 0; begin < module.size();) {
    const std::size_t end = std::min(module.find('.', begin), module.size());
    const std::string_view stack = module.substr(0, begin == 0 ? 0 : begin - 1);
    const auto number = number_of(module.substr(begin, end - begin));
    if (number && (layers.empty() ? stack != exits_module : stack == layers))
      return Place{std::string(stack), *number};
    begin = end + 1;
  }
  return std::nullopt;
}

using Layers = std::map<std::size_t, std::vector<std::size_t>>;  // operators by layer

// Whether `v` needs any of `others`.
bool depends_on(const GraphEdit& edit, std::size_t v, const std::set<std::size_t>& others) {
  std::set<std::size_t> seen;
  std::vector<std::size_t> open{v};
  while (!open.empty()) {
    const std::size_t u = open.back();
    open.pop_back();
    if (others.contains(u)) return true;
    if (seen.insert(u).second)
      open.insert(open.end(), edit.inputs(u).begin(), edit.inputs(u).end());
  }
  return false;
}

// Takes one layer out of `edit`. Returns the tensor that takes the place of the layer's.
std::size_t skip_layer(GraphEdit& edit, const std::map<std::size_t, Place>& places,
                       const std::vector<std::size_t>& layer, const std::string& where) {
  const std::set<std::size_t> inside(layer.begin(), layer.end());
  const Place& here = places.at(layer.front());
  const auto refuse = [&](const std::string& why) {
    throw InputError(fmt::format("{}: layer {}{}{} cannot be left out: {}", where, here.stack,
                                 here.stack.empty() ? "" : ".", here.layer, why));
  };
  std::set<std::size_t> outputs, inputs, streams;
  for (const std::size_t v : layer) {
    const auto& readers = edit.readers(v);
    if (readers.empty() || std::any_of(readers.begin(), readers.end(),
                                       [&](std::size_t r) { return !inside.contains(r); }))
      outputs.insert(v);
    for (const std::size_t p : edit.inputs(v))
      if (!inside.contains(p)) inputs.insert(p);
  }
  // Dead ends inside a layer, such as a router's choices, go with it.
  std::set<Shape> read;
  for (const std::size_t v : outputs)
    if (!edit.readers(v).empty()) read.insert(edit.at(v).output);
  if (!read.empty())
    std::erase_if(outputs, [&](std::size_t v) {
      return edit.readers(v).empty() && !read.contains(edit.at(v).output);
    });
  if (outputs.size() != 1) refuse(fmt::format("{} tensors leave it, not one", outputs.size()));
  const std::size_t out = *outputs.begin();
  for (const std::size_t p : inputs)
    if (edit.at(p).output == edit.at(out).output) streams.insert(p);
  // What comes from an earlier layer is the stream; tables and masks come from outside the stack.
  std::set<std::size_t> earlier;
  for (const std::size_t p : streams)
    if (const auto it = places.find(p); it != places.end() && it->second.stack == here.stack)
      earlier.insert(p);
  if (!earlier.empty()) streams = earlier;
  if (streams.empty())
    refuse(fmt::format("it changes the shape of its tensor to {}", to_string(edit.at(out).output)));
  if (streams.size() > 1)
    refuse(fmt::format("it reads {} tensors of the shape of its output", streams.size()));
  if (depends_on(edit, *streams.begin(), inside)) refuse("it is interwoven with other operators");
  edit.redirect(out, *streams.begin());
  auto order = edit.order();
  std::reverse(order.begin(), order.end());
  for (const std::size_t v : order)
    if (inside.contains(v)) edit.remove(v);
  return *streams.begin();
}

}  // namespace

ModelVersion distill(ModelVersion version, const DistillOptions& options) {
  version.graph.validate();
  const OperatorGraph& graph = version.graph;
  if (options.keep.empty() && options.keep_every < 2)
    throw InputError(
        fmt::format("{}: \"keep_every\" is 2 or more, not {}", options.where, options.keep_every));

  // The stacks of layers.
  std::map<std::string, Layers> stacks;
  std::map<std::size_t, Place> places;
  std::set<std::string> numbered;
  for (std::size_t v = 0; v < graph.size(); ++v) {
    if (const auto outermost = place_of(graph.at(v).module, "")) numbered.insert(outermost->stack);
    const auto place = place_of(graph.at(v).module, options.layers);
    if (!place) continue;
    stacks[place->stack][place->layer].push_back(v);
    places[v] = *place;
  }
  if (options.layers.empty())
    std::erase_if(stacks, [](const auto& s) { return s.second.size() < 2; });
  if (stacks.empty()) {
    const std::vector<std::string> known(numbered.begin(), numbered.end());
    const std::string near = options.layers.empty() ? "" : did_you_mean(options.layers, known);
    throw InputError(fmt::format("{}: no modules of '{}' are numbered like \"{}.0\", \"{}.1\"{}",
                                 options.where, graph.name(),
                                 options.layers.empty() ? "layers" : options.layers,
                                 options.layers.empty() ? "layers" : options.layers,
                                 near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
  }

  // Which go.
  const auto stays = [&](std::size_t layer) {
    return options.keep.empty()
               ? layer % options.keep_every == 0
               : std::find(options.keep.begin(), options.keep.end(), layer) != options.keep.end();
  };
  for (const auto& [stack, layers] : stacks)
    for (const std::size_t k : options.keep)
      if (!layers.contains(k))
        throw InputError(fmt::format("{}/keep: \"{}\" has no layer {}; there are {} from {} to {}",
                                     options.where, stack, k, layers.size(), layers.begin()->first,
                                     layers.rbegin()->first));
  std::set<std::size_t> gone;
  for (const auto& [stack, layers] : stacks)
    for (const auto& [number, operators] : layers)
      if (!stays(number)) gone.insert(operators.begin(), operators.end());
  for (const ExitPoint& exit : version.exits)
    if (gone.contains(find_operator(graph, exit.after)))
      throw InputError(
          fmt::format("{}: the exit after '{}' would lose its place; distill before adding exits",
                      options.where, exit.after));

  const auto before = graph.totals();
  GraphEdit edit(graph);
  std::set<std::size_t> producers, streams;
  std::vector<std::string> parts;
  for (const auto& [stack, layers] : stacks) {
    std::size_t left = 0;
    for (const auto& [number, operators] : layers) {
      if (stays(number)) {
        ++left;
        continue;
      }
      for (const std::size_t v : operators)
        producers.insert(edit.inputs(v).begin(), edit.inputs(v).end());
      streams.insert(skip_layer(edit, places, operators, options.where));
    }
    parts.push_back(fmt::format("{} of {} layers of \"{}\" stay", left, layers.size(), stack));
  }
  if (gone.empty()) throw InputError(options.where + ": every layer stays");
  // Tables and masks that nothing reads any more.
  while (!producers.empty()) {
    const std::size_t v = *producers.begin();
    producers.erase(producers.begin());
    if (!edit.alive(v) || streams.contains(v) || !edit.readers(v).empty()) continue;
    producers.insert(edit.inputs(v).begin(), edit.inputs(v).end());
    edit.remove(v);
  }

  const std::string name = graph.name();
  version.graph = edit.build(name);
  replace_accuracy(version, options.accuracy, options.where);
  const auto after = version.graph.totals();
  DistilledFrom relation{name, before.params > 0 ? after.params / before.params : 1,
                         before.flops > 0 ? after.flops / before.flops : 1};
  if (version.distilled) {
    relation.teacher = version.distilled->teacher;
    relation.params_ratio *= version.distilled->params_ratio;
    relation.flops_ratio *= version.distilled->flops_ratio;
  }
  version.distilled = relation;
  version.history.push_back(fmt::format("distill: {}; operators {} -> {}, parameters {} -> {}",
                                        fmt::join(parts, ", "), before.operators, after.operators,
                                        before.params, after.params));
  return version;
}

std::span<const Distillation> published_distillations() {
  static constexpr std::array pairs{
      Distillation{"bert-base", "distilbert", 110e6, 66e6, "GLUE dev, macro average", 0.795, 0.770,
                   "Sanh et al. 2019, arXiv:1910.01108, tables 1 and 3"},
      Distillation{"bert-base", "tinybert-4", 109e6, 14.5e6, "GLUE test, average", 0.795, 0.770,
                   "Jiao et al. 2020, arXiv:1909.10351, table 1"},
  };
  return pairs;
}

}  // namespace isthmus::models
