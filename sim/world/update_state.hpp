// The state of model updates in a run: machines of fleets, who sends, what is under way.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "results/records.hpp"
#include "sim/core/ids.hpp"
#include "sim/core/time.hpp"
#include "sim/world/update_spec.hpp"

namespace isthmus::world {

//! What a machine of a fleet does about its update.
enum class UpdateStage : std::uint8_t {
  settled,     //!< nothing
  polling,     //!< until its next poll
  asking,      //!< news are on their way
  queued,      //!< until a sender has room
  loading,
  backing_off, //!< after a failure
  installing,  //!< decoding, checking, writing
  restarting,  //!< the same without its service, and switching back
  down,        //!< its node is
};

//! A machine on a line.
struct UpdateDevice {
  static constexpr std::uint32_t none = 0xffffffffU;
  std::uint32_t node = 0, line = 0;
  std::uint16_t version = 0;           //!< that serves
  std::uint16_t previous = 0;          //!< before it
  UpdateStage stage = UpdateStage::settled;
  std::uint8_t parcel = 0;             //!< that it fetches, or has fetched
  std::uint8_t failures = 0;           //!< since something arrived
  bool back = false;                   //!< the update is taken back
  bool told = false;                   //!< it knows of the update, or that it is taken back
  bool has_chunks = false;             //!< in its swarm (peer)
  bool stopped = false;                //!< its service, by the update
  std::uint32_t update = none;         //!< the newest that it is concerned with
  std::uint32_t serial = 0;            //!< of its stage: tells what is stale
  std::uint32_t transfer = none;       //!< slot
  std::uint32_t uploads = none;        //!< first transfer from it
  std::uint32_t uploading = 0;
  std::uint32_t open_place = none;     //!< among the open ones of its swarm
  std::uint32_t chunk = none;          //!< that it fetches (peer)
  double received = 0;                 //!< bytes of the parcel, without those of a broken chunk (peer)
  double partial = 0;                  //!< bytes of that chunk
};

//! Something that waits for a sender; stale when the serial has moved on.
struct UpdateTicket {
  std::uint32_t device = 0, serial = 0;
};

//! A machine that sends: of the origin, or a relay.
struct UpdateSender {
  std::uint32_t node = 0;
  std::uint32_t active = 0, limit = 0xffffffffU;
  std::uint32_t transfers = UpdateDevice::none;  //!< first of them
  std::deque<UpdateTicket> waiting;
  //! What a relay has of a parcel.
  struct Holding {
    double bytes = 0;                  //!< from the start
    bool filling = false;
    std::uint8_t failures = 0;
    std::uint32_t transfer = UpdateDevice::none;  //!< to it
    std::vector<UpdateTicket> waiting; //!< for the next chunk
  };
  std::vector<Holding> holdings;       //!< by parcel
};

//! Devices of a zone that share a parcel.
struct UpdateSwarm {
  std::vector<std::uint32_t> holders;  //!< of each chunk
  std::vector<std::uint32_t> open;     //!< devices that have chunks and room for an upload
  std::deque<UpdateTicket> waiting;
};

enum class UpdateCargo : std::uint8_t { message, parcel, fill };
enum class UpdateSource : std::uint8_t { origin, relay, peer };

//! Bytes on their way.
struct UpdateTransfer {
  std::uint32_t generation = 0;
  bool live = false;
  bool orphan = false;                 //!< its device wants it no more
  UpdateCargo cargo = UpdateCargo::parcel;
  UpdateSource source = UpdateSource::origin;
  std::uint8_t parcel = 0;
  std::uint32_t update = 0;
  std::uint32_t to = 0;                //!< device; relay of a fill
  std::uint32_t from = 0;              //!< origin or relay of the update, or device
  std::uint32_t next = UpdateDevice::none, before = UpdateDevice::none;  //!< of its sender
  double bytes = 0, left = 0;
  FlowId flow;
};

//! An update under way.
struct UpdateState {
  std::vector<std::uint32_t> order;    //!< devices of the fleet, by wave
  std::vector<std::uint32_t> offsets;  //!< number in the fleet of the first device of each target
  std::vector<UpdateSender> origins, relays;
  std::map<std::uint32_t, std::vector<std::uint32_t>> relays_of_zone;
  std::vector<std::vector<UpdateSwarm>> swarms;          //!< by parcel and zone (peer)
  std::vector<std::vector<std::uint64_t>> chunks;        //!< by parcel: bits of each device
  std::uint32_t applied = 0, back = 0, affected = 0;     //!< devices; affected: to be taken back
  bool recalled = false, rule_met = false;
  Instant recalled_at;
  results::UpdateTotals totals;
};

//! A line in a run.
struct UpdateLineState {
  std::uint32_t first = 0, count = 0;  //!< devices
  std::uint16_t cloud = 0;             //!< version in the cloud
  std::vector<std::uint64_t> answers;  //!< by version
  std::vector<std::uint32_t> updates;  //!< by version; ~0: none
  std::uint64_t skewed = 0;
};

//! All updates of a run.
struct Updates {
  std::vector<UpdateDevice> devices;
  std::vector<UpdateLineState> lines;
  std::vector<UpdateState> states;     //!< of the scenario's updates
  std::vector<UpdateTransfer> transfers;
  std::vector<std::uint32_t> free_transfers;
  std::vector<std::uint32_t> line_of_service;  //!< ~0: none
};

//! Targets of EventKind::update_step.
enum UpdateEvent : std::uint32_t { device_step, release_begins, wave_begins, recall_begins, relay_retries };

}  // namespace isthmus::world
