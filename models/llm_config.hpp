// Language models from the config.json of a published checkpoint.
#pragma once

#include <string>

#include "models/llm_shape.hpp"

namespace isthmus::models {

//! Reads a Hugging Face config.json: num_hidden_layers, hidden_size, num_attention_heads,
//! num_key_value_heads, head_dim, intermediate_size, moe_intermediate_size, vocab_size,
//! tie_word_embeddings, num_experts or num_local_experts, num_experts_per_tok,
//! max_position_embeddings; below text_config for vision-language models, whose vision_config gives
//! the tower (depth, hidden_size or embed_dim, num_heads, intermediate_size or mlp_ratio,
//! patch_size, spatial_merge_size). `name` becomes the shape's name.
//!
//! Plain feed-forward blocks (two matrices) are assumed for model types that have them (opt, gpt2,
//! gpt_neox, phi, falcon, bloom, mpt), gated ones for all others. The merger of a tower is counted
//! as patch embedding, one square matrix over the merged patches and its projection to the text
//! width (GLM-4V: its own gated merger). Throws InputError, with file and key, for files that are
//! no such configuration: encoder models, shared or leading dense experts, and latent attention are
//! refused by name.
LlmShape llm_from_config(const std::string& path, const std::string& name);

}  // namespace isthmus::models
