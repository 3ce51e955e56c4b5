#pragma once
// The folder that a command leaves its results in. An existing one is never overwritten unless asked.

#include <filesystem>
#include <vector>

namespace tweedie {

enum class RunMode {
  whole,  // all files are written in a hidden folder beside it, and appear together at commit()
  live,   // the folder is there at once and fills up, for training
};

class RunFolder {
 public:
  // Error(path) when path is a file, or a folder with something in it and not force. With force the old
  // content goes: at once in live mode, at commit() in whole mode. A folder that holds the working folder is
  // never replaced.
  RunFolder(const std::filesystem::path& path, bool force, RunMode mode = RunMode::whole);
  // Without commit(), whole mode leaves everything as it was.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  // Where to write the file of this name now.
  std::filesystem::path path(const std::filesystem::path& name) const { return folder_ / name; }

  void commit();

 private:
  std::filesystem::path target_, folder_;
  std::vector<std::filesystem::path> made_;  // folders made to hold it, innermost first
  bool force_;
  bool pending_ = false;
};

}  // namespace tweedie
