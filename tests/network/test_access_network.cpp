// Radios, moves, traces, losses and repeated transfers around both backends: dates by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "network/tcp_loss.hpp"
#include "sim/core/errors.hpp"
#include "tests/network/script.hpp"

namespace isthmus::network::test {
namespace {

// A script around both backends, each result in order of tag.
std::vector<std::vector<FlowEnd>> both(const Topology& t, const std::vector<Op>& ops,
                                       Instant horizon = Instant::never(), std::uint64_t seed = 1) {
  const auto run = [&](std::unique_ptr<Network> backend) {
    const auto net = with_access_rules(std::move(backend), t, seed);
    return by_tag(run_script(*net, ops, horizon));
  };
  return {run(make_fluid_network(t, {})),
          in_child<FlowEnd>([&] { return run(make_simgrid_network(t, {}, {})); })};
}

TransferCounters counters(const Topology& t, const std::vector<Op>& ops) {
  const auto net = with_access_rules(make_fluid_network(t, {}), t, 1);
  run_script(*net, ops);
  EXPECT_EQ(net->in_flight(), 0U);
  return net->counters();
}

Seconds always(double seconds) {
  return [seconds](Rng&) { return seconds; };
}
LinkChange state(bool up) {
  LinkChange c;
  c.up = up;
  return c;
}
LinkChange step_at(double at, double bandwidth) {
  LinkChange c;
  c.at = Duration::from_seconds(at);
  c.bandwidth = bandwidth;
  return c;
}
Op with_policy(Op op, std::uint32_t policy = 1) {
  op.transfer.policy = policy;
  return op;
}
std::shared_ptr<const LinkTrace> trace(std::vector<LinkChange> steps, double period = 0) {
  return std::make_shared<const LinkTrace>(
      LinkTrace{std::move(steps), Duration::from_seconds(period)});
}
void expect_end(const FlowEnd& e, double at, Outcome outcome = Outcome::delivered) {
  EXPECT_EQ(e.outcome, outcome) << e.tag;
  EXPECT_EQ(e.at, Instant::from_seconds(at)) << e.tag << " at " << e.at.seconds();
}

TEST(AccessNetwork, NothingToAddGivesTheBackendBack) {
  auto backend = make_fluid_network(wire(1e6, 0), {});
  const Network* raw = backend.get();
  const Topology t = wire(1e6, 0);
  EXPECT_EQ(with_access_rules(std::move(backend), t, 1).get(), raw);
}

// 1 MB at 1 MB/s after 10 ms. The radio sleeps at first, and again after 10.5 s of silence; what
// arrives counts as activity, and whoever starts while it wakes up waits for the same date.
TEST(AccessNetwork, RadioIsPromotedAfterIdleTimeOnly) {
  Topology t = star(1, 1e6, 0.01, Sharing::shared);
  t.hosts.push_back({"server", 0, {}});
  t.links[0].rule = 0;
  t.access.links.resize(1);
  t.access.links[0].promotion = always(0.8);
  t.access.links[0].idle_after = Duration::from_seconds(10.5);
  const std::vector<Op> ops = {
      start_at(0, 0, 1, 1e6),      // asleep: 0.8 + 0.01 + 1
      start_at(0.5, 1, 0, 0),      // downwards, waits for the same promotion: 0.8 + 0.01
      start_at(5, 0, 1, 1e6),      // awake
      start_at(16.509, 1, 0, 1e6),  // 10.499 s after the last end at 6.01
      start_at(28.018, 0, 1, 1e6),  // 10.499 s after that one's end at 17.519
      start_at(39.528, 0, 1, 1e6),  // 10.5 s after 29.028: asleep
  };
  for (const auto& ends : both(t, ops)) {
    ASSERT_EQ(ends.size(), ops.size());
    expect_end(ends[0], 1.81);
    expect_end(ends[1], 0.81);
    expect_end(ends[2], 6.01);
    expect_end(ends[3], 17.519);
    expect_end(ends[4], 29.028);
    expect_end(ends[5], 41.338);
  }
  EXPECT_EQ(counters(t, ops).promotions, 2U);
  EXPECT_DOUBLE_EQ(counters(t, ops).waited, 0.8 + 0.3 + 0.8);
}

// The link is down from 0.5 to 1.1 s. Waits of 0.2 and 0.4 s: attempts at 0.7 (dead) and at 1.1, when
// it is up again.
TEST(AccessNetwork, RetriesStartOverAndResumesGoOn) {
  Topology t = wire(1e6, 0.1);
  TransferPolicy p;
  p.attempts = 4;
  p.initial = Duration::from_seconds(0.2);
  p.on_failure = TransferPolicy::OnFailure::retry;
  t.access.policies = {p, p, p};
  t.access.policies[1].on_failure = TransferPolicy::OnFailure::resume;
  t.access.policies[2].attempts = 2;
  const std::vector<Op> ops = {change_at(0.5, 0, state(false)), change_at(1.1, 0, state(true)),
                               with_policy(start_at(0, 0, 1, 1e6))};
  for (const auto& ends : both(t, ops)) {
    ASSERT_EQ(ends.size(), 1U);
    expect_end(ends[0], 2.2);
  }
  // 0.4 MB were moved from 0.1 to 0.5: another latency, then 0.6 s.
  std::vector<Op> resumed = ops;
  resumed[2].transfer.policy = 2;
  for (const auto& ends : both(t, resumed)) expect_end(ends[0], 1.8);
  std::vector<Op> given_up = ops;
  given_up[2].transfer.policy = 3;
  for (const auto& ends : both(t, given_up)) {
    expect_end(ends[0], 0.7, Outcome::failed);
    EXPECT_NEAR(ends[0].left, 1e6, 1e-3);
  }
  EXPECT_EQ(counters(t, ops).retries, 2U);
  EXPECT_NEAR(counters(t, ops).resent, 4e5, 1e-3);
  EXPECT_EQ(counters(t, resumed).resumes, 2U);
  EXPECT_EQ(counters(t, given_up).given_up, 1U);
  std::vector<Op> plain = ops;
  plain[2].transfer.policy = 0;
  for (const auto& ends : both(t, plain)) {
    expect_end(ends[0], 0.5, Outcome::failed);
    EXPECT_NEAR(ends[0].left, 6e5, 1e-3);
  }
}

TEST(AccessNetwork, BackoffIsBoundedAndItsJitterDrawnOnce) {
  Topology t = wire(1e6, 0);
  TransferPolicy p;
  p.on_failure = TransferPolicy::OnFailure::resume;
  p.attempts = 6;
  p.initial = Duration::from_seconds(1);
  p.longest = Duration::from_seconds(3);
  t.access.policies = {p};
  // Dead from the start: 1 + 2 + 3 + 3 + 3 s, then it gives up.
  const std::vector<Op> ops = {change_at(0, 0, state(false)), with_policy(start_at(0, 0, 1, 1e6))};
  for (const auto& ends : both(t, ops)) expect_end(ends[0], 12, Outcome::failed);
  // No wait at all, however fast it grows.
  t.access.policies[0].initial = Duration::zero();
  t.access.policies[0].factor = 1e308;
  for (const auto& ends : both(t, ops)) expect_end(ends[0], 0, Outcome::failed);
  t.access.policies[0] = p;
  t.access.policies[0].jitter = 0.5;
  const auto ends = both(t, ops);
  EXPECT_EQ(ends[0][0].at, ends[1][0].at);
  EXPECT_LT(ends[0][0].at, Instant::from_seconds(12));
  EXPECT_GT(ends[0][0].at, Instant::from_seconds(6));
}

// Two cells of 1 and 2 MB/s. The phone leaves the first at 0.4 s and has the second from 0.7 s on.
Topology two_cells() {
  Topology t = star(1, 1e6, 0.05);
  t.hosts.push_back({"server", 0, {}});
  t.links.push_back(t.links[0]);
  t.links[1].name = "second";
  t.links[1].bandwidth = 2e6;
  t.links[1].latency = Duration::from_seconds(0.1);
  Mobility m;
  m.hosts = {0};
  m.cells = {LinkId(0), LinkId(1)};
  m.schedule = {{Duration::from_seconds(0.4), 1}};
  m.gap = always(0.3);
  t.access.mobility = {m};
  return t;
}

TEST(AccessNetwork, HandoverStallsTransfersAndTheyGoOnInTheNextCell) {
  Topology t = two_cells();
  const std::vector<Op> ops = {
      start_at(0, 0, 1, 1e6),     // 0.35 MB by 0.4; then 0.7 + 0.1 + 0.65 / 2 while alone
      start_at(0.5, 1, 0, 2e5),   // in the gap, the other way: 0.7 + 0.1 + 0.1
      start_at(2, 0, 1, 2e6),     // 0.1 + 1
  };
  for (const auto& ends : both(t, ops)) {
    expect_end(ends[0], 1.125);
    expect_end(ends[1], 0.9);
    expect_end(ends[2], 3.1);
  }
  const TransferCounters c = counters(t, ops);
  EXPECT_EQ(c.handovers, 2U);
  EXPECT_NEAR(c.waited, 0.3 + 0.2, 1e-12);
  EXPECT_EQ(c.retries + c.resumes + c.given_up, 0U);

  // They fail instead; with a policy they come back: at 0.6 in the gap, then at 1.0.
  t.access.mobility[0].stall = false;
  TransferPolicy p;
  p.on_failure = TransferPolicy::OnFailure::resume;
  t.access.policies = {p};
  for (const auto& ends : both(t, {ops[0], with_policy(start_at(0.1, 0, 1, 0))})) {
    expect_end(ends[0], 0.4, Outcome::failed);
    expect_end(ends[1], 0.15);
  }
  for (const auto& ends : both(t, {with_policy(ops[0])})) expect_end(ends[0], 1.0 + 0.1 + 0.325);

  // Without a gap, from one instant to the next.
  t.access.mobility[0].stall = true;
  t.access.mobility[0].gap = nullptr;
  for (const auto& ends : both(t, {ops[0]})) expect_end(ends[0], 0.4 + 0.1 + 0.325);
}

TEST(AccessNetwork, QueriesKnowCellsAndTraces) {
  Topology t = two_cells();
  t.access.links.resize(1);
  t.access.links[0].trace = trace({step_at(0, 3e6), step_at(1, 5e6)}, 2);
  t.links[1].rule = 0;
  const auto net = with_access_rules(make_fluid_network(t, {}), t, 1);
  std::vector<double> seen;
  const auto look = [&](Network& n) {
    seen.push_back(n.path_bandwidth(0, 1));
    seen.push_back(n.path_latency(0, 1).seconds());
  };
  run_script(*net, {call_at(0.1, look), call_at(0.5, look), call_at(0.8, look), call_at(1.2, look),
                    call_at(100.5, look)});
  EXPECT_EQ(seen, (std::vector<double>{1e6, 0.05, 0, 0.05, 3e6, 0.1, 5e6, 0.1, 3e6, 0.1}));
}

// Two phones on one trace of 1 MB/s for a second, then 3 MB/s for a second; the second starts 1.5 s
// into it.
TEST(AccessNetwork, TracesAreFollowedFromAnOffset) {
  Topology t = star(2, 7e6, 0);
  t.hosts.push_back({"server", 0, {}});
  t.access.links.resize(1);
  t.access.links[0].trace = trace({step_at(0, 1e6), step_at(1, 3e6)}, 2);
  for (Link& l : t.links) l.rule = 0;
  t.links[1].trace_offset = Duration::from_seconds(1.5);
  const std::vector<Op> ops = {
      start_at(0, 0, 2, 2.5e6),    // 1 s at 1, 0.5 s at 3
      start_at(0, 1, 2, 2.5e6),    // 0.5 s at 3, 1 s at 1
      start_at(7.25, 0, 2, 2.5e6),  // 0.75 s at 3, 0.25 s at 1
      start_at(7.25, 1, 2, 1e6),   // 0.75 + 1.5 = 0.75 s into the turn: 0.25 at 1, 0.25 at 3
  };
  for (const auto& ends : both(t, ops)) {
    expect_end(ends[0], 1.5);
    expect_end(ends[1], 1.5);
    expect_end(ends[2], 8.25);
    expect_end(ends[3], 7.75);
  }
}

TEST(AccessNetwork, TraceAndOutageDoNotUndoEachOther) {
  Topology t = wire(1e6, 0);
  t.access.links.resize(1);
  LinkChange off = state(false), on = step_at(2, 1e6);
  off.at = Duration::from_seconds(1);
  on.up = true;
  t.access.links[0].trace = trace({step_at(0, 1e6), off, on});
  t.links[0].rule = 0;
  const std::vector<Op> ops = {change_at(0.5, 0, state(false)),  // before the trace's own outage
                               start_at(0.6, 0, 1, 1), start_at(1.2, 0, 1, 1),
                               change_at(1.5, 0, state(true)), start_at(1.6, 0, 1, 1),
                               start_at(2.5, 0, 1, 1e6),
                               change_at(2.6, 0, state(false)), change_at(2.7, 0, state(true)),
                               start_at(3, 0, 1, 1e6)};
  for (const auto& ends : both(t, ops)) {
    ASSERT_EQ(ends.size(), 5U);
    expect_end(ends[0], 0.6, Outcome::failed);
    expect_end(ends[1], 1.2, Outcome::failed);
    expect_end(ends[2], 1.6, Outcome::failed);
    expect_end(ends[3], 2.6, Outcome::failed);
    expect_end(ends[4], 4);
  }
}

TEST(AccessNetwork, TracesOfBothWaysAreApart) {
  Topology t = star(1, 7e6, 0);
  t.hosts.push_back({"server", 0, {}});
  t.access.links.resize(1);
  LinkChange up = step_at(0, 1e6), down = step_at(0, 4e6), later = step_at(0.5, 2e6);
  up.ways = Ways::up;
  down.ways = later.ways = Ways::down;
  t.access.links[0].trace = trace({up});
  t.access.links[0].trace_down = trace({down, later});
  t.links[0].rule = 0;
  for (const auto& ends : both(t, {start_at(0, 0, 1, 1e6), start_at(0, 1, 0, 3e6)})) {
    expect_end(ends[0], 1);
    expect_end(ends[1], 1);  // 0.5 s at 4, 0.5 s at 2
  }
}

TEST(AccessNetwork, BrownOutsScaleWhatATraceSays) {
  Topology t = wire(1e6, 0);
  LinkChange quarter, whole;
  quarter.scale = 0.25;
  whole.scale = 1;
  // 0.5 MB by 0.5, 0.125 by 1, 0.25 (of 2 MB/s now) by 1.5, 0.125 at 2 MB/s.
  LinkChange faster;
  faster.bandwidth = 2e6;
  for (const auto& ends : both(t, {start_at(0, 0, 1, 1e6), change_at(0.5, 0, quarter),
                                   change_at(1, 0, faster), change_at(1.5, 0, whole)}))
    expect_end(ends[0], 1.5625);
}

// Jitter delays a transfer as a whole, once per attempt, and is drawn per host.
TEST(AccessNetwork, JitterIsTheSameOnBothBackends) {
  Topology t = star(2, 1e6, 0.01);
  t.hosts.push_back({"server", 0, {}});
  t.access.links.resize(1);
  t.access.links[0].jitter = [](Rng& g) { return 0.05 * uniform01(g); };
  for (Link& l : t.links) l.rule = 0;
  std::vector<Op> ops;
  for (int i = 0; i < 20; ++i)
    ops.push_back(start_at(i, static_cast<std::uint32_t>(i % 2), 2, 1e5));
  const auto ends = both(t, ops);
  std::vector<double> jitter;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    EXPECT_EQ(ends[0][i].at, ends[1][i].at);
    jitter.push_back(ends[0][i].at.seconds() - static_cast<double>(i) - 0.11);
    EXPECT_GT(jitter.back(), -1e-9);
    EXPECT_LT(jitter.back(), 0.05 + 1e-9);
  }
  EXPECT_NE(jitter[0], jitter[1]);
  EXPECT_NE(jitter[0], jitter[2]);
  // What the second host does moves no draw of the first one.
  ops.erase(std::remove_if(ops.begin(), ops.end(),
                           [](const Op& op) { return op.transfer.from == 1; }),
            ops.end());
  const auto alone = both(t, ops);
  for (std::size_t i = 0; i < ops.size(); ++i) EXPECT_EQ(alone[0][i].at, ends[0][2 * i].at);
}

TEST(AccessNetwork, LossBoundsTheRateOfTcp) {
  // 1460 B, 100 ms there and back, 1 % lost: 1460 / (0.1 * sqrt(0.02 / 3)) = 178812.8... B/s.
  const double mathis = tcp_rate(TcpLoss::mathis, 0.01, 0.1, 1460, 0.2);
  EXPECT_NEAR(mathis, 178812.75, 0.01);
  // Plus 0.2 * 3 sqrt(0.00375) * 0.01 * 1.0032 = 0.000368599... s per segment.
  EXPECT_NEAR(tcp_rate(TcpLoss::pftk, 0.01, 0.1, 1460, 0.2), 1460 / (0.00816496581 + 0.000368599217),
              1e-2);
  EXPECT_TRUE(std::isinf(tcp_rate(TcpLoss::mathis, 0, 0.1, 1460, 0.2)));
  EXPECT_TRUE(std::isinf(tcp_rate(TcpLoss::mathis, 0.01, 0, 1460, 0.2)));

  Topology t = wire(1e6, 0.05);
  t.access.links.resize(1);
  t.access.links[0].loss = 0.01;
  t.links[0].rule = 0;
  // One alone at that rate; ten share what the link has.
  std::vector<Op> ops = {start_at(0, 0, 1, 1e6)};
  for (const auto& ends : both(t, ops))
    EXPECT_NEAR(ends[0].at.seconds(), 0.05 + 1e6 / mathis, 2e-9);
  ops.assign(10, start_at(0, 0, 1, 1e5));
  for (const auto& ends : both(t, ops)) expect_end(ends[9], 1.05);
}

TEST(AccessNetwork, CancelledTransfersEndOnceWhereverTheyAre) {
  Topology t = two_cells();
  t.access.links.resize(1);
  t.access.links[0].promotion = always(0.1);
  t.links[0].rule = 0;
  TransferPolicy p;
  p.on_failure = TransferPolicy::OnFailure::retry;
  p.initial = Duration::from_seconds(1);
  t.access.policies = {p};
  const std::vector<Op> ops = {
      start_at(0, 0, 1, 1e6),   cancel_at(0.05, 0),           // waking up
      start_at(0.06, 0, 1, 1e6), cancel_at(0.3, 2),            // moving
      start_at(0.3, 0, 1, 1e6), cancel_at(0.6, 4),            // stalled
      start_at(0.8, 0, 1, 1e6), cancel_at(0.8, 6),            // at once
      change_at(2, 1, state(false)), with_policy(start_at(2, 0, 1, 1e6)),
      cancel_at(2.5, 9),                                      // between two attempts
      cancel_at(3, 9),
  };
  for (const auto& ends : both(t, ops)) {
    ASSERT_EQ(ends.size(), 5U);
    expect_end(ends[0], 0.05, Outcome::cancelled);
    expect_end(ends[1], 0.3, Outcome::cancelled);
    expect_end(ends[2], 0.6, Outcome::cancelled);
    expect_end(ends[3], 0.8, Outcome::cancelled);
    expect_end(ends[4], 2.5, Outcome::cancelled);
  }
}

// All of it at once: every transfer ends exactly once, on both backends at the same date.
TEST(AccessNetwork, RandomMixturesAgreeAndLoseNothing) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    std::mt19937_64 g(seed);
    const auto pick = [&](std::size_t n) { return static_cast<std::uint32_t>(g() % n); };
    Topology t = star(6, 1e6, 0.01);
    t.hosts.push_back({"server", 0, {}});
    t.links.push_back(t.links[0]);
    t.links[6].name = "other";
    t.links[6].sharing = Sharing::shared;
    t.access.links.resize(3);
    LinkChange off = state(false);
    off.at = Duration::from_seconds(4);
    LinkChange on = step_at(4.5, 4e5);
    on.up = true;
    t.access.links[0].trace = trace({step_at(0.5, 5e5), step_at(2, 3e6), off, on}, 6);
    t.access.links[1].promotion = [](Rng& r) { return 0.5 + uniform01(r); };
    t.access.links[1].idle_after = Duration::from_seconds(1);
    t.access.links[1].jitter = [](Rng& r) { return 0.1 * uniform01(r); };
    t.access.links[2].loss = 0.02;
    for (std::uint32_t l = 0; l < 6; ++l) {
      t.links[l].rule = l % 4 < 3 ? l % 4 : 0xffffffffU;
      t.links[l].trace_offset = Duration::from_seconds(0.7 * l);
    }
    for (const std::uint32_t host : {0U, 1U, 3U}) {
      Mobility m;
      m.hosts = {host};
      m.cells = {LinkId(host), LinkId(6)};
      m.residence = [](Rng& r) { return sample_exponential(r, 2); };
      m.gap = [](Rng& r) { return 0.2 * uniform01(r); };
      m.stall = host != 1;
      t.access.mobility.push_back(m);
    }
    TransferPolicy p;
    p.attempts = 3;
    p.jitter = 0.3;
    p.on_failure = TransferPolicy::OnFailure::retry;
    t.access.policies = {p, p};
    t.access.policies[1].on_failure = TransferPolicy::OnFailure::resume;

