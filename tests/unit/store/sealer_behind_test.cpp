// Goal: who adds to the log waits while too many segments lack their sealed index, so that few
// active indexes take memory at a time. Method: the real system, a sealer that is held back, and a
// log of more than 64 MiB.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "support/gate_env.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

class SealerBehind : public testing::Test {
protected:
    static constexpr std::uint64_t kSegment = 32 << 20;

    /// Fills three segments and begins the fourth.
    void SetUp() override {
        OpenOptions options;
        options.env = &env_;
        options.durability = Durability::os;
        options.segment_size_first = options.segment_size_max = kSegment;
        auto opened = Store::open(where_.store(), options);
        ASSERT_TRUE(opened) << opened.error().message;
        store_.emplace(std::move(*opened));
        const std::string data(1 << 20, 'd');
        for (std::uint64_t n = 0; n < 4 * kSegment >> 20; ++n) {
            if (begun_segments() == 4) return;
            ASSERT_TRUE(store_->append({{.stream = "s", .data = data}}));
        }
        FAIL() << "nothing was rolled";
    }
    void TearDown() override {
        env_.let_pass();
        store_.reset();
    }
    [[nodiscard]] std::uint64_t begun_segments() const {
        // As much as has been placed says how many there are: nothing is prepared.
        return store_->stats()->segments;
    }
    /// `work` adds nothing to the log before the sealer has caught up, and ends afterwards.
    void expect_waits(const std::function<void()>& work) {
        const std::uint64_t before = store_->snapshot()->published().value;
        std::thread thread(work);
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        EXPECT_EQ(store_->snapshot()->published().value, before);
        env_.let_pass();
        thread.join();
        EXPECT_EQ(store_->snapshot()->published().value, before + 1);
    }

    TemporaryDirectory where_;
    GateEnv env_;
    std::optional<Store> store_;
};

TEST_F(SealerBehind, AppendsWait) {
    expect_waits([&] { EXPECT_TRUE(store_->append({{.data = "more"}})); });
}

TEST_F(SealerBehind, ErasingWaits) {
    expect_waits([&] {
        const Position first[] = {Position{1}};
        auto erased = store_->erase(first);
        ASSERT_TRUE(erased) << erased.error().message;
        EXPECT_TRUE(erased->done);
    });
    EXPECT_TRUE(store_->snapshot()->at(Position{1})->erased);
}

TEST_F(SealerBehind, ADryRunWaitsForNobody) {
    EXPECT_TRUE(store_->append({{.data = "more"}}, {.dry_run = true}));
    const Position first[] = {Position{1}};
    EXPECT_EQ(store_->erase(first, {.dry_run = true})->events, 1U);
}

}  // namespace
}  // namespace varve::test
