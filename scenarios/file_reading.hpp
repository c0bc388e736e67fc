// Reads small input files without ever blocking on a pipe, a device or a directory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace isthmus::scenarios {

//! The bytes of a regular file. Throws InputError, starting with the path, when it is missing, not
//! a regular file (directories, pipes, devices), not readable or larger than `limit` bytes.
std::string read_regular_file(const std::filesystem::path& path, std::size_t limit);

//! Throws InputError like read_regular_file, without reading; for files that are streamed later.
void require_regular_file(const std::filesystem::path& path);

//! Writes a file in one step: a temporary name beside it, then a rename. Throws Error on failure.
void write_file_atomically(const std::filesystem::path& path, const std::string& content);

//! Replaces a leading "$ISTHMUS_DATA" or "${ISTHMUS_DATA}" by the variable's value, or by the
//! folder `shared` next to the source tree when it is unset, and a leading "$ISTHMUS_PROFILES/" by the
//! folder of the shipped kernel profiles; other relative paths are taken from `folder`. Throws InputError when the variable is needed and neither exists.
std::filesystem::path expand_path(const std::string& written, const std::filesystem::path& folder);

}  // namespace isthmus::scenarios
