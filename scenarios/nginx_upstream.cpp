#include "scenarios/nginx_upstream.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "scenarios/file_reading.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

struct Word {
  std::string text;
  std::size_t line = 1, column = 1;
  bool mark = false;  // ';', '{' or '}', not quoted
};

// name words... ; or name words... { inside }
struct Directive {
  std::vector<Word> words;
  std::vector<Directive> inside;
  bool block = false;
};

class Reader {
 public:
  Reader(const std::string& text, const std::string& file) : text_(text), file_(file) {}

  [[noreturn]] void fail(std::size_t line, std::size_t column, const std::string& why) const {
    throw InputError(fmt::format("{}:{}:{}: {}", file_, line, column, why));
  }
  [[noreturn]] void fail(const Word& w, const std::string& why) const { fail(w.line, w.column, why); }

  std::vector<Directive> read(int depth = 0) {
    std::vector<Directive> out;
    Directive d;
    while (const std::optional<Word> w = next()) {
      if (!w->mark) {
        d.words.push_back(*w);
        continue;
      }
      if (w->text == "}") {
        if (!d.words.empty())
          fail(*w, fmt::format("unexpected \"}}\"; end the directive \"{}\" with \";\"", d.words[0].text));
        if (depth == 0) fail(*w, "unexpected \"}\"; no block is open here");
        return out;
      }
      if (d.words.empty()) fail(*w, fmt::format("unexpected \"{}\"; a directive's name goes first", w->text));
      if (w->text == "{") {
        if (depth > 50) fail(*w, "blocks are nested too deeply");
        d.block = true;
        d.inside = read(depth + 1);
      }
      out.push_back(std::move(d));
      d = {};
    }
    if (!d.words.empty())
      fail(d.words[0], fmt::format("unexpected end of file; end the directive \"{}\" with \";\"",
                                   d.words[0].text));
    if (depth > 0) fail(line_, column_, "unexpected end of file, expecting \"}\"");
    return out;
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  char take() {
    const char c = text_[at_++];
    if (c == '\n') {
      ++line_;
      column_ = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      ++column_;
    }
    return c;
  }
  static bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  std::optional<Word> next() {
    while (!at_end()) {
      if (space(text_[at_])) take();
      else if (text_[at_] == '#') while (!at_end() && text_[at_] != '\n') take();
      else break;
    }
    if (at_end()) return std::nullopt;
    Word w;
    w.line = line_;
    w.column = column_;
    char c = take();
    if (c == '\0') fail(w, "not a configuration file: a zero byte");
    if (c == ';' || c == '{' || c == '}') {
      w.text = c;
      w.mark = true;
      return w;
    }
    if (c == '"' || c == '\'') {
      const char quote = c;
      while (true) {
        if (at_end()) fail(w, fmt::format("unexpected end of file; close the quote {}", quote));
        c = take();
        if (c == quote) break;
        if (c == '\\' && !at_end()) c = take();
        w.text += c;
      }
      if (!at_end() && !space(text_[at_]) && text_[at_] != ';' && text_[at_] != '{' && text_[at_] != ')')
        fail(line_, column_, fmt::format("unexpected \"{}\" after a quoted word", text_[at_]));
      return w;
    }
    for (;; c = take()) {
      if (c == '\\' && !at_end()) c = take();
      w.text += c;
      if (c == '$' && !at_end() && text_[at_] == '{') {  // ${variable}
        while (!at_end() && text_[at_] != '}' && text_[at_] != '\n') w.text += take();
        if (!at_end() && text_[at_] == '}') w.text += take();
      }
      if (at_end() || space(text_[at_]) || text_[at_] == ';' || text_[at_] == '{' || text_[at_] == '}')
        return w;
    }
  }

  const std::string& text_;
  std::string file_;
  std::size_t at_ = 0, line_ = 1, column_ = 1;
};

// ---- one upstream ---------------------------------------------------------------------------------

std::optional<std::uint32_t> whole(std::string_view text) {
  std::uint32_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n > 1000000000) return std::nullopt;
  return n;
}

