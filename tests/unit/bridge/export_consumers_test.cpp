// Goal: a consumer of a store becomes one of the storage, behind the same event and with its state;
// what cannot be carried over is told. Method: consumers of every kind in one store, between whose
// events definitions stand; what the storage says of them is compared with the events they passed.
#include <gtest/gtest.h>

#include <algorithm>

#include "bridge/consumer_names.hpp"
#include "support/nes_storage.hpp"
#include "support/temporary_directory.hpp"
#include "varve/consumer.hpp"
#include "varve/group.hpp"
#include "varve/nes_export.hpp"

namespace varve::nes {
namespace {

class ExportedConsumers : public testing::TestWithParam<Layout> {
protected:
    ExportedConsumers() : store_(opened()) {
        options_.directory = directory_.path() + "/out";
        options_.name = "es";
        options_.layout = GetParam();
        options_.tell = [this](const Lost& lost) { told_.push_back(lost); };
        // Events at positions 1 2 3, 5 6 7, 9 10 11: of streams a, b/c, a each time.
        add();
        EXPECT_TRUE(store_.define(NewDefinition::stream("both", selector_of_both())));
        add();
        EXPECT_TRUE(store_.define(NewDefinition::stream("shut", Selector::all())));
        add();
        EXPECT_TRUE(store_.close_definition("shut"));
    }
    [[nodiscard]] Store opened() const {
        OpenOptions options;
        options.durability = Durability::os;
        return std::move(*Store::open(directory_.store(), options));
    }
    static Selector selector_of_both() { return Selector::stream("a") | Selector::stream("b/c"); }
    void add() {
        NewEvent one;
        one.stream = "a";
        one.type = "T";
        one.data = R"({"type":"T"})";
        NewEvent other = one;
        other.stream = "b/c";
        ASSERT_TRUE(store_.append({one, other, one}));
        ASSERT_TRUE(store_.sync());
    }
    void consume(const std::string& name, const Selector& selector, std::uint64_t position,
                 std::string_view state = {}) {
        auto consumer = Consumer::open(store_, name, selector);
        ASSERT_TRUE(consumer) << consumer.error().message;
        ASSERT_TRUE(consumer->seek(Position{position}, state));
        ASSERT_TRUE(consumer->close());
    }
    ExportReport exported() {
        auto report = export_storage(store_, options_);
        EXPECT_TRUE(report) << report.error().message;
        return std::move(*report);
    }
    [[nodiscard]] std::vector<std::string> consumers() const {
        StorageOptions reading;
        reading.name = "es";
        reading.index_directory = options_.directory + "/streams";
        Storage storage = test::open_storage(options_.directory, reading);
        std::vector<std::string> all;
        const std::vector<nes::ConsumerInfo> found = std::move(*storage.consumers());
        for (const nes::ConsumerInfo& one : found)
            all.push_back(one.index + " " + one.name + " " + std::to_string(one.position) + " " +
                          one.state);
        std::sort(all.begin(), all.end());
        EXPECT_TRUE(storage.problems().empty());
        return all;
    }
    [[nodiscard]] bool was_told(Loss loss, std::string_view what) const {
        return std::any_of(told_.begin(), told_.end(), [&](const Lost& lost) {
            return lost.loss == loss && lost.what.find(what) != std::string::npos;
        });
    }

