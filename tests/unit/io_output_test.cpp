// Files and folders of results appear whole or not at all.
#include "io/atomic_file.h"
#include "io/run_folder.h"

#include "support/broken_files.h"
#include "support/temporary_folder.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>

namespace tweedie::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// No file may grow beyond this many bytes, as if the disk were full.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(IoAtomicFile, WritesAndReplacesWithoutLeftovers) {
  const TemporaryFolder folder;
  write_atomically(folder / "a.txt", std::string("one"));
  write_atomically(folder / "a.txt", std::string("two"));
  EXPECT_EQ(read_text(folder / "a.txt"), "two");
  EXPECT_THAT(folder.names(), ElementsAre("a.txt"));
}

TEST(IoAtomicFile, WithoutCommitNothingChanges) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "old");
  {
    AtomicFile file(folder / "a.txt");
    file.write(to_bytes("new"));
    EXPECT_EQ(folder.names().size(), 2u);
  }
  EXPECT_EQ(read_text(folder / "a.txt"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("a.txt"));
}

TEST(IoAtomicFile, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "old");
  std::optional<ErrorKind> kind;
  {
    const SmallDisk disk(1000);
    try {
      write_atomically(folder / "a.txt", std::string(5000, 'x'));
    } catch (const Error& error) {
      kind = error.kind();
    }
  }
  EXPECT_EQ(kind, ErrorKind::resources);
  EXPECT_EQ(read_text(folder / "a.txt"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("a.txt"));
}

TEST(IoAtomicFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_THROW(write_atomically(folder.path(), std::string("x")), Error);
  EXPECT_THROW(write_atomically("/dev/null", std::string("x")), Error);
  EXPECT_THROW(write_atomically(folder / "no/such/folder.txt", std::string("x")), Error);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(IoAtomicFile, FollowsASymbolicLink) {
  const TemporaryFolder folder;
  write_text(folder / "real.txt", "old");
  fs::create_symlink(folder / "real.txt", folder / "link.txt");
  write_atomically(folder / "link.txt", std::string("new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link.txt"));
  EXPECT_EQ(read_text(folder / "real.txt"), "new");
}

TEST(IoRunFolder, AppearsWholeAtCommit) {
  const TemporaryFolder folder;
  RunFolder run(folder / "deep/run", false);
  write_text(run.path("a.txt"), "one");
  fs::create_directory(run.path("inner"));
  write_text(run.path("inner/b.txt"), "two");
  EXPECT_FALSE(fs::exists(folder / "deep/run"));
  run.commit();
  EXPECT_EQ(read_text(folder / "deep/run/a.txt"), "one");
  EXPECT_EQ(read_text(folder / "deep/run/inner/b.txt"), "two");
  EXPECT_EQ(run.path("a.txt"), fs::canonical(folder / "deep/run/a.txt"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "deep"), {}), 1);
}

TEST(IoRunFolder, ANameAloneIsInTheWorkingFolder) {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  {
    RunFolder run("name", false);
    write_atomically(run.path("file"), std::string("text"));
    run.commit();
  }
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "name" / "file"));
}

TEST(IoRunFolder, WithoutCommitNothingRemains) {
  const TemporaryFolder folder;
  {
    RunFolder run(folder / "run", false);
    write_text(run.path("a.txt"), "one");
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(IoRunFolder, AnExistingOneNeedsForce) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "run");
  write_text(folder / "run/a.txt", "old");
  for (const RunMode mode : {RunMode::whole, RunMode::live}) {
    EXPECT_THAT(message_of([&] { RunFolder(folder / "run", false, mode); }), HasSubstr("--force"));
  }
  { const RunFolder abandoned(folder / "run", true); }
  EXPECT_EQ(read_text(folder / "run/a.txt"), "old");
  RunFolder run(folder / "run/", true);  // with a slash, as shells complete it
  write_text(run.path("b.txt"), "new");
  EXPECT_TRUE(fs::exists(folder / "run/a.txt"));
  run.commit();
  EXPECT_FALSE(fs::exists(folder / "run/a.txt"));
  EXPECT_EQ(read_text(folder / "run/b.txt"), "new");
  EXPECT_THAT(folder.names(), ElementsAre("run"));
}

TEST(IoRunFolder, AFolderFilledMeanwhileIsNotOverwritten) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "run");  // an empty one is as good as none
  RunFolder run(folder / "run", false);
  write_text(run.path("a.txt"), "ours");
  write_text(folder / "run/b.txt", "theirs");
  EXPECT_THROW(run.commit(), Error);
  EXPECT_EQ(read_text(folder / "run/b.txt"), "theirs");
}

TEST(IoRunFolder, TwoAtOnceDoNotMix) {
  const TemporaryFolder folder;
  RunFolder one(folder / "run", false), two(folder / "run", false);
  EXPECT_NE(one.path("a"), two.path("a"));
  write_text(one.path("a"), "1");
  one.commit();
  write_text(two.path("a"), "2");
  EXPECT_THROW(two.commit(), Error);
  EXPECT_EQ(read_text(folder / "run/a"), "1");
}

TEST(IoRunFolder, LiveIsThereAtOnceAndStays) {
  const TemporaryFolder folder;
  {
    const RunFolder run(folder / "run", false, RunMode::live);
    write_text(run.path("log"), "1");
    EXPECT_TRUE(fs::exists(folder / "run/log"));
  }
  EXPECT_TRUE(fs::exists(folder / "run/log"));
  const RunFolder again(folder / "run", true, RunMode::live);
  EXPECT_FALSE(fs::exists(folder / "run/log"));
}

TEST(IoRunFolder, RefusesFilesAndFoldersItMustNotReplace) {
  const TemporaryFolder folder;
  write_text(folder / "file", "x");
  EXPECT_THAT(message_of([&] { RunFolder(folder / "file", true); }), HasSubstr("is a file"));
  EXPECT_THROW(RunFolder(folder / "file/run", false), Error);
  EXPECT_THROW(RunFolder("", false), Error);
  for (const char* path : {".", "..", "/"}) EXPECT_THROW(RunFolder(path, true), Error) << path;
}

}  // namespace
}  // namespace tweedie::test
