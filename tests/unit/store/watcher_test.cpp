// Goal: nobody is registered for what the thread has tested already or in another world, which
// would be a wake-up lost; the keys by which a subscription is woken are ones that each event it
// wants has. Method: a watcher of its own on a store on the disk, which has tested a known event
// when a second waiter comes; keys of selectors are counted and compared with those of events.
#include "store/watcher.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "store/engine.hpp"
#include "store/inside.hpp"
#include "store/pinned.hpp"
#include "support/temporary_directory.hpp"

namespace varve::test {
namespace {

constexpr std::uint64_t kLongUs = 5'000'000;

OpenOptions at_os() {
    OpenOptions options;
    options.durability = Durability::os;
    return options;
}

class Watching : public ::testing::Test {
protected:
    void SetUp() override {
        auto opened = Store::open(directory_.store(), at_os());
        ASSERT_TRUE(opened) << opened.error().message;
        store_.emplace(std::move(*opened));
        engine_ = store::Inside::engine(*store_);
    }
    [[nodiscard]] store::Looked looked() const {
        const auto view = engine_->view();
        return {view->published, view->epoch, view->definitions};
    }
    [[nodiscard]] std::vector<index::Key> tag(std::string_view name) const {
        return {engine_->meta().hasher.key(index::KeyKind::tag, name)};
    }
    [[nodiscard]] std::optional<std::vector<index::Key>> keys(const Selector& selector) const {
        const store::Pinned pinned(engine_->shared_meta(), *engine_->view());
        return store::keys_wanted(store::wanted_of(pinned, selector));
    }

    TemporaryDirectory directory_;
    std::optional<Store> store_;
    std::shared_ptr<store::Engine> engine_;
};

TEST_F(Watching, NobodyIsRegisteredForWhatWasTestedAlready) {
    store::Watcher watcher(*engine_);
    const store::Looked before = looked();
    const auto never = tag("never"), one = tag("one"), two = tag("two");
    // The one keeps the thread at it; the other one tells that the event was tested.
    std::thread busy([&] { EXPECT_TRUE(watcher.wait(before, never, kLongUs * 10)); });
    std::thread told([&] {
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_TRUE(watcher.wait(before, one, kLongUs));
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_TRUE(store_->append({{.tags = {"one", "two"}}}));
    told.join();
    EXPECT_FALSE(watcher.wait(before, two, kLongUs)) << "the event was tested before";
    const store::Looked now = looked();
    EXPECT_FALSE(watcher.wait({now.end, now.epoch + 1, now.definitions}, two, kLongUs));
    EXPECT_FALSE(watcher.wait({now.end, now.epoch, now.definitions + 1}, two, kLongUs));
    EXPECT_TRUE(watcher.wait(now, two, 1000)) << "nothing more came: the time ends it";
    watcher.wake_everybody();
    busy.join();
}

TEST_F(Watching, WhatCannotBeReadAnyMoreEndsTheWaitAndAllFurtherOnes) {
    store::Watcher watcher(*engine_);
    const store::Looked now = looked();
    const auto never = tag("never");
    std::thread waits([&] {
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_TRUE(watcher.wait(now, never, kLongUs * 4));
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_TRUE(store_->close());
    waits.join();
    EXPECT_FALSE(watcher.wait(now, never, kLongUs));
}

TEST_F(Watching, EachEventThatIsWantedHasOneOfTheKeys) {
    const Selector a = Selector::tag("a"), b = Selector::tag("b"), c = Selector::type("c");
    EXPECT_EQ(keys(a), tag("a"));
    EXPECT_EQ(keys(a | b)->size(), 2U);
    EXPECT_EQ(keys((a | b) & c)->size(), 1U) << "the fewest of those that must all be there";
    EXPECT_EQ(keys((a | b) & !c)->size(), 2U);
    EXPECT_EQ(keys((a & c) | (b & c))->size(), 1U) << "c";
    EXPECT_EQ(keys(Selector({{.types = {"c", "d"}}, {.tags = {"a"}}}))->size(), 3U);
    EXPECT_EQ(keys(Selector::nothing())->size(), 0U);
    EXPECT_EQ(keys(Selector::derived("unknown"))->size(), 0U);
    EXPECT_FALSE(keys(Selector::all()));
    EXPECT_FALSE(keys(!a));
    EXPECT_FALSE(keys(a | !b)) << "an event without b has neither key";
    EXPECT_FALSE(keys((!a) & !b));
}

}  // namespace
}  // namespace varve::test
