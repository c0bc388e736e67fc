// What a scenario says of model updates: what is sent to which fleet, when, which way, and back
// (docs/updates.md).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::world {

//! Who sends to the devices.
enum class UpdateWay : std::uint8_t {
  direct,  //!< the origin
  cdn,     //!< relays, which the first who asks fills
  peer,    //!< devices of the same zone that have chunks, else the origin
};

//! What a broken download loses.
enum class DownloadLoss : std::uint8_t {
  nothing,  //!< it goes on with the bytes that are left
  chunk,    //!< what has arrived of the chunk that broke
  all,      //!< everything that has arrived
};

//! From `after` the wave before on, the update is for this share of the fleet.
struct UpdateWave {
  double share = 1;                    //!< summed up over the waves so far
  Duration after;
};

//! What devices may have to fetch: bytes on the wire, and s on a core of speed 1 until they are in
//! place.
struct UpdateParcel {
  double bytes = 0;                    //!< 0: there is no such parcel
  double work = 0;
};

//! The update is taken back.
struct UpdateRollback {
  Instant at = Instant::never();       //!< never: by the rule
  double share = 1;                    //!< the rule: `after` so much of the fleet has it
  Duration after;
  bool keeps_previous = true;          //!< in a slot of its own: devices only switch
  Duration switch_time;                //!< without the service meanwhile
};

//! What updates follow each other on: a service that runs on every machine of a group, or whatever
//! else the group has.
struct UpdateLine {
  std::uint32_t group = 0;
  std::uint32_t service = 0xffffffffU;  //!< ~0: none
  std::vector<std::string> versions;    //!< names; version 0 is what was there
};

//! One update of a fleet.
struct ModelUpdate {
  //! Its share of a line.
  struct Target {
    std::uint32_t line = 0;
    std::uint16_t version = 1;         //!< its number there
  };
  enum : std::uint8_t { full, delta, previous };  //!< indices of parcels

  std::string name;
  std::vector<Target> targets;
  std::uint32_t origin = 0;            //!< node group
  std::uint32_t relays = 0;            //!< node group (cdn)
  std::array<UpdateParcel, 3> parcels;
  Instant at;
  std::vector<UpdateWave> waves;       //!< at least one
  Duration poll;                       //!< of devices for news; 0: they are told
  double message = 0;                  //!< bytes of news to a device; 0: it knows at once
  UpdateWay way = UpdateWay::direct;
  DownloadLoss loss = DownloadLoss::nothing;
  std::uint32_t concurrent = 0xffffffffU;        //!< downloads at once from a machine of the origin
  std::uint32_t relay_concurrent = 0xffffffffU;  //!< the same of relays
  std::uint32_t uploads = 4;           //!< at once by a device (peer)
  double rate_cap = 0;                 //!< bytes/s per download; 0: none
  double chunk = 0;                    //!< bytes
  Duration retry, retry_longest;       //!< waits after failures without progress
  Duration install;                    //!< the service runs on
  Duration restart;                    //!< without the service
  double accuracy = -1;                //!< of the new version's answers; below 0: as before
  double speed = 1;                    //!< of the new version, against version 0 (laws)
  std::optional<UpdateRollback> rollback;
};

}  // namespace isthmus::world
