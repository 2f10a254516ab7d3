// varve_linear: appends with conditions, by many threads, and by processes that are killed and
// succeeded, judged by a checker.
//
//   varve_linear [--operations N] [--kills N] [--seed S] [--bug NAME]
//
// The first of three processes does half of the operations with 24 threads; then the processes take
// turns: a writer is killed at a random moment or closes the store, the next one opens it, repeats
// by id what nobody was told about, and goes on. Those whose turn it is not query. Afterwards the
// log and the record of all operations go to the checker. Meanwhile streams are derived, tags and
// types are taken from content, and such definitions are closed and removed again. With --bug, in
// the build that has seeded bugs, it succeeds only if that one is noticed. What threads do at once
// cannot be replayed, but the same seed chooses the same operations and moments.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>
#include <random>
#include <thread>

#include "base/seeded_bug.hpp"
#include "concurrency/linear/checker.hpp"
#include "concurrency/linear/log_reader.hpp"
#include "concurrency/linear/process.hpp"
#include "support/temporary_directory.hpp"

namespace varve::test::linear {
namespace {

using base::SeededBug;

struct Settings {
    std::uint64_t operations = 200'000;
    std::uint64_t kills = 40;
    std::uint64_t seed = 1;
};

class Rig {
public:
    explicit Rig(const Settings& settings) : settings_(settings), random_(settings.seed) {
        const std::uint64_t capacity = 3 * settings.operations;
        bytes_ = sizeof(Shared) + capacity * sizeof(Operation);
        void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return;
        shared_ = new (memory) Shared{};
        shared_->capacity = capacity;
        shared_->turn = kNobody;
        shared_->writing = shared_->stopping = shared_->closed = kNobody;
    }
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;
    ~Rig() {
        if (shared_ != nullptr) ::munmap(static_cast<void*>(shared_), bytes_);
    }

    /// What contradicts the promises, or nothing. See `trouble`.
    std::vector<std::string> run() {
        if (shared_ == nullptr) return give_up("no memory to share");
        {
            auto store = Store::open(directory_.store(), options_for(Access::read_write));
            if (!store) return give_up("cannot create: " + store.error().message);
        }
        for (unsigned n = 0; n < kProcesses; ++n) start(n);
        take_turns();
        shared_->turn = kQuit;
        for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
        if (shared_->failed != 0) return give_up(shared_->why);
        if (!trouble_.empty()) return {};
        return judge();
    }

    /// Why there is no verdict; empty if there is one.
    [[nodiscard]] const std::string& trouble() const { return trouble_; }

    void tell() const {
        std::printf("%zu operations", history_.operations.size());
        static constexpr std::pair<Outcome, const char*> kOutcomes[] = {
            {Outcome::placed, "placed"},
            {Outcome::duplicate, "repeated"},
            {Outcome::condition_failed, "refused by a condition"},
            {Outcome::version_failed, "refused by a version"},
            {Outcome::read, "reads"},
            {Outcome::would_place, "would have been placed"},
            {Outcome::other_meaning, "with another meaning"},
            {Outcome::not_defined, "of what is not defined"},
            {Outcome::unknown, "lost"},
        };
        for (const auto& [outcome, words] : kOutcomes) {
            const auto count =
                std::count_if(history_.operations.begin(), history_.operations.end(),
                              [&](const Operation& o) { return o.outcome == outcome; });
            std::printf(", %lld %s", static_cast<long long>(count), words);
        }
        const auto defined = std::count_if(history_.log.begin(), history_.log.end(),
                                           [](const Logged& l) { return l.kind != Kind::append; });
        std::printf("; %llu kills, %llu closings, %zu events and %lld records of definitions\n",
                    static_cast<unsigned long long>(kills_),
                    static_cast<unsigned long long>(closings_),
                    history_.log.size() - static_cast<std::size_t>(defined),
                    static_cast<long long>(defined));
    }
    /// The first answer that no operation has; null if there is none.
    [[nodiscard]] const char* amiss() const {
        return shared_ != nullptr && shared_->amiss != 0 ? shared_->answer : nullptr;
    }
    [[nodiscard]] std::uint64_t answered() const { return shared_->answered.load(); }

private:
    static constexpr int kPatienceMs = 120'000;  ///< for hangs only

    void start(unsigned number) {
        const pid_t child = ::fork();
        if (child == 0) {
            run_process(directory_.store(), *shared_, number,
                        settings_.seed * 7919 + 13 * kills_ + number);
            ::_exit(0);
        }
        children_[number] = child;
    }

    std::vector<std::string> give_up(std::string why) {
        trouble_ = std::move(why);
        return {};
    }

    [[nodiscard]] bool well() const { return trouble_.empty() && shared_->failed == 0; }

    /// Looks every millisecond until `done`; a process that ended by itself is trouble.
    template <class Done>
    bool wait_until(const char* what, Done done) {
        for (int ms = 0; ms < kPatienceMs && well(); ++ms) {
            if (done()) return true;
            for (const pid_t child : children_) {
                siginfo_t info{};
                ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT);
                if (info.si_pid != 0 && well())
                    trouble_ = "a process ended by itself, with " + std::to_string(info.si_status);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        if (well()) trouble_ = std::string("nothing happens any more: ") + what;
        return false;
    }

    void take_turns() {
        shared_->turn = 0;
        const std::uint64_t half = settings_.operations / 2;
        wait_until("the first half", [&] { return answered() >= half; });
        close_store(0);
        for (std::uint32_t turn = 1; well(); ++turn) {
            const bool enough = kills_ >= settings_.kills && answered() >= settings_.operations;
            if (enough || shared_->full()) break;
            shared_->turn = turn;
            if (turn % 2 == 0)
                close_store(turn);
            else
                kill_writer(turn);
        }
    }

    void close_store(std::uint32_t turn) {
        if (!wait_until("opening", [&] { return shared_->writing == turn; })) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 30));
        shared_->stopping = turn;
        wait_until("closing", [&] { return shared_->closed == turn; });
        ++closings_;
    }

