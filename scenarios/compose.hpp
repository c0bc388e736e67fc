// Builds one tree out of files that extend each other, and sets single values by JSON pointer.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/json_document.hpp"

namespace isthmus::scenarios {

//! A setting in text form, as `--set /offload/alpha=0.7` or a Python caller gives it.
struct Override {
  std::string pointer;  //!< JSON pointer (RFC 6901) into the scenario
  std::string value;    //!< JSON text; what is no JSON is taken as a string
};

//! The same, parsed; or an entry of "compare" or "sweep".
struct Edit {
  std::string pointer;
  Value value;  //!< objects are merged into what is there, null removes, the rest replaces
};

//! Layer of values that are set from outside the files; see Sources::add.
inline constexpr int override_layer = 1000;

//! A scenario as written: every file that takes part, merged.
struct Document {
  Sources sources;
  Value root;
  std::filesystem::path path;    //!< of the outermost file
  std::filesystem::path folder;  //!< relative paths in the scenario start here
};

//! Reads a scenario file and everything it extends. Throws InputError for malformed files, missing
//! files and cycles (with the chain of files).
Document read_document(const std::filesystem::path& path);
//! The same for a scenario that is no file: `json` is its text, `name` stands in error messages,
//! relative paths start in `folder`.
Document read_document_text(const std::string& json, const std::string& name,
                            const std::filesystem::path& folder);

//! Splits "/pointer=value". Throws InputError when it has another form.
Override split_override(const std::string& text);
//! Parses a setting and registers it in `sources`, above every file. Throws InputError.
Edit parse_override(const Override& setting, Sources& sources);

//! The catalogue entry below an object at a pointer of two tokens or more ("/nodes/edge"), or null.
using EntryBelow =
    std::function<const Value*(const std::vector<std::string>& pointer, const Value& object)>;

//! Applies overrides in order. The pointer must exist up to its last token, in the document or in
//! the entry below it; the last may be new in an object. Throws InputError otherwise.
void apply_edits(const std::vector<Edit>& overrides, Document& document, const EntryBelow& below);

//! Merges `upper` into `lower`: members of objects one by one, everything else replaces, null
//! removes. Positions stay with the values.
void merge(Value& lower, const Value& upper);

//! The value at a JSON pointer, or null.
const Value* find_pointer(const Value& root, std::string_view pointer);

}  // namespace isthmus::scenarios
