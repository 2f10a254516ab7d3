// Goal: while segments are sealed, merged, replaced and removed under their eyes, processes answer
// in full. Method: one process appends small segments as fast as it can, two others read by name
// and count, long-lived and freshly opened; in a second round a fourth deletes every derived file
// again and again.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "support/small_segments.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr std::uint64_t kEvents = 6'000;
constexpr std::uint64_t kStreams = 7;

OpenOptions options_for(Access access) {
    return small_segments(access, {.first = 64 << 10, .max = 64 << 10});
}

int exit_code(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

template <class Body>
pid_t in_child(Body&& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(120);  // bounded, whatever the others do
        ::_exit(body());
    }
    return child;
}

/// Every event carries the tag "all"; event n is of stream n mod kStreams. Empty if all is there.
std::string look(const Store& store, std::uint64_t& published) {
    auto now = store.snapshot();
    if (!now) return "no snapshot: " + now.error().message;
    published = now->published().value;
    std::uint64_t next = 1;
    bool gap = false;
    auto seen = now->read(Source::tag("all")).for_each([&](const EventView& event) {
        gap = gap || event.position.value != next;
        ++next;
    });
    if (!seen) return "reading: " + seen.error().message + " " + seen.error().file;
    if (gap || next != published + 1)
        return std::to_string(next - 1) + " of " + std::to_string(published) + " events by tag";
    for (std::uint64_t n = 0; n < kStreams; ++n) {
        auto version = now->version("s" + std::to_string(n));
        if (!version) return "version: " + version.error().message + " " + version.error().file;
        if (*version != (published + kStreams - 1 - n) / kStreams)
            return "stream " + std::to_string(n) + " has version " + std::to_string(*version);
    }
    return "";
}

int read_until_all(const std::string& path, bool opens_again) {
    auto store = Store::open(path, options_for(Access::read_only));
    if (!store) return 2;
    for (std::uint64_t published = 0; published < kEvents;) {
        if (opens_again) store = Store::open(path, options_for(Access::read_only));
        const std::string wrong = store ? look(*store, published) : store.error().message;
        if (wrong.empty()) continue;
        std::fprintf(stderr, "reader%s: %s\n", opens_again ? " that opens again" : "",
                     wrong.c_str());
        return 1;
    }
    return 0;
}

/// Appends everything; returns false on an error.
void append_all(Store& store) {
    const std::string data(700, 'd');
    for (std::uint64_t n = 0; n < kEvents; ++n) {
        auto done = store.append({{.stream = "s" + std::to_string(n % kStreams),
                                   .tags = {"all", n % 100 == 0 ? "seldom" : "often"},
                                   .data = data}});
        ASSERT_TRUE(done) << done.error().message << " " << done.error().file;
    }
}

std::size_t merged_files(const std::string& path) {
    std::size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(path + "/index")) {
        const std::string name = file.path().filename();
        if (name.ends_with(".idx") && name.substr(0, 10) != name.substr(11, 10)) ++count;
    }
    return count;
}

TEST(SealConcurrently, ReadersNeverAnswerShort) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_TRUE(store);
    const pid_t follower = in_child([&] { return read_until_all(directory.store(), false); });
    const pid_t opener = in_child([&] { return read_until_all(directory.store(), true); });
    append_all(*store);
    EXPECT_EQ(exit_code(follower), 0);
    EXPECT_EQ(exit_code(opener), 0);
    std::uint64_t published = 0;
    EXPECT_EQ(look(*store, published), "");
    // Merging is the sealer's last concern: on a busy machine it comes later.
    for (int n = 0; n < 3'000 && merged_files(directory.store()) == 0; ++n) ::usleep(10'000);
    EXPECT_GE(merged_files(directory.store()), 1U);
    EXPECT_EQ(look(*store, published), "");
    EXPECT_TRUE(store->close());
}

TEST(SealConcurrently, NoDerivedFileIsNeeded) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_TRUE(store);
    const pid_t remover = in_child([&] {
        while (true) {
            std::error_code ignored;
            for (const auto& file :
                 std::filesystem::directory_iterator(directory.store() + "/index", ignored)) {
                // One that is being written belongs to its writer.
                if (file.path().extension() == ".idx") std::filesystem::remove(file, ignored);
            }
            ::usleep(2'000);
        }
        return 0;
    });
    const pid_t opener = in_child([&] { return read_until_all(directory.store(), true); });
    append_all(*store);
    EXPECT_EQ(exit_code(opener), 0);
    ::kill(remover, SIGKILL);
    static_cast<void>(exit_code(remover));
    std::uint64_t published = 0;
    EXPECT_EQ(look(*store, published), "");
    EXPECT_TRUE(store->close());
    std::filesystem::remove_all(directory.store() + "/index");
    store = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(look(*store, published), "");
    EXPECT_EQ(published, kEvents);
}

}  // namespace
}  // namespace varve::test
