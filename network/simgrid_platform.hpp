// The SimGrid side of a topology: engine, hosts, links and the zone that asks our Router for
// routes. Internal to the SimGrid backend; only its two sources include SimGrid headers.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "network/links.hpp"
#include "network/network.hpp"
#include "network/routes.hpp"

namespace simgrid::s4u {
class Host;
class Link;
class Engine;
class NetZone;
}  // namespace simgrid::s4u
namespace simgrid::kernel::resource {
class Model;
}

namespace isthmus::network {

//! Owns nothing that SimGrid can destroy: the engine lives until the process ends.
class SimGridPlatform {
 public:
  //! Starts SimGrid and builds or loads the platform. At most once per process (Error).
  SimGridPlatform(const Topology& topology, const FlowModel& model,
                  const std::vector<std::string>& options);
  SimGridPlatform(const SimGridPlatform&) = delete;
  SimGridPlatform& operator=(const SimGridPlatform&) = delete;

  simgrid::s4u::Engine& engine() { return *engine_; }
  simgrid::kernel::resource::Model& model() { return *model_; }
  simgrid::s4u::Host* host(std::uint32_t h) const { return hosts_[h]; }
  std::size_t host_count() const { return hosts_.size(); }
  //! Present state of all links; those of a platform file are numbered by name.
  LinkTable& links() { return *table_; }
  const LinkTable& links() const { return *table_; }
  ChangeStream& changes() { return *changes_; }
  //! Links crossed from one host to another, appended; InputError when there is no route. Returns the
  //! latency of the path that no link has: platform files may place hosts by coordinates (Vivaldi).
  Duration append_path(std::uint32_t from, std::uint32_t to, std::vector<LinkUse>& out) const;
  //! Not for platform files (InputError).
  void set_access(std::uint32_t host, std::size_t place, LinkId link);
  //! Puts a change of links() into force in SimGrid too.
  void apply(LinkId link, const LinkChange& change);
  //! Bytes (and bytes/s) that SimGrid counts as one.
  double unit() const { return unit_; }
  //! What SimGrid's sharing penalties are to be multiplied by, all alike.
  double penalty_unit() const { return penalty_unit_; }
  //! Whether SimGrid itself pays latencies and computes weights and bounds.
  bool native() const { return native_; }

 private:
  void configure(const FlowModel& model, const std::vector<std::string>& options);
  void build(const Topology& topology);
  void build_cells(const Topology& topology, simgrid::s4u::NetZone* root);
  void load(const Topology& topology);

  bool native_ = false;
  double unit_ = 1, penalty_unit_ = 1;
  simgrid::s4u::Engine* engine_ = nullptr;
  simgrid::kernel::resource::Model* model_ = nullptr;
  std::vector<simgrid::s4u::Host*> hosts_;
  std::vector<simgrid::s4u::Link*> resources_;  // by ResourceIndex; may hold nullptr
  std::unordered_map<const simgrid::s4u::Link*, std::uint32_t> link_ids_;  // platform files only
  std::unique_ptr<Router> router_;  // null for platform files
  std::unique_ptr<LinkTable> table_;
  std::unique_ptr<ChangeStream> changes_;
};

}  // namespace isthmus::network
