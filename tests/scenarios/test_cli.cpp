// The program as users start it. The binary's path comes from ISTHMUS_CLI.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "scenarios/json_document.hpp"
#include "tests/scenarios/sample.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;
using testing::slurp;
using ::testing::StartsWith;
using testing::TemporaryFolder;

struct Output {
  int code = -1;
  std::string text;  // stdout and stderr together
};

const std::string tiny = R"({"isthmus": 1, "name": "tiny", "duration": "100 s", "nodes": {"n": {}},
  "services": {"s": {"service_time": {"distribution": "exponential", "mean": "0.5 s"}, "on": "n"}},
  "workload": [{"rate": "1 /s"}],
  "sweep": {"/workload/0/rate": ["0.5 /s", "1 /s", "1.5 /s"]}})";

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("ISTHMUS_CLI") == nullptr) GTEST_SKIP() << "ISTHMUS_CLI is not set";
  }
  // Runs in the temporary folder, where ./runs may appear.
  Output run(const std::string& arguments) const {
    const std::string command = "cd '" + folder_.path().string() + "' && '" +
                                std::getenv("ISTHMUS_CLI") + "' " + arguments + " 2>&1";
    Output out;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
      out.text.append(buffer.data(), n);
    const int status = ::pclose(pipe);
    out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return out;
  }
  std::string file(const std::string& name, const std::string& content) const {
    return "'" + folder_.write(name, content).string() + "'";
  }
  TemporaryFolder folder_;
};

TEST_F(Cli, ExitCodes) {
  EXPECT_EQ(run("version").code, 0);
  EXPECT_EQ(run("--help").code, 0);
  EXPECT_EQ(run("").code, 2);
  EXPECT_EQ(run("nonsense").code, 2);
  EXPECT_EQ(run("run nowhere.json").code, 2);
  EXPECT_EQ(run("validate " + file("bad.json", "{\"isthmus\": }")).code, 2);
  EXPECT_EQ(run("validate " + file("good.json", tiny)).code, 0);
  // A directory that cannot be made is nobody's input.
  EXPECT_EQ(run("run " + file("good.json", tiny) + " --out /proc/nowhere/x").code, 1);
}

TEST_F(Cli, ValidateShowsEveryProblemOfEveryFile) {
  const Output o = run("validate " + file("a.json", testing::changed("\"warmup\"", "\"warmupp\"")) +
                       " " + file("b.json", testing::sample) + " " +
                       file("c.json", testing::changed("\"seed\": 7", "\"seed\": 7.5")));
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("a.json:6:3: /warmupp: unknown field; did you mean \"warmup\"?"));
  EXPECT_THAT(o.text, HasSubstr("ok: "));
  EXPECT_THAT(o.text, HasSubstr("c.json:4:11: /seed: must be a whole number"));
}

TEST_F(Cli, RunWritesBelowRunsAndReports) {
  const Output o = run("run " + file("tiny.json", tiny) + " --seed 3");
  EXPECT_EQ(o.code, 0) << o.text;
  EXPECT_THAT(o.text, HasSubstr("created "));
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "runs")) {
    EXPECT_THAT(entry.path().filename().string(), StartsWith("tiny-"));
    EXPECT_TRUE(std::filesystem::exists(entry.path() / "run.h5"));
    ++found;
  }
  EXPECT_EQ(found, 1);
}

TEST_F(Cli, JsonOutputIsJson) {
  const Output o = run("run --json --no-files " + file("tiny.json", tiny));
  EXPECT_EQ(o.code, 0);
  Sources sources;
  EXPECT_NO_THROW(parse_json(o.text, sources, sources.add("output"))) << o.text;
}

TEST_F(Cli, ThreadsDoNotChangeResults) {
  const std::string scenario = file("tiny.json", tiny);
  const std::string arguments = "compare --no-files --replications 4 " + scenario +
                                " /workload/0/rate --values '0.5 /s,1 /s,1.5 /s' --threads ";
  const Output one = run(arguments + "1"), four = run(arguments + "4");
  EXPECT_EQ(one.code, 0) << one.text;
  // All but the processor time, which stands on stderr.
  const auto results = [](std::string text) {
    const std::size_t at = text.find("processor time per run:");
    EXPECT_NE(at, std::string::npos);
    return at == std::string::npos ? text : text.erase(at, text.find('\n', at) + 1 - at);
  };
  EXPECT_EQ(results(one.text), results(four.text));
}