    std::vector<Op> ops;
    for (int i = 0; i < 60; ++i) {
      const double at = 20 * uniform01(*std::make_unique<Rng>(g()));
      const std::uint32_t phone = pick(6);
      const double bytes = static_cast<double>(pick(800'000));
      ops.push_back(with_policy(pick(2) ? start_at(at, phone, 6, bytes)
                                        : start_at(at, 6, phone, bytes), pick(3)));
      if (pick(8) == 0) ops.push_back(cancel_at(at + 0.3, ops.size() - 1));
      if (pick(8) == 0) {
        const std::uint32_t link = pick(7);
        ops.push_back(change_at(at, link, state(false)));
        ops.push_back(change_at(at + 0.5, link, state(true)));
        LinkChange half;
        half.scale = 0.5;
        ops.push_back(change_at(at + 0.6, link, half));
      }
    }
    std::size_t transfers = 0;
    for (const Op& op : ops) transfers += op.kind == Op::Kind::start ? 1 : 0;
    const auto ends = both(t, ops, Instant::never(), seed);
    ASSERT_EQ(ends[0].size(), transfers) << seed;
    ASSERT_EQ(ends[1].size(), transfers) << seed;
    for (std::size_t i = 0; i < transfers; ++i) {
      if (i > 0) {
        EXPECT_NE(ends[0][i].tag, ends[0][i - 1].tag) << "ended twice";
      }
      EXPECT_EQ(ends[0][i].tag, ends[1][i].tag);
      EXPECT_EQ(ends[0][i].outcome, ends[1][i].outcome) << seed << " " << ends[0][i].tag;
      EXPECT_NEAR(ends[0][i].at.seconds(), ends[1][i].at.seconds(), 5e-9)
          << seed << " " << ends[0][i].tag;
    }
  }
}

TEST(AccessNetwork, RulesThatCannotHoldAreRefused) {
  const auto refused = [](auto change) {
    Topology t = two_cells();
    change(t);
    EXPECT_THROW(validate(t), InputError);
  };
  refused([](Topology& t) { t.access.mobility[0].cells = {LinkId(1)}; });
  refused([](Topology& t) { t.access.mobility[0].cells = {LinkId(0), LinkId(9)}; });
  refused([](Topology& t) { t.access.mobility[0].place = 1; });
  refused([](Topology& t) { t.access.mobility[0].schedule.clear(); });
  refused([](Topology& t) { t.access.mobility.push_back(t.access.mobility[0]); });
  refused([](Topology& t) { t.links[0].rule = 0; });
  refused([](Topology& t) { t.access.policies.resize(1); t.access.policies[0].attempts = 0; });
  refused([](Topology& t) { t.access.policies.resize(1); t.access.policies[0].factor = NAN; });
  refused([](Topology& t) { t.access.links.resize(1); t.access.links[0].loss = 1; });
  refused([](Topology& t) {
    t.access.links.resize(1);
    t.access.links[0].trace = trace({step_at(0, 1e6), step_at(3, 1e6)}, 2);
  });
}

}  // namespace
}  // namespace isthmus::network::test
