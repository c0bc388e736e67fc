// What a scenario says of accelerators that several replicas stand on.
#pragma once

#include <cstdint>

namespace isthmus::world {

//! How the replicas on one accelerator share it. Memory is not divided: what all of them need must fit.
struct AcceleratorSharing {
  enum class Kind : std::uint8_t {
    time_slicing,  //!< in turns, each time the whole of it
    mps,           //!< at the same time, each a part of it
  };
  Kind kind = Kind::time_slicing;
  std::uint32_t replicas = 2;          //!< of services, at most, on one accelerator
  double slice = 2e-3, context_switch = 0;  //!< s, of time slicing
};

//! What a replica wants of an accelerator that it shares.
struct SharedUse {
  double memory = 0;                   //!< bytes
  double cap = 1;                      //!< share of it that it may use at most (MPS)
  double fills = 1;                    //!< share of it that its kernels can use (MPS)
};

}  // namespace isthmus::world