TEST_F(Cli, SweepsAreCutAndContinued) {
  const std::string scenario = file("tiny.json", tiny);
  const auto out = folder_.path() / "out";
  const std::string common = "sweep " + scenario + " --out '" + out.string() + "' ";
  EXPECT_THAT(run(common + "--shard 2/2").text, HasSubstr("1 points run, 0 skipped, 1 of 3 done"));
  EXPECT_FALSE(std::filesystem::exists(out / "sweep.csv"));
  EXPECT_THAT(run(common + "--resume").text, HasSubstr("2 points run, 1 skipped, 3 of 3 done"));
  const std::string table = slurp(out / "sweep.csv");
  EXPECT_THAT(table, StartsWith("point,/workload/0/rate,replication,seed,created"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 4);
  EXPECT_THAT(run(common + "--resume").text, HasSubstr("0 points run, 3 skipped"));
  EXPECT_EQ(slurp(out / "sweep.csv"), table);
  // Another seed is another sweep: nothing of the old one counts.
  EXPECT_THAT(run(common + "--resume --seed 9").text, HasSubstr("3 points run, 0 skipped"));
  EXPECT_EQ(run("sweep " + scenario + " --shard 3/2 --out x").code, 2);
  EXPECT_EQ(run("sweep " + scenario + " --resume").code, 2);
}

TEST_F(Cli, PoliciesOfMachinesDecideOnViews) {
  const std::string clocks = file("clocks.json", R"([
    {"frequencies": ["1 GHz", "2 GHz", "3 GHz"], "busy": 0.5, "current": 2},
    {"frequencies": ["1 GHz", "2 GHz", "3 GHz"], "busy": 0.95, "current": 0}])");
  EXPECT_THAT(run("policy governor ondemand --view " + clocks).text,
              HasSubstr("[{\"index\": 1, \"frequency\": \"2000000000 Hz\"},\n {\"index\": 2"));
  const std::string options = file("options.json", R"({"deadline": "20 ms", "options": [
    {"name": "large", "service": "30 ms", "accuracy": 0.8},
    {"name": "small", "service": "5 ms", "accuracy": 0.6}]})");
  EXPECT_THAT(run("policy variant deadline --view " + options).text, HasSubstr("\"small\""));
  EXPECT_THAT(run("policy variant most-accurate --view " + options).text, HasSubstr("\"large\""));
  const std::string models = file("models.json", R"({"now": "5 s", "models": [
    {"model": 0, "last_used": "3 s"}, {"model": 4, "last_used": "2 s", "priority": 1}]})");
  EXPECT_THAT(run("policy eviction lru --view " + models).text, HasSubstr("{\"model\": 4"));
  EXPECT_THAT(run("policy eviction priority --view " + models).text, HasSubstr("{\"model\": 0"));
  Output o = run("policy eviction lru --view " + options);
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("/options: unknown field; known: now, models"));
  o = run("policy partition chain --view " + models);
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("isthmus split"));
}

TEST_F(Cli, PoliciesDecideOnViews) {
  const std::string view = file("view.json", R"({"slo": "1 s", "candidates": [
    {"name": "phone", "tier": "device", "service": "800 ms"},
    {"name": "cloud", "tier": "cloud", "service": "100 ms", "network": "200 ms"}]})");
  Output o = run("policy offload min-latency --view " + view);
  EXPECT_EQ(o.code, 0) << o.text;
  EXPECT_THAT(o.text, HasSubstr("\"candidate\": \"cloud\", \"index\": 1"));
  o = run("policy offload score --set alpha=2 --view " + view);
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("/alpha: must be >= 0 and <= 1"));
  o = run("policy offload scoer --view " + view);
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("did you mean \"score\"?"));
  // A list of views goes through one policy object, so its memory shows.
  o = run("policy routing round-robin --view " +
          file("r.json", R"([{"replicas": [{"replica": 4}, {"replica": 9}]},
                             {"replicas": [{"replica": 4}, {"replica": 9}]}])"));
  EXPECT_EQ(o.text, "[{\"replica\": 4, \"index\": 0},\n {\"replica\": 9, \"index\": 1}]\n");
  o = run("policy routing kv-usage --set waiting_weight=2 --view " +
          file("k.json", R"({"signal_age": "50 ms", "replicas": [
                  {"replica": 1, "waiting": 4, "kv_usage": 0.2}, {"replica": 2, "kv_usage": 0.9}]})"));
  EXPECT_EQ(o.text, "{\"replica\": 2, \"index\": 1}\n");
  o = run("policy routing prefix-aware --view " +
          file("p.json", R"([
            {"replicas": [{"replica": 1, "outstanding": 1}, {"replica": 2}], "prefix": [5, 6]},
            {"replicas": [{"replica": 1}, {"replica": 2}], "prefix": [5, 6, 7], "block_tokens": 512}])"));
  EXPECT_EQ(o.text, "[{\"replica\": 2, \"index\": 1},\n {\"replica\": 2, \"index\": 1}]\n");
  o =
      run("policy batching dynamic --set max_batch=8 --set 'max_queue_delay=5 ms' --set "
          "'preferred=[4]' --view " +
          file("b.json", R"({"now": "1 s", "waiting": 3, "oldest": "0.998 s"})"));
  EXPECT_EQ(o.text, "{\"take\": 0, \"look_again\": \"1.003 s\"}\n");
  o = run(
      "policy autoscaling hpa --set 'target_utilization=50 %' --view " +
      file("a.json", R"({"current": 2, "replicas": [{"utilization": 1}, {"utilization": 1}]})"));
  EXPECT_THAT(o.text, HasSubstr("\"desired\": 4"));
}

