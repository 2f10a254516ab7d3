// Goal: what docs/consumers.md says of consumers that want only what a matcher takes: they follow a
// derived stream that has it, and lose nothing when content is erased. Method: the page's own
// lines, in the simulated machine; the page prints them from here.
#include <gtest/gtest.h>

#include "support/consuming.hpp"

namespace varve::test {
namespace {

struct Mail {
    explicit Mail(os::SimEnv& world) : store(open_store(world)) {}

    void place(int total) {
        const std::string data = R"({"total":)" + std::to_string(total) + "}";
        auto done = store.append({{.stream = "s-1", .type = "Placed", .data = data}});
        ASSERT_TRUE(done) << done.error().message;
    }
    Result<Consumer> open() {
        // [matched]
        auto big = varve::Matcher::compile(R"({"data":{"total":{"$gte":1000}}})");
        if (!big) return std::move(big).error();
        auto defined = store.define(
            varve::NewDefinition::stream("big orders", varve::Selector::type("Placed"), *big));
        if (!defined) return std::move(defined).error();
        return varve::Consumer::open(store, "mail", varve::Selector::derived("big orders"));
        // [/matched]
    }

    Store store;
};

Consumer opened(Mail& mail) {
    auto consumer = mail.open();
    EXPECT_TRUE(consumer) << consumer.error().message;
    return std::move(*consumer);
}

TEST(MatchedConsumer, GetsWhatTheMatcherOfItsDerivedStreamTakes) {
    os::SimEnv world(1);
    Mail mail(world);
    mail.place(2'000);  // 1, before the definition
    mail.place(10);
    {
        Consumer consumer = opened(mail);  // 3 is the definition
        mail.place(5);
        mail.place(1'000);  // 5
        mail.place(999);
        const Batch batch = take(consumer);
        EXPECT_EQ(positions_of(batch), (Positions{1, 5}));
        ASSERT_TRUE(consumer.ack(batch.last()));
        EXPECT_TRUE(take(consumer).empty());
        EXPECT_EQ(consumer.checkpoint().position.value, 6U) << "what does not match is passed";
    }
    // The same lines in the next process: what is defined is left as it is, the consumer goes on.
    Consumer again = opened(mail);
    mail.place(3'000);  // 7
    EXPECT_EQ(positions_of(take(again)), (Positions{7}));
}

TEST(MatchedConsumer, CountsWhatWasErasedSinceLikeEverythingElse) {
    os::SimEnv world(1);
    Mail mail(world);
    mail.place(2'000);  // 1, before the definition
    {
        Consumer consumer = opened(mail);
        ASSERT_TRUE(mail.store.list_past());
        mail.place(3'000);  // 3
        const Batch batch = take(consumer);
        EXPECT_EQ(positions_of(batch), (Positions{1, 3}));
        ASSERT_TRUE(consumer.ack(batch.last()));
    }
    mail.place(4'000);
    for (const std::uint64_t position : {1U, 3U, 4U}) {
        const Position one{position};
        ASSERT_TRUE(mail.store.erase({&one, 1}));
    }
    Consumer consumer = opened(mail);
    const Batch batch = take(consumer);
    ASSERT_EQ(positions_of(batch), (Positions{4}));
    EXPECT_TRUE(batch.events()[0].erased);
    ASSERT_TRUE(consumer.ack(batch.last()));
    ASSERT_TRUE(consumer.close());
    auto report = Consumer::verify(mail.store, "mail");
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->good);
    EXPECT_EQ(report->checkpoint.acknowledged, 3U);
}

}  // namespace
}  // namespace varve::test
