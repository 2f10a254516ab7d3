// Goal: of many subscriptions that wait in one process, each is woken for every event that it
// wants, whatever its selector is made of, and hardly any is woken for what it does not want;
// closing ends all waits. Method: events are appended one by one, each only when whoever wants the
// one before has it, so that no later event makes up for a wake-up that was lost; the kernel counts
// how often a thread has slept.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "support/small_segments.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr std::size_t kSubscriptions = 48;  // more than wait for themselves
constexpr std::uint32_t kLongMs = 60'000;

std::string name_of(const char* what, std::size_t number) {
    return std::string(what) + std::to_string(number);
}

/// What an event is called that only subscription `number` wants.
struct Names {
    std::string stream, type, tag, other;
    [[nodiscard]] NewEvent event() const {
        return {.stream = stream, .type = type, .tags = {tag, other}, .data = R"({"n":1})"};
    }
};

Names names_of(std::size_t number) {
    return {name_of("category", number) + "-7", name_of("type", number), name_of("tag/", number),
            name_of("other/", number)};
}

/// Selectors of every kind, in turn.
Selector selector_of(std::size_t number) {
    const Names names = names_of(number);
    switch (number % 9) {
        case 0: return Selector::tag(names.tag);
        case 1: return Selector::stream(names.stream);
        case 2: return Selector::category(name_of("category", number));
        case 3: return Selector({{.types = {names.type, "none"}, .tags = {names.tag}}});
        case 4: return Selector::tag("none") | Selector::type(names.type);
        case 5: return Selector::tag(names.tag) & !Selector::tag("none");
        case 6: return Selector::derived("numbers") & Selector::tag(names.tag);
        case 7: return (!Selector::tag("none")) & (Selector::tag(names.tag) | Selector::tag("x"));
        default: return Selector::type(names.type) & Selector::all();
    }
}

/// Threads, each of which waits with a subscription of its own.
class Crowd {
public:
    explicit Crowd(const Store& store) {
        for (std::size_t n = 0; n < kSubscriptions; ++n)
            threads_.emplace_back([this, &store, n] { follow(store, n); });
        while (ready_ < kSubscriptions) std::this_thread::yield();
    }
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;
    ~Crowd() { join(); }

    void join() {
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
    }
    /// False if that subscription has not got so many events soon.
    [[nodiscard]] bool receives(std::size_t number, std::uint64_t events) const {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (got_[number] < events && std::chrono::steady_clock::now() < until)
            std::this_thread::yield();
        return got_[number] == events;
    }
    [[nodiscard]] std::uint64_t sleeps(std::size_t number) const { return sleeps_[number]; }
    [[nodiscard]] std::size_t closed() const { return closed_; }

private:
    void follow(const Store& store, std::size_t number) {
        auto live = store.follow(selector_of(number));
        ASSERT_TRUE(live) << live.error().message;
        ++ready_;
        while (true) {
            auto run = live->next(kLongMs);
            if (!run) {
                closed_ += run.error().code == ErrorCode::closed ? 1 : 0;
                break;
            }
            if (run->empty()) break;
            got_[number] += run->size();
        }
        rusage used{};
        ::getrusage(RUSAGE_THREAD, &used);
        sleeps_[number] = static_cast<std::uint64_t>(used.ru_nvcsw);
    }

    std::vector<std::thread> threads_;
    std::atomic<std::size_t> ready_{0}, closed_{0};
    std::atomic<std::uint64_t> got_[kSubscriptions] = {};
    std::uint64_t sleeps_[kSubscriptions] = {};
};

Result<Defined> define_numbers(Store& store) {
    auto matcher = Matcher::compile(R"({"data":{"n":1}})");
    if (!matcher) return std::move(matcher).error();
    return store.define(NewDefinition::stream("numbers", Selector::all(), *matcher));
}

/// Each event to one subscription, in an order that the seed decides.
void append_one_by_one(Store& store, const Crowd& crowd, int rounds) {
    std::uint64_t sent[kSubscriptions] = {};
    std::uint64_t random = 1;
    for (int n = 0; n < rounds; ++n) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        const std::size_t number = (random >> 33) % kSubscriptions;
        const Names names = names_of(number);
        ASSERT_TRUE(store.append({names.event()}));
        ASSERT_TRUE(crowd.receives(number, ++sent[number]))
            << "subscription " << selector_of(number).text() << ", event " << n;
    }
}

void nobody_sleeps_through(Store& writer, Store& followed) {
    ASSERT_TRUE(define_numbers(writer));
    Crowd crowd(followed);
    append_one_by_one(writer, crowd, 2'000);
    ASSERT_TRUE(followed.close());
    crowd.join();
    EXPECT_EQ(crowd.closed(), kSubscriptions);
}

TEST(Watcher, NobodyOfManySleepsThroughAnEventOfHis) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments(Access::read_write));
    ASSERT_TRUE(store);
    nobody_sleeps_through(*store, *store);
}

TEST(Watcher, NorDoesAnybodyWhoOnlyReads) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments(Access::read_write));
    auto reader = Store::open(directory.store(), small_segments(Access::read_only));
    ASSERT_TRUE(store && reader);
    nobody_sleeps_through(*store, *reader);
}

TEST(Watcher, WhatIsDefinedWhileManyWaitIsDelivered) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments(Access::read_write));
    ASSERT_TRUE(store);
    Crowd crowd(*store);
    // Of a stream that is not defined yet there is nothing to wait for.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ASSERT_TRUE(define_numbers(*store));
    append_one_by_one(*store, crowd, 300);
    ASSERT_TRUE(store->close());
}

TEST(Watcher, OthersSleepOn) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments(Access::read_write));
    ASSERT_TRUE(store);
    constexpr std::uint64_t kEvents = 1'000;
    Crowd crowd(*store);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const Names names = names_of(9);  // a tag
    for (std::uint64_t n = 1; n <= kEvents; ++n) {
        ASSERT_TRUE(store->append({names.event()}));
        ASSERT_TRUE(crowd.receives(9, n));
    }
    ASSERT_TRUE(store->close());
    crowd.join();
    std::uint64_t all = 0;
    for (std::size_t n = 0; n < kSubscriptions; ++n)
        if (n != 9) all += crowd.sleeps(n);
    // If each event woke everybody, each would have slept as often as there were events.
    EXPECT_LT(all, kSubscriptions * kEvents / 4);
    EXPECT_EQ(crowd.closed(), kSubscriptions);
}

}  // namespace
}  // namespace varve::test