TEST_F(Cli, SchedulesGraphsAndDrawsThem) {
  Output o = run("schedule yolov5n --on rockchip-rk3588 --units gpu,cpu --compare --gantt y.svg");
  EXPECT_EQ(o.code, 0) << o.text;
  EXPECT_THAT(o.text, StartsWith("yolov5n (fp32), batch 1, on rockchip-rk3588 by heft\n"));
  EXPECT_THAT(o.text, HasSubstr("lower bounds: longest path"));
  EXPECT_THAT(o.text, HasSubstr("over best"));
  EXPECT_THAT(slurp(folder_.path() / "y.svg"), StartsWith("<svg"));
  o = run("schedule yolov5n --on rockchip-rk3588 --gantt - --batch 2");
  EXPECT_THAT(o.text, StartsWith("<svg"));
  EXPECT_THAT(run("schedule yolov5n --on rockchip-rk3588 --json").text, StartsWith("{"));
  o = run("schedule yolov5n --on rockchip-rk3588 --scheduler hefty");
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("did you mean \"heft\"?"));
  EXPECT_EQ(run("schedule yolov5n --on rockchip-rk3588 --batch -1").code, 2);
  EXPECT_EQ(run("schedule").code, 2);
  EXPECT_EQ(run("schedule yolov5n --on rockchip-rk3588 --gantt /proc/nowhere/x.svg").code, 1);
}

TEST_F(Cli, CalibratesAgainstALog) {
  std::string log = "arrival,latency_ms\n";
  for (int i = 0; i < 40; ++i)
    log += std::to_string(i) + "," + std::to_string(800 + (i % 5 - 2)) + "\n";
  const std::string scenario = file("tiny.json", R"({"isthmus": 1, "name": "tiny", "duration": "9 s",
    "nodes": {"n": {}}, "services": {"s": {"service_time": "0.5 s", "on": "n"}},
    "workload": [{"rate": "1 /s"}]})");
  const std::string question = "calibrate " + scenario + " --measured " + file("log.csv", log) +
                               " --parameters service_time";
  Output o = run(question + " --out calibrated.json");
  EXPECT_EQ(o.code, 0) << o.text;
  EXPECT_THAT(o.text, StartsWith("tiny: service \"s\" against "));
  EXPECT_THAT(o.text, HasSubstr("40 requests in 39.0 s\nfitted on 20 of them (the first by arrival), held out 20"));
  EXPECT_THAT(o.text, HasSubstr("parameter     before   after  standard error\nservice_time  500 ms  800 ms"));
  EXPECT_THAT(o.text, HasSubstr("latency mean            800 ms  500 ms  -37.5 %  800 ms  "));
  EXPECT_THAT(o.text, HasSubstr("scenario with the fitted values: calibrated.json"));
  EXPECT_EQ(run("validate calibrated.json").code, 0);
  EXPECT_THAT(slurp(folder_.path() / "calibrated.json"), HasSubstr("\"extends\": \"tiny.json\""));
  o = run(question + " --json --split random --seed 4");
  EXPECT_EQ(o.code, 0);
  EXPECT_THAT(o.text, StartsWith("{\n  \"scenario\""));
  EXPECT_EQ(o.text, run(question + " --json --split random --seed 4 --threads 2").text);
  EXPECT_EQ(run(question + " --split odd").code, 2);
  EXPECT_EQ(run(question + " --out tiny.json").code, 2);
  o = run(question + " --out nowhere/calibrated.json");
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("--out nowhere/calibrated.json: there is no folder nowhere"));
  o = run("calibrate " + scenario + " --measured nowhere.csv");
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.text, HasSubstr("nowhere.csv"));
}

TEST_F(Cli, ListsWhatThereIs) {
  EXPECT_THAT(run("devices").text, HasSubstr("jetson-orin-nano"));
  EXPECT_THAT(run("devices nvidia-t4").text, HasSubstr("\"sources\""));
  EXPECT_EQ(run("devices nvidia-t5").code, 2);
  EXPECT_THAT(run("models").text, HasSubstr("autoglm-phone-9b"));
  EXPECT_THAT(run("policies routing").text, HasSubstr("least-outstanding"));
  EXPECT_THAT(run("schema").text, HasSubstr("https://json-schema.org/draft/2020-12/schema"));
}

