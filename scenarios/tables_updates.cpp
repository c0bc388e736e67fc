#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& wave_spec() {
  static const ObjectSpec spec{
      "wave",
      "A part of a fleet that an update reaches together. Who belongs to it is drawn.",
      {quantity("share", Unit::fraction, "of the fleet, with all waves before it")
           .above(0)
           .at_most(1)
           .needed(),
       quantity("after", Unit::duration, "pause since the start of the wave before (since \"at\")")
           .by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& delta_spec() {
  static const ObjectSpec spec{
      "delta",
      "What differs from the version before, which is sent instead of the image to devices that have "
      "that version.",
      {quantity("changed", Unit::fraction, "share of the weights that change; this or \"size\"")
           .at_most(1)
           .default_is("none"),
       quantity("index", Unit::none,
                "bytes that say where a weight is, per byte of changed weights: 2 for 4-byte indices of "
                "2-byte weights")
           .at_most(1000)
           .by_default("0"),
       quantity("size", Unit::bytes, "of the delta").above(0).default_is("changed * (1 + index) of the image"),
       quantity("patch", Unit::bandwidth, "at which a device writes the patched image").above(0).default_is(
           "no time")},
      "",
      {}};
  return spec;
}

const ObjectSpec& format_spec() {
  static const ObjectSpec spec{
      "format",
      "A compact interchange format of everything that is sent.",
      {quantity("ratio", Unit::none, "bytes of weights per byte on the wire: 2.5 saves 60 %")
           .at_least(1)
           .at_most(1000)
           .needed(),
       quantity("decode", Unit::bandwidth,
                "weights that a core of speed 1 unpacks per second (node field core_speed)")
           .above(0)
           .default_is("no time")},
      "",
      {}};
  return spec;
}

const ObjectSpec& rollback_spec() {
  static const ObjectSpec spec{
      "rollback",
      "The update is taken back: who waits for it or fetches it stops, who has it gets the version "
      "before. Devices hear of it as of the update, by message or at their next poll.",
      {quantity("at", Unit::duration, "when; this or \"share\"").default_is("none"),
       quantity("share", Unit::fraction, "rule: an error shows once this share of the fleet has it")
           .above(0)
           .at_most(1)
           .default_is("none"),
       quantity("after", Unit::duration, "with \"share\": until somebody sees it").by_default("0 s"),
       flag("keep_previous",
            "devices keep the image before in a slot of its own (A/B) and switch; false: they fetch it "
            "again, the same way")
           .by_default("true"),
       quantity("switch_time", Unit::duration, "of slots; the service does not run").by_default("0 s"),
       quantity("size", Unit::bytes, "image of the version before, when it is fetched")
           .above(0)
           .default_is("that of the update")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& update_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "update";
    s.help = "A new version of a model or program for a fleet of machines.";
    s.tag = "way";
    s.fields = {
        word("way", {"direct", "cdn", "peer"}, "who sends to the devices").by_default("direct"),
        either("to",
               {refer("", Reference::group, "node group"),
                list("", refer("", Reference::group, "node group"), "node groups").at_least(1)},
               "the fleet")
            .default_is("the machines of \"service\""),
        refer("service", Reference::service,
              "service on every machine of the fleet (\"local\") that it renews; requests then say which "
              "version served them")
            .default_is("none"),
        refer("from", Reference::group, "node group that has the image; devices spread over its machines")
            .needed(),
        quantity("size", Unit::bytes, "of the image; this or \"model\"").above(0).default_is("none"),
        refer("model", Reference::model, "the image is the weights of this model").default_is("none"),
        stored_as("with \"model\": how it is stored").default_is("the model's default"),
        object("delta", delta_spec, "sent to devices with the version before").default_is("none"),
        object("format", format_spec, "of all that is sent").default_is("plain"),
        quantity("at", Unit::duration, "when it is released; the cloud has the new version from then on")
            .by_default("0 s"),
        list("waves", object("", wave_spec, "a wave"), "parts of the fleet, one after another")
            .at_least(1)
            .default_is("all at once"),
        quantity("poll", Unit::duration,
                 "period at which devices ask for news, each with a phase of its own; 0: they are told")
            .by_default("0 s"),
        quantity("message", Unit::bytes, "news to a device, or the manifest that it polls; 0: none is sent")
            .by_default("1 kB"),
        integer("concurrent", "downloads at once from one machine of \"from\"; others wait in line")
            .at_least(1)
            .default_is("no limit"),
        quantity("rate_cap", Unit::bandwidth, "of a download").above(0).default_is("none"),
        quantity("chunk", Unit::bytes, "unit in which relays are filled and peers share").above(0).by_default(
            "16 MB"),
        word("on_failure", {"resume", "chunk", "restart"},
             "a broken download goes on with the bytes that are left, repeats its chunk, or starts again")
            .by_default("resume"),
        quantity("retry", Unit::duration,
                 "wait after a failure; doubles while nothing arrives; at least 1 ms")
            .at_least(1e-3)
            .by_default("5 s"),
        quantity("retry_longest", Unit::duration, "most that it doubles to").by_default("5 min"),
        quantity("verify", Unit::bandwidth, "at which a device checks what it has got (checksum, signature)")
            .above(0)
            .default_is("no time"),
        quantity("install", Unit::duration, "writing it to flash and the like; the service runs on")
            .by_default("0 s"),
        quantity("restart", Unit::duration, "before the new version serves; the service does not run")
            .by_default("0 s"),
        quantity("accuracy", Unit::fraction, "of the new version's answers").at_most(1).default_is("as before"),
        quantity("speed", Unit::none,
                 "of the new version against the first one, of services with a service_time")
            .above(0)
            .at_most(1e6)
            .by_default("1"),
        object("rollback", rollback_spec, "it is taken back").default_is("never"),
    };
    s.variants = {
        {"direct", "the origin sends to every device", {}},
        {"cdn",
         "relays send; whoever asks first has the relay fetch the image, once, chunk by chunk",
         {refer("relays", Reference::group,
                "node group of relays; devices use those of their zone, or all of them in turn")
              .needed(),
          integer("relay_concurrent", "downloads at once from one relay").at_least(1).default_is("no limit")}},
        {"peer",
         "devices that have chunks send them to others of their zone; the origin sends to those that "
         "find nobody",
         {integer("uploads", "at once by a device").at_least(1).at_most(1000).by_default("4")}},
    };
    return s;
  }();
  return spec;
}

}  // namespace isthmus::scenarios
