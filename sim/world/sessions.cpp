#include "sim/world/sessions.hpp"

#include <algorithm>
#include <bit>

#include "sim/core/hash.hpp"

namespace isthmus::world {

namespace {

constexpr std::uint32_t longest_prompt = 4'000'000'000;  // no service can hold it

enum class Piece : std::uint64_t { system, image, text, answer };

// Numbers blocks by everything up to their end.
class Contents {
 public:
  explicit Contents(PromptBlocks& blocks) : blocks_(blocks) {
    // An engine makes up to `tokens` numbers below 2^62 of each (sim/world/serving.cpp).
    mask_ = (1ULL << (62 - std::bit_width(blocks.tokens - 1U))) - 1;
  }

  void add(std::uint64_t name, std::uint32_t tokens) {
    for (std::uint32_t from = 0; from < tokens;) {
      const std::uint32_t here = std::min(tokens - from, blocks_.tokens - filled_);
      chain_ = hash_combine(hash_combine(chain_, name),
                            static_cast<std::uint64_t>(from) << 32 | here);
      from += here;
      filled_ += here;
      if (filled_ < blocks_.tokens) continue;
      filled_ = 0;
      blocks_.contents.push_back(chain_ & mask_);
    }
  }

 private:
  PromptBlocks& blocks_;
  std::uint64_t mask_ = 0, chain_ = 0;
  std::uint32_t filled_ = 0;  // tokens of the block at the end
};

}  // namespace

SessionPrompt session_prompt(const SessionShape& shape, std::uint64_t workload,
                             std::uint64_t session, const std::vector<Turn>& turns) {
  SessionPrompt prompt;
  auto blocks = std::make_shared<PromptBlocks>();
  blocks->tokens = shape.block_tokens;
  Contents contents(*blocks);
  const auto add = [&](Piece piece, std::uint64_t of, std::size_t turn, std::uint32_t tokens) {
    contents.add(hash_combine(hash_combine(of, turn), static_cast<std::uint64_t>(piece)), tokens);
    prompt.tokens += std::min(tokens, longest_prompt - prompt.tokens);
  };
  add(Piece::system, workload, 0, shape.system_tokens);
  const std::size_t first_image =
      turns.size() > shape.keep_images ? turns.size() - shape.keep_images : 0;
  for (std::size_t t = 0; t < turns.size(); ++t) {
    const bool last = t + 1 == turns.size();
    if (t >= first_image) add(Piece::image, session, t, turns[t].image);
    if (last) prompt.image_end = turns[t].image > 0 ? prompt.tokens : 0;
    add(Piece::text, session, t, turns[t].text);
    if (!last) add(Piece::answer, session, t, turns[t].answer);
    if (last || (t >= first_image && turns[t].image > 0)) prompt.upload += turns[t].upload;
  }
  prompt.blocks = std::move(blocks);
  return prompt;
}

}  // namespace isthmus::world
