// isthmus upstream: what an nginx configuration file says about balancing, in the scenario's words.
#include <fmt/core.h>

#include "scenarios/cli.hpp"
#include "scenarios/nginx_upstream.hpp"

namespace isthmus::scenarios {

int command_upstream(const std::string& file, const std::string& name) {
  const NginxUpstream u = read_nginx_upstream(file, name);
  fmt::print("// {}: upstream \"{}\", {}\n", file, u.name, u.method);
  for (const std::string& note : u.without_effect) fmt::print("// without effect here: {}\n", note);
  fmt::print("\"routing\": \"{}\",\n\"balancer\": {{\n  \"next_tries\": {},\n", u.policy, u.servers.size());
  if (u.slow_start > Duration::zero())
    fmt::print("  \"slow_start\": {{\"window\": \"{} s\", \"least\": 0}},\n", u.slow_start.seconds());
  fmt::print("  \"servers\": [\n");
  for (std::size_t i = 0; i < u.servers.size(); ++i) {
    const schedulers::ServerSpec& s = u.servers[i];
    std::string more;
    if (s.max_conns > 0) more += fmt::format(", \"max_conns\": {}", s.max_conns);
    if (s.backup) more += ", \"backup\": true";
    if (s.down) more += ", \"down\": true";
    fmt::print("    {{\"weight\": {}, \"max_fails\": {}, \"fail_timeout\": \"{} s\"{}}}{}  // {}\n", s.weight,
               s.max_fails, s.fail_timeout.seconds(), more, i + 1 < u.servers.size() ? "," : "",
               u.addresses[i]);
  }
  fmt::print("  ]\n}}\n");
  return 0;
}

}  // namespace isthmus::scenarios
