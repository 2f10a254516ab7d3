#include "concurrency/linear/process.hpp"

#include <thread>
#include <unordered_map>

#include "concurrency/linear/client.hpp"
#include "support/small_segments.hpp"

namespace varve::test::linear {

namespace {

constexpr unsigned kReaders = 100;  ///< clients that only read have numbers from here on

/// The new writer has brought in all that the dead one had placed: what nobody was told of has
/// happened by now, or never will. Nobody else appends.
void end_lost_appends(Shared& shared) {
    const std::int64_t now = now_ns();
    const std::uint64_t count = shared.count();
    for (std::uint64_t n = 0; n < count; ++n) {
        Operation& record = shared.records()[n];
        if (!has_begun(record) || record.group == 0 || record.end_ns != 0) continue;
        if (outcome_of(record) == Outcome::unknown) record.end_ns = now;
    }
}

/// Appends, and definitions, that can be repeated and whose outcome nobody knows: their process
/// died, and whoever repeated them since did as well.
std::vector<const Operation*> lost_appends(Shared& shared) {
    std::unordered_map<std::uint64_t, const Operation*> lost;
    const std::uint64_t count = shared.count();
    for (std::uint64_t n = 0; n < count; ++n) {
        Operation& record = shared.records()[n];
        if (!has_begun(record) || record.dry || !record.with_ids) continue;
        if (outcome_of(record) == Outcome::unknown) lost[record.group] = &record;
    }
    for (std::uint64_t n = 0; n < count && !lost.empty(); ++n) {
        Operation& record = shared.records()[n];
        if (!has_begun(record)) continue;
        const Outcome outcome = outcome_of(record);
        const auto found = lost.find(record.group);
        if (found == lost.end() || outcome == Outcome::unknown || record.dry) continue;
        // Another attempt that began when the lost one was over has settled it.
        if (record.begin_ns > found->second->end_ns) lost.erase(found);
    }
    std::vector<const Operation*> list;
    list.reserve(lost.size());
    for (const auto& [group, record] : lost) list.push_back(record);
    return list;
}

void write_as(const std::string& path, Shared& shared, std::uint32_t turn, std::uint64_t seed) {
    auto store = Store::open(path, options_for(Access::read_write));
    if (!store) return shared.fail("the writer cannot open", store.error().message.c_str());
    end_lost_appends(shared);
    const std::vector<const Operation*> lost = lost_appends(shared);
    shared.writing.store(turn);
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (unsigned t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            Client client(*store, shared, t, seed * 1009 + turn * 31 + t);
            for (std::size_t n = t; n < lost.size() && !client.ended(); n += kThreads)
                client.repeat(*lost[n]);
            while (!client.ended() && shared.stopping.load(std::memory_order_relaxed) != turn)
                client.act();
        });
    }
    for (std::thread& thread : threads) thread.join();
    auto closed = store->close();
    if (!closed) return shared.fail("the writer cannot close", closed.error().message.c_str());
    shared.closed.store(turn);
}

/// Until it is this process's turn to write. Returns that turn.
std::uint32_t read_until_turn(const std::string& path, Shared& shared, unsigned number,
                              std::uint32_t written, std::uint64_t seed) {
    auto store = Store::open(path, options_for(Access::read_only));
    if (!store) {
        shared.fail("a reader cannot open", store.error().message.c_str());
        return kQuit;
    }
    Client client(*store, shared, kReaders + number, seed);
    while (true) {
        const std::uint32_t turn = shared.turn.load();
        if (turn == kQuit || shared.failed != 0) return kQuit;
        const bool own = turn != kNobody && turn % kProcesses == number;
        if (own && turn != written) return turn;
        if (!shared.full()) client.look();
        // Most of the processors is for the writer.
        std::this_thread::sleep_for(std::chrono::microseconds(client.below(400)));
    }
}

}  // namespace

OpenOptions options_for(Access access) {
    return small_segments(access, {.first = 64 << 10, .max = 1 << 20});
}

void run_process(const std::string& path, Shared& shared, unsigned number, std::uint64_t seed) {
    std::uint32_t written = kNobody;
    while (true) {
        const std::uint32_t turn = read_until_turn(path, shared, number, written, seed + written);
        if (turn == kQuit) return;
        write_as(path, shared, turn, seed);
        written = turn;
    }
}

}  // namespace varve::test::linear
