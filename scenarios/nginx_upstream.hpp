// Reads the upstream blocks of nginx configuration files as balancers.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "schedulers/health.hpp"

namespace isthmus::scenarios {

//! An upstream block as routing policy and servers.
struct NginxUpstream {
  std::string name;
  std::string policy = "weighted-round-robin";   //!< of the project
  std::string method = "round robin";            //!< as nginx calls it
  std::vector<std::string> addresses;            //!< of the servers, in order
  std::vector<schedulers::ServerSpec> servers;
  Duration slow_start;                           //!< zero: none
  //! Directives that are read and say nothing about which server gets a request, with the reason.
  std::vector<std::string> without_effect;
};

//! Reads the block called `name` from a configuration file; with "" the only one. Other directives
//! of the file are passed over. Throws InputError "file:line:column: reason" for what nginx would
//! refuse, and for methods and parameters that have no counterpart here.
NginxUpstream read_nginx_upstream(const std::filesystem::path& path, const std::string& name);
//! The same from text; `file` is for messages.
NginxUpstream parse_nginx_upstream(const std::string& text, const std::string& file,
                                   const std::string& name);

}  // namespace isthmus::scenarios
