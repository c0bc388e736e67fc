// A directory that appears whole or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace isthmus::results {

//! Files are written into a hidden sibling ".<name>.partial-<process>-<number>"; publish() renames
//! it. A killed run leaves only that sibling, which the next run of the same name removes: a living
//! run holds a lock on its own, so it is never taken away from it. Every failure is an Error that
//! names the path and the system's reason.
class RunDirectory {
 public:
  //! `final` must not exist; its parents are created.
  explicit RunDirectory(std::filesystem::path final);
  //! Removes the partial directory unless it was published.
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  //! Path of a file inside the partial directory.
  std::filesystem::path file(std::string_view name) const { return partial_ / name; }
  //! Writes a whole text file.
  void write(std::string_view name, std::string_view text) const;
  //! Renames to the final name; Error when something stands there by now.
  void publish();

 private:
  void remove_leftovers() const;
  bool try_create(unsigned attempt);

  std::filesystem::path final_, partial_;
  std::string prefix_;
  int lock_ = -1;
};

}  // namespace isthmus::results
