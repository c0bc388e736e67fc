// A scenario that uses much of the language; tests change single places of it.
#pragma once

#include <string>

namespace isthmus::scenarios::testing {

//! Line numbers matter to tests: line 1 is the opening brace.
inline const std::string sample = R"({
  "isthmus": 1,
  "name": "sample",
  "seed": 7,
  "duration": "30 min",
  "warmup": "2 min",
  "nodes": {
    "phone": {"device": "snapdragon-8-gen3", "count": 20, "zone": "field"},
    "cloud": {"device": "nvidia-a100-80g", "count": 8, "zone": ["az1", "az2"]}
  },
  "network": {
    "model": "fluid",
    "links": {
      "5g": {"bandwidth": "80 Mbps", "latency": "18 ms"},
      "wan": {"bandwidth": "1 Gbps", "latency": "5 ms"}
    },
    "access": {"phone": ["5g"]},
    "routes": [{"from": "field", "to": ["az1", "az2"], "links": ["wan"]}]
  },
  "services": {
    "local": {"model": "qwen2-vl-2b", "variant": "int4", "on": "phone"},
    "cloud": {"model": "autoglm-phone-9b", "on": "cloud", "replicas": 4,
              "batching": {"policy": "continuous", "max_batch": 64}}
  },
  "workload": [
    {"source": "poisson", "rate": "2 /s", "target": "offload",
     "request": {"prompt_tokens": 500, "output_tokens": 80, "upload": "1.2 MB"}}
  ],
  "offload": {"policy": "score", "alpha": 0.6, "candidates": ["local", "cloud"], "fallback": "cloud"},
  "slo": [{"metric": "latency", "percentile": 95, "target": "8 s"}]
})";

//! `sample` with the first occurrence of `what` replaced.
inline std::string changed(const std::string& what, const std::string& by) {
  std::string text = sample;
  text.replace(text.find(what), what.size(), by);
  return text;
}

}  // namespace isthmus::scenarios::testing