    test::TemporaryDirectory directory_;
    Store store_;
    ExportOptions options_;
    std::vector<Lost> told_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, ExportedConsumers,
                         testing::Values(Layout::classic, Layout::mapped), [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(ExportedConsumers, GoOnBehindTheSameEvent) {
    consume("new", Selector::all(), 0);
    consume("counts", Selector::all(), 6, R"({"n":5,"to":"é"})");
    consume("ended", Selector::all(), 11);
    consume("mails", Selector::stream("a"), 8, R"({"sent":4})");
    consume("parts", Selector::stream("b/c"), 6, "{}");
    consume("derived", Selector::derived("both"), 1);
    consume("union", selector_of_both(), 9);
    const ExportReport report = exported();
    EXPECT_EQ(report.consumers, 7U);
    EXPECT_TRUE(told_.empty()) << told_.front().what;
    EXPECT_EQ(consumers(),
              (std::vector<std::string>{"_all counts 5 {\"n\":5,\"to\":\"é\"}", "_all ended 9 {}",
                                        "_all new 0 {}", "stream-a mails 4 {\"sent\":4}",
                                        "stream-b/c parts 2 {}", "stream-both derived 1 {}",
                                        "stream-both union 7 {}"}));
}

TEST_P(ExportedConsumers, OfTypesIfTheyHaveStreams) {
    consume("types", Selector::type("T"), 5);
    exported();
    EXPECT_TRUE(was_told(Loss::unusable_consumer, "types stays behind, at position 5"));
    EXPECT_TRUE(consumers().empty());
    options_.directory += "2";
    options_.type_streams = true;
    exported();
    EXPECT_EQ(consumers(), std::vector<std::string>{"stream-T types 4 {}"});
}

TEST_P(ExportedConsumers, WhatCannotBeCarriedOverIsTold) {
    consume("category", Selector::category("a"), 1);
    consume("text", Selector::all(), 1, "no JSON");
    consume("list", Selector::all(), 1, "[1]");
    auto member = GroupMember::join(store_, "team", Selector::all());
    ASSERT_TRUE(member) << member.error().message;
    ASSERT_TRUE(member->close());
    EXPECT_EQ(Consumer::content(store_, "team").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(Consumer::content(store_, "nobody").error().code, ErrorCode::not_found);
    const ExportReport report = exported();
    EXPECT_EQ(report.consumers, 0U);
    EXPECT_EQ(report.count(Loss::unusable_consumer), 4U);
    EXPECT_EQ(report.weight(), Weight::note);
    EXPECT_TRUE(was_told(Loss::unusable_consumer, "category stays behind"));
    EXPECT_TRUE(was_told(Loss::unusable_consumer, "text stays behind, at position 1: its state"));
    EXPECT_TRUE(was_told(Loss::unusable_consumer, "list stays behind, at position 1: its state"));
    EXPECT_TRUE(was_told(Loss::unusable_consumer, "team stays behind"));
    EXPECT_TRUE(consumers().empty());
}

TEST_P(ExportedConsumers, WhatIsChangedIsTold) {
    consume("closed", Selector::derived("shut"), 5);
    consume("a.b", Selector::all(), 1);
    consume("a_b", Selector::all(), 2);
    consume("stream-a.mails", Selector::stream("a"), 3);
    consume("paused", Selector::all(), 3);
    ASSERT_TRUE(Consumer::pause(store_, "paused", true));
    ConsumerOptions impatient;
    impatient.retries = 0;
    auto failing = Consumer::open(store_, "failing", Selector::all(), impatient);
    ASSERT_TRUE(failing);
    auto batch = failing->next(2, 1000);
    ASSERT_TRUE(batch);
    ASSERT_EQ(batch->size(), 2U);
    ASSERT_TRUE(failing->ack(Position{1}));
    auto failed = failing->fail(Position{2}, "why");
    ASSERT_TRUE(failed);
    ASSERT_EQ(*failed, Failure::parked);
    ASSERT_TRUE(failing->close());
    const ExportReport report = exported();
    EXPECT_EQ(report.count(Loss::changed_consumer), 4U);
    EXPECT_TRUE(was_told(Loss::changed_consumer, "closed: "));
    EXPECT_TRUE(was_told(Loss::changed_consumer, "consumer a.b: it is named a_b there"));
    EXPECT_TRUE(was_told(Loss::unusable_consumer, "consumer a_b stays behind, at position 2"));
    EXPECT_TRUE(was_told(Loss::changed_consumer, "paused: "));
    EXPECT_TRUE(was_told(Loss::changed_consumer, "failing: 1 parked events"));
    EXPECT_EQ(consumers(),
              (std::vector<std::string>{"_all a_b 1 {}", "_all failing 2 {}", "_all paused 3 {}",
                                        "stream-a mails 2 {}", "stream-shut closed 4 {}"}));
}

TEST(ConsumerNames, OfBothSides) {
    using bridge::allowed_consumer;
    using bridge::consumer_there;
    EXPECT_EQ(allowed_consumer("_all.x/y"), "all.x_y");
    EXPECT_EQ(allowed_consumer("..."), "");
    EXPECT_EQ(consumer_there("all.counts", "_all"), "counts");
    EXPECT_EQ(consumer_there("stream-a_b.counts", "stream-a/b"), "counts");
    EXPECT_EQ(consumer_there("all.", "_all"), "all_");
    EXPECT_EQ(consumer_there("a.b.c", "stream-a"), "a_b_c");
}

}  // namespace
}  // namespace varve::nes
