// Tenants, rules of admission, and orders of queues.
#include <fmt/core.h>

#include "scenarios/model_choice.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"

namespace isthmus::scenarios {

std::vector<world::AdmissionRule> read_admission(Resolution& r, const ObjectView& owner) {
  std::vector<world::AdmissionRule> rules;
  if (!owner.has("admission")) return rules;
  const Value& list = *owner.find("admission");
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const Value& written = list.items[i];
    const std::string pointer = child(owner.pointer_to("admission"), i);
    Value as = written;
    if (written.is(JsonKind::text)) {
      as = object_value(written.at);
      as.members.push_back({"policy", written.at, written});
    }
    const ObjectView v(&as, admission_spec(), pointer, written.at);
    world::AdmissionRule rule;
    rule.policy = &schedulers::find_entry(schedulers::admission_policies(), v.variant());
    rule.parameters = parameters_of(*rule.policy, v);
    try {
      rule.policy->make(*rule.parameters);
    } catch (const InputError& e) {
      r.problems.add(written.at, pointer, e.what());
    }
    rule.per_tenant = v.text("per") == "tenant";
    rule.retry_after = v.flag("retry_after");
    rule.degrades = v.text("otherwise") == "degrade";
    if (rule.degrades && rule.retry_after)
      r.problems.add(v.at("retry_after"), v.pointer_to("retry_after"),
                     "nobody is turned away with \"otherwise\": \"degrade\"");
    if (v.has("tenants")) {
      rule.tenants.resize(r.tenants.size());
      for (const std::string& name : v.texts("tenants")) rule.tenants[r.tenants.at(name)] = true;
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

void resolve_tenants(Resolution& r, const ObjectView& root) {
  const Value* written = root.find("tenants");
  if (!written) return;
  // Names first: rules may be about other tenants.
  for (const Member& m : written->members)
    r.tenants.emplace(m.key, static_cast<std::uint32_t>(r.tenants.size()));
  for (const Member& m : written->members) {
    const ObjectView v(&m.value, tenant_spec(), child("/tenants", m.key), m.at);
    world::Tenant t;
    t.name = m.key;
    t.weight = v.number("weight");
    t.priority = static_cast<std::int32_t>(v.number("priority"));
    t.admission = read_admission(r, v);
    r.scenario.tenants.push_back(std::move(t));
  }
}

void read_front(Resolution& r, const ObjectView& s, world::Service& out) {
  out.admission = read_admission(r, s);
  const auto refuse = [&](const ObjectView& v, const char* field, const std::string& why) {
    r.problems.add(v.at(field), v.pointer_to(field), why);
  };
  if (!out.admission.empty() && out.local)
    refuse(s, "admission", "every machine serves its own clients; give its queue a capacity instead");
  if (!out.admission.empty() && s.has("split"))
    refuse(s, "admission", "requests to it begin on the client's machine, before they are at its front");
  const ObjectView queue = s.object("queue");
  const std::string order = queue.text("order");
  out.queue_order = order == "priority" ? world::LineOrder::priority
                    : order == "fair"   ? world::LineOrder::fair
                    : order == "deadline" ? world::LineOrder::deadline
                                          : world::LineOrder::arrival;
  out.preemption = queue.flag("preemption");
  if (out.queue_order != world::LineOrder::arrival) {
    if (s.has("model") && is_language_model(r, s.text("model")))
      refuse(queue, "order", "engines of language models have an order of their own: batching.order");
    else if (s.has("batching"))
      refuse(queue, "order", "batching policies take requests in order of arrival; leave \"batching\" out");
    else if (s.has("units"))
      refuse(queue, "order", "graphs over several units have a \"priority\" of the service");
  }
  if (!out.preemption) return;
  if (out.queue_order != world::LineOrder::priority && out.queue_order != world::LineOrder::deadline)
    refuse(queue, "preemption", "needs \"order\": \"priority\" or \"deadline\", which say who comes first");
  else if (r.scenario.nodes[out.group].physics)
    refuse(queue, "preemption", "work on machines with clocks, heat or a battery is not stopped");
  else if (r.scenario.nodes[out.group].model_cache)
    refuse(queue, "preemption", "work that shares the memory of models is not stopped");
}

}  // namespace isthmus::scenarios