// nginx's times in seconds: "30", "30s", "1m30s"; units from large to small, each once.
std::optional<double> seconds(std::string_view text) {
  static constexpr std::pair<char, double> units[] = {
      {'y', 31536000}, {'M', 2592000}, {'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  double total = 0;
  std::size_t unit = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto n = whole(text.substr(0, digits));
    if (digits == 0 || !n) return std::nullopt;
    if (digits == text.size()) return unit == 0 ? std::optional(total + *n) : std::nullopt;
    while (unit < std::size(units) && units[unit].first != text[digits]) ++unit;
    if (unit == std::size(units)) return std::nullopt;
    total += *n * units[unit++].second;
    text.remove_prefix(digits + 1);
  }
  return total < 3e9 ? std::optional(total) : std::nullopt;
}

class Upstream {
 public:
  Upstream(const Reader& reader, const Directive& block) : reader_(reader), block_(block) {}

  NginxUpstream read() {
    if (block_.words.size() != 2)
      reader_.fail(block_.words[0], "an upstream has one name: upstream backend { ... }");
    out_.name = block_.words[1].text;
    for (const Directive& d : block_.inside) directive(d);
    if (out_.servers.empty())
      reader_.fail(block_.words[0], fmt::format("no servers are inside upstream \"{}\"", out_.name));
    const bool backups = std::any_of(out_.servers.begin(), out_.servers.end(),
                                     [](const auto& s) { return s.backup; });
    if (backups && no_backup_)
      reader_.fail(*backup_at_, fmt::format("the balancing method \"{}\" does not support the parameter "
                                            "\"backup\"", out_.method));
    return std::move(out_);
  }

 private:
  void directive(const Directive& d) {
    const Word& name = d.words[0];
    const auto arguments = d.words.size() - 1;
    if (d.block)
      reader_.fail(name, fmt::format("\"{}\" is no block of an upstream", name.text));
    const auto wants = [&](bool fine, const char* form) {
      if (!fine)
        reader_.fail(name, fmt::format("invalid number of arguments in \"{}\"; write {}", name.text, form));
    };
    if (name.text == "server") {
      wants(arguments >= 1, "server address [parameters];");
      return server(d);
    }
    if (name.text == "least_conn") {
      wants(arguments == 0, "least_conn;");
      return method("least_conn", "least-connections", false);
    }
    if (name.text == "ip_hash") {
      wants(arguments == 0, "ip_hash;");
      return method("ip_hash", "modulo-hash", true);
    }
    if (name.text == "hash") {
      wants(arguments == 1 || arguments == 2, "hash key [consistent];");
      if (arguments == 2 && d.words[2].text != "consistent")
        reader_.fail(d.words[2], fmt::format("invalid parameter \"{}\"; only \"consistent\"", d.words[2].text));
      out_.without_effect.push_back(
          fmt::format("the key {} of \"hash\": what a session or cache key is says the workload", d.words[1].text));
      return arguments == 2 ? method("hash ... consistent", "consistent-hash", true)
                            : method("hash", "modulo-hash", true);
    }
    if (name.text == "random") {
      wants(arguments <= 2, "random [two [least_conn]];");
      if (arguments == 0) return method("random", "random", true);
      if (d.words[1].text != "two")
        reader_.fail(d.words[1], fmt::format("invalid parameter \"{}\"; only \"two\"", d.words[1].text));
      if (arguments == 2 && d.words[2].text != "least_conn")
        reader_.fail(d.words[2], fmt::format("\"random two {}\" has no counterpart here; \"random two "
                                             "least_conn\" has, or a service's \"routing\": \"peak-ewma\"",
                                             d.words[2].text));
      return method("random two", "power-of-two", true);
    }
    if (name.text == "sticky") {
      wants(arguments >= 1, "sticky cookie|route|learn ...;");
      return method("sticky", "session-affinity", false);
    }
    if (name.text == "least_time")
      reader_.fail(name, "\"least_time\" has no counterpart here; remove it and give the service \"routing\": "
                         "\"peak-ewma\", with its servers in \"balancer\"");
    static const std::map<std::string, std::string> harmless{
        {"zone", "workers share what they know anyway"},
        {"keepalive", "connections are those of the service's \"protocol\""},
        {"keepalive_requests", "connections are those of the service's \"protocol\""},
        {"keepalive_time", "connections are those of the service's \"protocol\""},
        {"keepalive_timeout", "connections are those of the service's \"protocol\""},
        {"resolver", "no names are resolved"},
        {"resolver_timeout", "no names are resolved"},
        {"state", "the servers are those of the file"},
        {"ntlm", "connections are those of the service's \"protocol\""}};
    const auto known = harmless.find(name.text);
    if (known == harmless.end()) {
      static const std::vector<std::string> names{"server",  "least_conn", "ip_hash",   "hash",
                                                  "random",  "sticky",     "keepalive", "zone",
                                                  "resolver"};
      reader_.fail(name, fmt::format("unknown directive \"{}\"{}", name.text, suggestion(name.text, names)));
    }
    wants(arguments >= 1 || name.text == "ntlm", "its value");
    if (name.text.starts_with("keepalive") && arguments == 1 && !seconds(d.words[1].text))
      reader_.fail(d.words[1], fmt::format("invalid value \"{}\" in \"{}\" directive", d.words[1].text, name.text));
    out_.without_effect.push_back(fmt::format("\"{}\": {}", name.text, known->second));
  }

  // As in nginx the last one holds.
  void method(const char* name, const char* policy, bool no_backup) {
    out_.method = name;
    out_.policy = policy;
    no_backup_ = no_backup;
  }

  void server(const Directive& d) {
    schedulers::ServerSpec s;
    s.max_fails = 1;
    for (std::size_t i = 2; i < d.words.size(); ++i) {
      const Word& w = d.words[i];
      const std::size_t equals = w.text.find('=');
      const std::string key = w.text.substr(0, equals);
      const std::string value = equals == std::string::npos ? "" : w.text.substr(equals + 1);
      const auto invalid = [&](const char* range) {
        reader_.fail(w, fmt::format("invalid parameter \"{}\"; {}", w.text, range));
      };
      const auto count = [&](std::uint32_t least, const char* range) {
        const auto n = whole(value);
        if (!n || *n < least) invalid(range);
        return *n;
      };
      const auto time = [&] {
        const auto t = seconds(value);
        if (!t) invalid("a time is such as 30s, 1m30s or 10");
        return Duration::from_seconds(*t);
      };
      if (equals == std::string::npos) {
        if (w.text == "backup") {
          s.backup = true;
          if (!backup_at_) backup_at_ = w;
          continue;
        }
        if (w.text == "down" || w.text == "drain") {
          s.down = true;
          continue;
        }
        if (w.text == "resolve") continue;
      } else {
        if (key == "weight") { s.weight = count(1, "a weight is a whole number from 1 on"); continue; }
        if (key == "max_fails") { s.max_fails = count(0, "a whole number; 0 = never"); continue; }
        if (key == "max_conns") { s.max_conns = count(0, "a whole number; 0 = no limit"); continue; }
        if (key == "fail_timeout") { s.fail_timeout = time(); continue; }
        if (key == "slow_start") {
          const Duration t = time();
          if (out_.slow_start != Duration::zero() && t != out_.slow_start)
            reader_.fail(w, "servers with unlike slow_start have no counterpart here; use one for all");
          out_.slow_start = t;
          continue;
        }
        if (key == "route" || key == "service") continue;
      }
      static const std::vector<std::string> names{"weight", "max_conns", "max_fails", "fail_timeout",
                                                  "backup", "down", "slow_start", "resolve", "route"};
      reader_.fail(w, fmt::format("invalid parameter \"{}\"{}", w.text, suggestion(key, names)));
    }
    out_.addresses.push_back(d.words[1].text);
    out_.servers.push_back(s);
  }

  const Reader& reader_;
  const Directive& block_;
  NginxUpstream out_;
  bool no_backup_ = false;
  std::optional<Word> backup_at_;
};

void find_upstreams(const std::vector<Directive>& directives, std::vector<const Directive*>& out) {
  for (const Directive& d : directives) {
    if (d.words[0].text == "upstream" && d.block) out.push_back(&d);
    else find_upstreams(d.inside, out);
  }
}

}  // namespace

