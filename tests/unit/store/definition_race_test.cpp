// Goal: whoever waits for lists of the past and the thread that takes leftovers away do not hinder
// each other. Method: an environment that lets the sealer look for leftovers only while a list is
// half made, and gives the list its name only after that look.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "support/patient_env.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

class MeetingEnv final : public PatientEnv {
public:
    Result<std::vector<std::string>> list(const std::string& path) noexcept override {
        const bool other = std::this_thread::get_id() != main_ && path.ends_with("/index");
        if (other) wait_for(half_made_);
        auto names = PatientEnv::list(path);
        if (other && half_made_) looked_ = true;
        return names;
    }
    Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode,
                                           std::uint32_t permissions) noexcept override {
        auto file = PatientEnv::open(path, mode, permissions);
        if (path.ends_with(".past.new")) half_made_ = true;
        return file;
    }
    Result<void> rename(const std::string& from, const std::string& to) noexcept override {
        if (from.ends_with(".past.new")) {
            wait_for(looked_);
            met_ = looked_.load();
            // What was found is taken away at once, if it is.
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return PatientEnv::rename(from, to);
    }
    [[nodiscard]] bool met() const { return met_; }

private:
    static void wait_for(const std::atomic<bool>& flag) noexcept {
        for (int n = 0; n < 2000 && !flag; ++n)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const std::thread::id main_ = std::this_thread::get_id();
    std::atomic<bool> half_made_{false};
    std::atomic<bool> looked_{false};
    std::atomic<bool> met_{false};
};

TEST(Definitions, AListThatIsBeingMadeIsNoLeftover) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/store";
    MeetingEnv env;
    OpenOptions options;
    options.durability = Durability::os;
    {
        auto store = Store::open(path, options);
        ASSERT_TRUE(store) << store.error().message;
        ASSERT_TRUE(store->append({{.data = R"({"n":1})"}, {.data = R"({"n":2})"}}));
    }
    options.env = &env;
    auto store = Store::open(path, options);
    ASSERT_TRUE(store) << store.error().message;
    auto matcher = Matcher::compile(R"({"data":{"n":1}})");
    ASSERT_TRUE(matcher);
    ASSERT_TRUE(store->define(NewDefinition::stream("ones", Selector::all(), *matcher)));
    auto listed = store->list_past();
    ASSERT_TRUE(listed) << listed.error().message;
    EXPECT_TRUE(env.met());
    auto events = store->snapshot()->count(Selector::derived("ones"));
    ASSERT_TRUE(events);
    EXPECT_EQ(*events, 1U);
    ASSERT_TRUE(store->close());
}

}  // namespace
}  // namespace varve::test
