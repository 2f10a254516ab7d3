// Goal: consumers of several processes: whoever waits for one is woken, one that is closed or dies
// is taken over, a forked child holds nothing, a reader needs only the directory of consumers.
// Method: real processes over pipes; an env that looks again only after a hundred seconds, so that
// a lost wake-up is a failure.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>

#include "support/child.hpp"
#include "support/patient_env.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr std::uint32_t kLongMs = 60'000;  // within which a wake-up must come

OpenOptions options_for(Access access, os::Env* env = nullptr) {
    OpenOptions options;
    options.access = access;
    options.env = env;
    return options;
}

void create(const std::string& path) {
    auto store = Store::open(path);
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE(store->append({{.type = "A"}}));
}

/// Handles `count` events as consumer "one"; an exit code.
int consume(const std::string& path, os::Env* env, std::uint64_t count, const Pipe* ready) {
    auto store = Store::open(path, options_for(Access::read_only, env));
    if (!store) return 2;
    ConsumerOptions options;
    options.wait_ms = kLongMs;
    auto consumer = Consumer::open(*store, "one", Selector::type("A"), options);
    if (!consumer) return 3;
    if (ready != nullptr) ready->tell();
    while (count > 0) {
        auto batch = consumer->next(1, kLongMs);
        if (!batch || batch->empty()) return 4;
        if (!consumer->ack(batch->last())) return 5;
        --count;
    }
    // Its checkpoint may still wait until the last event is durable.
    return consumer->next(1, 0) && consumer->close() ? 0 : 6;
}

TEST(ConsumerProcesses, WhoWaitsForAConsumerIsWoken) {
    TemporaryDirectory directory;
    create(directory.store());
    const Pipe ready;
    constexpr std::uint64_t kRounds = 300;
    PatientEnv env;
    Child child([&] { return consume(directory.store(), &env, 2 * kRounds + 1, &ready); });
    ready.listen();
    auto store = Store::open(directory.store(), options_for(Access::read_write, &env));
    ASSERT_TRUE(store);
    for (std::uint64_t n = 0; n < kRounds; ++n) {
        // The last one does not match: the checkpoint must pass it all the same.
        auto done = store->append({{.type = "A"}, {.type = "A"}, {.type = "B"}});
        ASSERT_TRUE(done);
        const auto begin = std::chrono::steady_clock::now();
        if (n + 1 == kRounds) break;
        auto reached = Consumer::wait(*store, "one", done->last, kLongMs);
        ASSERT_TRUE(reached && *reached) << n;
        ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30)) << n;
    }
    EXPECT_EQ(child.wait(), 0);
    EXPECT_TRUE(Consumer::verify(*store, "one")->good);
    EXPECT_FALSE(*Consumer::wait(*store, "one", Position{1'000'000}, 1));
}

TEST(ConsumerProcesses, OneThatIsClosedIsTakenOverAtOnce) {
    TemporaryDirectory directory;
    create(directory.store());
    PatientEnv env;
    auto store = Store::open(directory.store(), options_for(Access::read_only));
    ASSERT_TRUE(store);
    auto consumer = Consumer::open(*store, "one", Selector::type("A"));
    ASSERT_TRUE(consumer);
    Child child([&] { return consume(directory.store(), &env, 1, nullptr); });
    ::usleep(200'000);
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(consumer->close());
    EXPECT_EQ(child.wait(), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(ConsumerProcesses, OneThatDiesIsTakenOver) {
    TemporaryDirectory directory;
    create(directory.store());
    const Pipe ready;
    Child child([&] { return consume(directory.store(), nullptr, 2, &ready); });
    ready.listen();
    auto store = Store::open(directory.store(), options_for(Access::read_only));
    ASSERT_TRUE(store);
    EXPECT_EQ(Consumer::open(*store, "one").error().code, ErrorCode::locked);
    child.kill();
    ConsumerOptions options;
    options.wait_ms = kLongMs;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(Consumer::open(*store, "one", options));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
    EXPECT_EQ(child.wait(), 128 + SIGKILL);
}

TEST(ConsumerProcesses, ResumingWakesIt) {
    TemporaryDirectory directory;
    create(directory.store());
    const Pipe ready;
    PatientEnv env;
    auto store = Store::open(directory.store(), options_for(Access::read_only));
    ASSERT_TRUE(store);
    ASSERT_TRUE(Consumer::open(*store, "one", Selector::type("A")));
    ASSERT_TRUE(Consumer::pause(*store, "one", true));
    Child child([&] { return consume(directory.store(), &env, 1, &ready); });
    ready.listen();
    ::usleep(200'000);
    EXPECT_EQ(Consumer::find(*store, "one")->checkpoint.position.value, 0U);
    ASSERT_TRUE(Consumer::pause(*store, "one", false));
    EXPECT_EQ(child.wait(), 0);
}

TEST(ConsumerProcesses, AForkedChildHoldsNothing) {
    TemporaryDirectory directory;
    create(directory.store());
    auto store = Store::open(directory.store(), options_for(Access::read_only));
    ASSERT_TRUE(store);
    auto consumer = Consumer::open(*store, "one", Selector::type("A"));
    ASSERT_TRUE(consumer);
    const Pipe go_on;
    const Pipe looked;
    Child child([&] {
        const bool closed = consumer->next(1, 0).error().code == ErrorCode::closed &&
                            consumer->ack(Position{1}).error().code == ErrorCode::closed;
        looked.tell();
        go_on.listen();
        return closed ? 0 : 1;
    });
    looked.listen();
    ASSERT_TRUE(consumer->close());
    EXPECT_TRUE(Consumer::open(*store, "one")) << "while the child lives";
    go_on.tell();
    EXPECT_EQ(child.wait(), 0);
}

/// As a user for whom permissions count. 0, or the number of the step that went wrong.
int consume_with_few_permissions(const std::string& path) {
    create(path);
    const std::string consumers = path + "/consumers";
    {
        auto store = Store::open(path, options_for(Access::read_only));
        if (!store || !Consumer::open(*store, "one", Selector::type("A"))) return 1;
    }
    if (::chmod(path.c_str(), 0500) != 0) return 2;
    auto store = Store::open(path, options_for(Access::read_only));
    if (!store) return 3;
    if (!Consumer::open(*store, "one")) return 4;
    if (!Consumer::open(*store, "two", Selector::type("A"))) return 5;
    if (::chmod(consumers.c_str(), 0500) != 0) return 6;
    auto refused = Consumer::open(*store, "three", Selector::all());
    if (refused || refused.error().code != ErrorCode::permission) return 7;
    const bool back = ::chmod(consumers.c_str(), 0700) == 0 && ::chmod(path.c_str(), 0700) == 0;
    return back ? 0 : 8;
}

TEST(ConsumerProcesses, AReaderNeedsOnlyTheDirectoryOfConsumers) {
    constexpr uid_t kNobody = 65534;
    TemporaryDirectory directory;
    const bool root = ::geteuid() == 0;  // who may do everything
    if (root) {
        ASSERT_EQ(::chown(directory.path().c_str(), kNobody, kNobody), 0);
    }
    Child other([&] {
        if (root && ::setuid(kNobody) != 0) return 9;
        return consume_with_few_permissions(directory.store());
    });
    EXPECT_EQ(other.wait(), 0);
}

}  // namespace
}  // namespace varve::test