NginxUpstream parse_nginx_upstream(const std::string& text, const std::string& file,
                                   const std::string& name) {
  Reader reader(text, file);
  const std::vector<Directive> all = reader.read();
  std::vector<const Directive*> blocks;
  find_upstreams(all, blocks);
  if (blocks.empty()) reader.fail(1, 1, "no upstream block is in this file");
  std::vector<std::string> names;
  const Directive* chosen = nullptr;
  for (const Directive* b : blocks) {
    if (b->words.size() != 2)
      reader.fail(b->words[0], "an upstream has one name: upstream backend { ... }");
    const std::string& own = b->words[1].text;
    if (std::find(names.begin(), names.end(), own) != names.end())
      reader.fail(b->words[1], fmt::format("duplicate upstream \"{}\"", own));
    names.push_back(own);
    if (own == name) chosen = b;
  }
  if (name.empty() && blocks.size() == 1) chosen = blocks.front();
  if (!chosen && name.empty())
    reader.fail(blocks[1]->words[0],
                fmt::format("{} upstreams are in this file; say which with \"upstream\"", blocks.size()));
  if (!chosen)
    reader.fail(1, 1, fmt::format("no upstream is called \"{}\"{}", name, suggestion(name, names)));
  return Upstream(reader, *chosen).read();
}

NginxUpstream read_nginx_upstream(const std::filesystem::path& path, const std::string& name) {
  return parse_nginx_upstream(read_regular_file(path, 16 << 20), path.string(), name);
}

}  // namespace isthmus::scenarios
