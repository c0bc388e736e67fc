#include "python/policy_views.hpp"

#include <pybind11/stl.h>

#include <limits>

#include "sim/core/errors.hpp"

namespace py = pybind11;

namespace isthmus::python {

namespace {

// A date or a time of `X`, in seconds.
template <class X, class T>
auto seconds_in(T X::*member) {
  return [member](const X& x) { return seconds_of(x.*member); };
}

// A field of the view in a copy.
template <class Copy, class View, class T>
auto of_view(T View::*member) {
  return [member](const Copy& c) {
    if constexpr (std::is_same_v<T, Instant> || std::is_same_v<T, Duration>) return seconds_of(c.view.*member);
    else return c.view.*member;
  };
}

// The parts of a copy as a list that keeps the copy alive.
template <class Copy, class T>
auto parts_of(std::vector<T> Copy::*member) {
  return [member](py::object self) {
    Copy& copy = self.cast<Copy&>();
    py::list all;
    for (T& part : copy.*member)
      all.append(py::cast(&part, py::return_value_policy::reference_internal, self));
    return all;
  };
}

template <class V>
std::optional<double> optional_seconds(const std::optional<V>& v) {
  return v ? std::optional(seconds_of(*v)) : std::nullopt;
}

void bind_offload(py::module_& m) {
  using C = schedulers::OffloadCandidate;
  py::class_<C>(m, "OffloadCandidate", "What a client may know about one service; estimates, never true times.")
      .def_property_readonly("name", [](const C& c) { return std::string(c.name); })
      .def_property_readonly("tier",
                             [](const C& c) {
                               constexpr const char* names[] = {"device", "edge", "cloud"};
                               return names[static_cast<std::size_t>(c.tier)];
                             })
      .def_readonly("healthy", &C::healthy)
      .def_property_readonly("observed_at", seconds_in(&C::observed_at))
      .def_readonly("load", &C::load)
      .def_readonly("queued", &C::queued)
      .def_readonly("running", &C::running)
      .def_readonly("slots", &C::slots)
      .def_property_readonly("service", seconds_in(&C::service))
      .def_readonly("parallel_speedup", &C::parallel_speedup)
      .def_property_readonly("network", seconds_in(&C::network))
      .def_readonly("client_energy", &C::client_energy)
      .def_readonly("cost", &C::cost)
      .def_readonly("accuracy", &C::accuracy)
      .def_readonly("work", &C::work)
      .def_readonly("speed", &C::speed)
      .def_readonly("uplink", &C::uplink)
      .def_readonly("nominal_uplink", &C::nominal_uplink)
      .def_property_readonly("measured_at", seconds_in(&C::measured_at));
  using V = OffloadViewCopy;
  using S = schedulers::OffloadView;
  py::class_<V>(m, "OffloadView", "One offload decision to take.")
      .def_property_readonly("now", of_view<V>(&S::now))
      .def_property_readonly("request", of_view<V>(&S::request))
      .def_property_readonly("upload", of_view<V>(&S::upload))
      .def_property_readonly("download", of_view<V>(&S::download))
      .def_property_readonly("work", of_view<V>(&S::work))
      .def_property_readonly("slo", of_view<V>(&S::slo))
      .def_property_readonly("uniform", of_view<V>(&S::uniform))
      .def("reward",
           [](const V& v, double latency, double energy, double accuracy) {
             return v.view.reward.of(latency, energy, accuracy);
           },
           py::arg("latency"), py::arg("energy") = 0.0, py::arg("accuracy") = 0.0)
      .def_property_readonly("candidates", parts_of(&V::candidates));
  using O = schedulers::OffloadOutcome;
  py::class_<O>(m, "OffloadOutcome", "How a request ended.")
      .def_readonly("request", &O::request)
      .def_readonly("candidate", &O::candidate)
      .def_readonly("succeeded", &O::succeeded)
      .def_property_readonly("latency", seconds_in(&O::latency))
      .def_readonly("client_energy", &O::client_energy)
      .def_readonly("accuracy", &O::accuracy)
      .def_readonly("reward", &O::reward);
}

void bind_routing(py::module_& m) {
  using R = schedulers::ReplicaSignal;
  py::class_<R>(m, "ReplicaSignal", "What a balancer knows of one replica.")
      .def_readonly("replica", &R::replica)
      .def_readonly("outstanding", &R::outstanding)
      .def_readonly("weight", &R::weight)
      .def_readonly("waiting", &R::waiting)
      .def_readonly("kv_usage", &R::kv_usage)
      .def_readonly("penalty", &R::penalty)
      .def_readonly("zone", &R::zone)
      .def_readonly("priority", &R::priority)
      .def_readonly("healthy", &R::healthy);
  using V = RoutingViewCopy;
  using S = schedulers::RoutingView;
  py::class_<V>(m, "RoutingView", "A request that needs a replica.")
      .def_property_readonly("now", of_view<V>(&S::now))
      .def_property_readonly("session", of_view<V>(&S::session))
      .def_property_readonly("uniform", of_view<V>(&S::uniform))
      .def_property_readonly("signal_age", of_view<V>(&S::signal_age))
      .def_property_readonly("block_tokens", of_view<V>(&S::block_tokens))
      .def_property_readonly("zone", of_view<V>(&S::zone))
      .def_readonly("prefix", &V::prefix)
      .def_property_readonly("replicas", parts_of(&V::replicas));
  using O = schedulers::RoutingOutcome;
  py::class_<O>(m, "RoutingOutcome", "How a request that was routed ended.")
      .def_readonly("replica", &O::replica)
      .def_property_readonly("now", seconds_in(&O::now))
      .def_property_readonly("latency", seconds_in(&O::latency))
      .def_property_readonly("response", seconds_in(&O::response))
      .def_property_readonly("delivery", seconds_in(&O::delivery))
      .def_readonly("succeeded", &O::succeeded);
}

void bind_batching(py::module_& m) {
  using W = schedulers::WaitingRequest;
  py::class_<W>(m, "WaitingRequest", "A request in the queue.")
      .def_property_readonly("since", seconds_in(&W::since))
      .def_property_readonly("due", seconds_in(&W::due))
      .def_property_readonly("timeout", seconds_in(&W::timeout))
      .def_readonly("priority", &W::priority)
      .def_readonly("items", &W::items)
      .def_readonly("shape", &W::shape)
      .def_readonly("moved_back", &W::moved_back);
  using V = BatchingViewCopy;
  using S = schedulers::BatchingView;
  py::class_<V>(m, "BatchingView", "A free slot, and requests that wait.")
      .def_property_readonly("now", of_view<V>(&S::now))
      .def_property_readonly("waiting", of_view<V>(&S::waiting))
      .def_property_readonly("oldest", of_view<V>(&S::oldest))
      .def_property_readonly("idle_slots", of_view<V>(&S::idle_slots))
      .def_property_readonly("requests", parts_of(&V::requests))
      .def(
          "batch_time",
          [](const V& v, std::uint32_t size) {
            if (!v.batch_time)
              throw InputError("batch_time: only during the decision, for policies with wants_batch_time = True");
            return seconds_of(v.batch_time(size));
          },
          py::arg("size"));
  using O = schedulers::BatchOutcome;
  py::class_<O>(m, "BatchOutcome", "What became of a batch.")
      .def_readonly("size", &O::size)
      .def_property_readonly("took", seconds_in(&O::took));
}

void bind_scaling_and_admission(py::module_& m) {
  using R = schedulers::ReplicaSample;
  py::class_<R>(m, "ReplicaSample", "The last scraped sample of one replica; None where it is missing.")
      .def_readonly("ready", &R::ready)
      .def_property_readonly("age", seconds_in(&R::age))
      .def_readonly("utilization", &R::utilization)
      .def_readonly("in_flight", &R::in_flight)
      .def_property_readonly("since_transition",
                             [](const R& r) { return optional_seconds(r.since_transition); });
  using M = ServiceMetricsCopy;
  using N = schedulers::ServiceMetrics;
  py::class_<M>(m, "ServiceMetrics", "What a service was seen to do between two scrapes.")
      .def_property_readonly("observed_at", of_view<M>(&N::observed_at))
      .def_property_readonly("window", of_view<M>(&N::window))
      .def_property_readonly("arrivals", of_view<M>(&N::arrivals))
      .def_property_readonly("completed", of_view<M>(&N::completed))
      .def_property_readonly("failed", of_view<M>(&N::failed))
      .def_property_readonly("rate", [](const M& c) { return c.view.rate(); })
      .def_property_readonly("concurrency", of_view<M>(&N::concurrency))
      .def_property_readonly("queue_length", of_view<M>(&N::queue_length))
      .def_property_readonly("in_flight", of_view<M>(&N::in_flight))
      .def_property_readonly("utilization", of_view<M>(&N::utilization))
      .def_property_readonly("ready", of_view<M>(&N::ready))
      .def_property_readonly("mean_latency", of_view<M>(&N::mean_latency))
      .def_readonly("latencies", &M::latencies)
      .def_readonly("external", &M::external);
  using V = AutoscalingViewCopy;
  using S = schedulers::AutoscalingView;
  py::class_<V>(m, "AutoscalingView", "Scraped, delayed samples of a service.")
      .def_property_readonly("now", of_view<V>(&S::now))
      .def_property_readonly("observed_at", of_view<V>(&S::observed_at))
      .def_property_readonly("current", of_view<V>(&S::current))
      .def_property_readonly("waiting", of_view<V>(&S::waiting))
      .def_property_readonly("woken", of_view<V>(&S::woken))
      .def_property_readonly("alerts", of_view<V>(&S::alerts))
      .def_property_readonly("samples", parts_of(&V::samples))
      .def_property_readonly("replicas", parts_of(&V::replicas));
  using A = schedulers::AdmissionView;
  py::class_<A>(m, "AdmissionView", "A request at the front of a service.")
      .def_property_readonly("now", seconds_in(&A::now))
      .def_readonly("tokens", &A::tokens)
      .def_readonly("priority", &A::priority)
      .def_property_readonly("deadline", seconds_in(&A::deadline))
      .def_readonly("waiting", &A::waiting)
      .def_readonly("running", &A::running)
      .def_readonly("slots", &A::slots)
      .def_property_readonly("service", seconds_in(&A::service));
  using E = schedulers::AdmissionEnd;
  py::class_<E>(m, "AdmissionEnd", "An admitted request has left the service.")
      .def_property_readonly("now", seconds_in(&E::now))
      .def_property_readonly("time", seconds_in(&E::time))
      .def_readonly("in_flight", &E::in_flight)
      .def_readonly("answered", &E::answered);
}

void bind_devices(py::module_& m) {
  using O = schedulers::VariantOption;
  py::class_<O>(m, "VariantOption", "One variant of a model, by its cost model.")
      .def_property_readonly("name", [](const O& o) { return std::string(o.name); })
      .def_property_readonly("service", seconds_in(&O::service))
      .def_readonly("energy", &O::energy)
      .def_readonly("accuracy", &O::accuracy)
      .def_readonly("weight_bytes", &O::weight_bytes);
  using V = VariantViewCopy;
  using S = schedulers::VariantView;
  py::class_<V>(m, "VariantView", "A request whose batch is formed.")
      .def_property_readonly("now", of_view<V>(&S::now))
      .def_property_readonly("created", of_view<V>(&S::created))
      .def_property_readonly("deadline", of_view<V>(&S::deadline))
      .def_property_readonly("waiting", of_view<V>(&S::waiting))
      .def_property_readonly("slots", of_view<V>(&S::slots))
      .def_property_readonly("battery", of_view<V>(&S::battery))
      .def_property_readonly("alerts", of_view<V>(&S::alerts))
      .def_property_readonly("priority", of_view<V>(&S::priority))
      .def_property_readonly("over_quota", of_view<V>(&S::over_quota))
      .def_property_readonly("options", parts_of(&V::options));
  using G = GovernorViewCopy;
  using T = schedulers::GovernorView;
  py::class_<G>(m, "GovernorView", "What a frequency governor knows about its unit.")
      .def_property_readonly("now", of_view<G>(&T::now))
      .def_property_readonly("since", of_view<G>(&T::since))
      .def_readonly("frequencies", &G::frequencies)
      .def_property_readonly("current", of_view<G>(&T::current))
      .def_property_readonly("busy", of_view<G>(&T::busy))
      .def_property_readonly("busy_now", of_view<G>(&T::busy_now))
      .def_property_readonly("pending", of_view<G>(&T::pending))
      .def_property_readonly("deadline", of_view<G>(&T::deadline))
      .def_property_readonly("battery", of_view<G>(&T::battery));
  using R = schedulers::ResidentModel;
  py::class_<R>(m, "ResidentModel", "A model in the memory of a machine.")
      .def_readonly("model", &R::model)
      .def_readonly("bytes", &R::bytes)
      .def_readonly("load", &R::load)
      .def_readonly("priority", &R::priority)
      .def_property_readonly("loaded", seconds_in(&R::loaded))
      .def_property_readonly("last_used", seconds_in(&R::last_used))
      .def_readonly("uses", &R::uses);
}

void bind_placement(py::module_& m) {
  using D = schedulers::PlacementDemand;
  py::class_<D>(m, "PlacementDemand", "What a replica takes of a machine.")
      .def_readonly("accelerators", &D::accelerators)
      .def_readonly("memory", &D::memory);
  using S = schedulers::PlacementSite;
  py::class_<S>(m, "PlacementSite", "A machine that may take the replica and has room for it.")
      .def_readonly("node", &S::node)
      .def_readonly("accelerators", &S::accelerators)
      .def_readonly("free_accelerators", &S::free_accelerators)
      .def_readonly("memory", &S::memory)
      .def_readonly("free_memory", &S::free_memory)
      .def_readonly("price", &S::price)
      .def_readonly("replica_price", &S::replica_price)
      .def_readonly("replicas", &S::replicas)
      .def_readonly("own", &S::own);
  using V = PlacementViewCopy;
  py::class_<V>(m, "PlacementView", "A replica that needs a machine.")
      .def_property_readonly("demand", of_view<V>(&schedulers::PlacementView::demand))
      .def_property_readonly("uniform", of_view<V>(&schedulers::PlacementView::uniform))
      .def_property_readonly("sites", parts_of(&V::sites));
}

void bind_graphs(py::module_& m) {
  using E = schedulers::TaskEdge;
  py::class_<E>(m, "TaskEdge", "A dependency between tasks and the data that cross it.")
      .def_readonly("from_", &E::from)
      .def_readonly("to", &E::to)
      .def_readonly("data", &E::data);
  using B = schedulers::BusyInterval;
  py::class_<B>(m, "BusyInterval").def_readonly("start", &B::start).def_readonly("end", &B::end);
  using G = schedulers::TaskGraph;
  py::class_<G>(m, "TaskGraph", "Tasks, processors and times; cost[task * processors + processor].")
      .def_readonly("tasks", &G::tasks)
      .def_readonly("processors", &G::processors)
      .def_readonly("cost", &G::cost)
      .def_readonly("edges", &G::edges)
      .def_readonly("transfer", &G::transfer)
      .def_readonly("latency", &G::latency)
      .def_readonly("memory", &G::memory)
      .def_readonly("memory_capacity", &G::memory_capacity)
      .def_readonly("busy", &G::busy)
      .def_readonly("release", &G::release);
  using P = schedulers::PartitionProblem;
  py::class_<P>(m, "PartitionProblem", "A graph and tiers from the client outwards; seconds[task * tiers + tier].")
      .def_readonly("tasks", &P::tasks)
      .def_readonly("tiers", &P::tiers)
      .def_readonly("seconds", &P::seconds)
      .def_readonly("edges", &P::edges)
      .def_readonly("output_bytes", &P::output_bytes)
      .def_readonly("bandwidth", &P::bandwidth)
      .def_readonly("latency", &P::latency)
      .def_readonly("down_bandwidth", &P::down_bandwidth)
      .def_readonly("result_bytes", &P::result_bytes)
      .def_readonly("pinned", &P::pinned)
      .def_readonly("slowdown", &P::slowdown)
      .def_readonly("watts", &P::watts)
      .def_readonly("transfer_watts", &P::transfer_watts)
      .def_readonly("price", &P::price)
      .def("objective",
           [](const P& p, std::vector<std::uint32_t> tier) {
             return schedulers::evaluate(p, std::move(tier)).objective;
           },
           py::arg("tier"), "Weighted sum of a placement, one tier per task.");
}

}  // namespace

double seconds_of(Instant t) { return t.is_never() ? std::numeric_limits<double>::infinity() : t.seconds(); }
double seconds_of(Duration d) {
  return d == Duration::max() ? std::numeric_limits<double>::infinity() : d.seconds();
}

ServiceMetricsCopy::ServiceMetricsCopy(const schedulers::ServiceMetrics& m)
    : view(m), latencies(copy_of(m.latencies)) {
  for (const auto& [name, value] : m.external) external.emplace(name, value);
}

OffloadViewCopy::OffloadViewCopy(const schedulers::OffloadView& v) : view(v), candidates(copy_of(v.candidates)) {
  names.reserve(candidates.size());
  for (auto& c : candidates) c.name = names.emplace_back(c.name);
}

VariantViewCopy::VariantViewCopy(const schedulers::VariantView& v) : view(v), options(copy_of(v.options)) {
  names.reserve(options.size());
  for (auto& o : options) o.name = names.emplace_back(o.name);
}

void bind_policy_views(py::module_& m) {
  bind_offload(m);
  bind_routing(m);
  bind_batching(m);
  bind_scaling_and_admission(m);
  bind_devices(m);
  bind_placement(m);
  bind_graphs(m);
}

}  // namespace isthmus::python