    /// From before the store is open to well into the work.
    void kill_writer(std::uint32_t turn) {
        const bool soon = random_() % 5 == 0;
        if (!soon && !wait_until("opening", [&] { return shared_->writing == turn; })) return;
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % (soon ? 8'000 : 50'000)));
        pid_t& child = children_[turn % kProcesses];
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        if (WIFEXITED(status) && well())
            trouble_ = "a writer ended by itself, with " + std::to_string(WEXITSTATUS(status));
        shared_->turn = kNobody;
        ++kills_;
        start(turn % kProcesses);
    }

    std::vector<std::string> judge() {
        const std::uint64_t records = shared_->count();
        for (std::uint64_t n = 0; n < records; ++n) {
            Operation& record = shared_->records()[n];
            const bool changes = record.kind != Kind::read && !record.dry;
            const bool lost = record.outcome == Outcome::unknown;
            if (!has_begun(record) || (lost && !changes)) continue;
            if (record.end_ns == 0) record.end_ns = now_ns();  // no writer came any more
            history_.operations.push_back(record);
        }
        auto store = Store::open(directory_.store(), options_for(Access::read_only));
        if (!store) return give_up("cannot open at the end: " + store.error().message);
        auto log = read_log(*store);
        if (!log) return give_up("cannot read at the end: " + log.error().message);
        history_.log = std::move(*log);
        return check(history_);
    }

    const Settings settings_;
    std::mt19937_64 random_;
    const TemporaryDirectory directory_;
    std::size_t bytes_ = 0;
    Shared* shared_ = nullptr;
    std::array<pid_t, kProcesses> children_{};
    std::uint64_t kills_ = 0;
    std::uint64_t closings_ = 0;
    std::string trouble_;
    History history_;
};

/// False if this build has no such defect.
bool turn_on([[maybe_unused]] std::string_view name) {
#if defined(VARVE_SEEDED_BUGS)
    static constexpr std::pair<std::string_view, SeededBug> kBugs[] = {
        {"condition_judged_outside_lock", SeededBug::condition_judged_outside_lock},
        {"condition_after_off_by_one", SeededBug::condition_after_off_by_one},
        {"batch_mates_unseen", SeededBug::batch_mates_unseen},
        {"stale_heads_after_handoff", SeededBug::stale_heads_after_handoff},
        {"version_checked_outside_lock", SeededBug::version_checked_outside_lock},
        {"complement_not_clipped", SeededBug::complement_not_clipped},
        {"number_compared_as_text", SeededBug::number_compared_as_text},
        {"given_tags_dropped_in_batches", SeededBug::given_tags_dropped_in_batches},
    };
    for (const auto& [known, bug] : kBugs) {
        if (known != name) continue;
        base::seeded_bug = bug;
        return true;
    }
#endif
    return false;
}

/// 0: as it should be.
int run(const Settings& settings, bool bug) {
    Rig rig(settings);
    const std::vector<std::string> wrong = rig.run();
    if (rig.trouble().empty()) rig.tell();
    for (const std::string& line : wrong) std::printf("%s\n", line.c_str());
    if (const char* answer = rig.amiss()) std::printf("the first that failed: %s\n", answer);
    if (!rig.trouble().empty()) {
        std::printf("no verdict: %s\n", rig.trouble().c_str());
    } else if (bug) {
        std::puts(wrong.empty() ? "noticed nothing" : "noticed");
        return wrong.empty() ? 1 : 0;
    } else {
        const bool enough = rig.answered() >= settings.operations;
        std::printf("seed %llu: %zu violations%s\n", static_cast<unsigned long long>(settings.seed),
                    wrong.size(), enough ? "" : ", but too few operations");
        if (wrong.empty() && enough) return 0;
    }
    std::printf("again: varve_linear --seed %llu --operations %llu --kills %llu\n",
                static_cast<unsigned long long>(settings.seed),
                static_cast<unsigned long long>(settings.operations),
                static_cast<unsigned long long>(settings.kills));
    return 1;
}

}  // namespace
}  // namespace varve::test::linear

int main(int count, char** values) {
    varve::test::linear::Settings settings;
    const char* bug = "";
    for (int n = 1; n + 1 < count; n += 2) {
        const auto number = [&](std::uint64_t& into) {
            std::from_chars(values[n + 1], values[n + 1] + std::strlen(values[n + 1]), into);
        };
        if (std::strcmp(values[n], "--operations") == 0) number(settings.operations);
        if (std::strcmp(values[n], "--kills") == 0) number(settings.kills);
        if (std::strcmp(values[n], "--seed") == 0) number(settings.seed);
        if (std::strcmp(values[n], "--bug") == 0) bug = values[n + 1];
    }
    if (bug[0] != '\0' && !varve::test::linear::turn_on(bug)) {
        std::puts("no such defect in this build");
        return 2;
    }
    return varve::test::linear::run(settings, bug[0] != '\0');
}