TEST_F(Cli, TrainsRunsAndExplainsADecision) {
  const std::string scenario = file("offload.json", R"({
    "isthmus": 1, "name": "offload", "seed": 5, "duration": "20 s",
    "nodes": {"phone": {"tier": "device", "count": 3}, "edge": {"tier": "edge"}},
    "network": {"links": {"radio": {"bandwidth": "20 Mbps", "latency": "5 ms"}}, "access": {"phone": ["radio"]}},
    "services": {"local": {"service_time": "120 ms", "on": "phone"}, "edge": {"service_time": "30 ms", "on": "edge"}},
    "workload": [{"source": "poisson", "rate": "10 /s", "target": "offload", "clients": {"on": "phone"},
                  "request": {"upload": "80 kB"}}],
    "offload": {"policy": "ucb1", "candidates": ["local", "edge"], "reward": {}}
  })");
  const Output train = run("train " + scenario + " --seeds 1..2 --out w.json");
  EXPECT_EQ(train.code, 0) << train.text;
  EXPECT_THAT(train.text, HasSubstr("seed 2: mean reward 0."));
  const Output made = run("run " + scenario + " --set /offload/weights=w.json --out one");
  EXPECT_EQ(made.code, 0) << made.text;
  const Output explained = run("explain-decision one 42");  // SimGrid, in that very process
  EXPECT_EQ(explained.code, 0) << explained.text;
  EXPECT_THAT(explained.text, HasSubstr("decision 1 of 1 by ucb1"));
  EXPECT_THAT(explained.text, HasSubstr("highest upper confidence bound"));
  // Other weights, other decisions: that is not the run that was recorded.
  EXPECT_EQ(run("train " + scenario + " --seeds 3 --out w.json").code, 0);
  const Output other = run("explain-decision one 42");
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.text, HasSubstr("running it again gives other decisions"));
  EXPECT_THAT(run("explain-decision one 100000").text, HasSubstr("there is no request 100000"));
  EXPECT_EQ(run("train " + scenario + " --policy min-latency").code, 2);
  EXPECT_EQ(run("tournament --policy nonsense").code, 2);
  const Output ranked =
      run("tournament " + scenario + " --policy always-local --training-seeds 1 --seeds 2..3 --out t.json");
  EXPECT_EQ(ranked.code, 0) << ranked.text;
  EXPECT_THAT(ranked.text, HasSubstr("mean rank"));
}

TEST_F(Cli, AdvisesByRuns) {
  const Output vision = run("advise --workload vision --latency '10 ms' --replications 1");
  EXPECT_EQ(vision.code, 0) << vision.text;
  EXPECT_THAT(vision.text, HasSubstr("does a central site answer within 10.0 ms (vision)? no"));
  EXPECT_THAT(vision.text, HasSubstr("\nrecommended: distributed edge"));
  EXPECT_THAT(vision.text, HasSubstr("* vision, edge"));
  // Options go over the file; the answer that central sites cannot give either is not hidden.
  const std::string asked = file("asked.json", R"({"workload": "vision", "latency": "10 ms", "critical": true})");
  const Output hard = run("advise " + asked + " --latency '1 ms' --replications 1 --json");
  EXPECT_EQ(hard.code, 0) << hard.text;
  EXPECT_THAT(hard.text, HasSubstr("{\"met\": false, \"bound\": 0.001"));
  EXPECT_THAT(hard.text, HasSubstr("only the device itself is nearer"));
  EXPECT_THAT(hard.text, HasSubstr("critical, dedicated"));

  EXPECT_THAT(run("advise").text, HasSubstr("nothing is asked for"));
  EXPECT_THAT(run("advise --latency 10").text, HasSubstr("--latency: /latency"));
  EXPECT_THAT(run("advise --latency '0 s'").text, HasSubstr("0 s"));
  EXPECT_THAT(run("advise --workload visions").text, HasSubstr("did you mean \"vision\""));
  EXPECT_THAT(run("advise --availability 1.5").text, HasSubstr("/availability"));
  EXPECT_THAT(run("advise --burstiness NaN").text, HasSubstr("/burstiness"));
  EXPECT_THAT(run("advise --residency ''").text, HasSubstr("name a country"));
  EXPECT_THAT(run("advise " + file("list.json", "[1]")).text, HasSubstr("expected an object of requirements"));
  EXPECT_THAT(run("advise " + file("typo.json", R"({"latancy": "1 s"})")).text, HasSubstr("did you mean \"latency\""));
  const Output other = run("advise --critical --scenario " + file("tiny.json", tiny));
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.text, HasSubstr("has no alternative \"analytics, central\""));
}

}  // namespace
}  // namespace isthmus::scenarios
