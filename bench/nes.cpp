// nes: files of node-event-storage. Appends to a partition and to an index, flushed at the end, and
// a scan of the partition; opening and closing for ever; and how `visibility` follows such files.
#include <cstring>
#include <fstream>
#include <memory>
#include <thread>
#include <varve/nes.hpp>

#include "processes.hpp"
#include "visibility.hpp"

namespace varve::bench {

namespace {

constexpr std::size_t kDocument = 131;
// Between two documents of `visibility`: a flush without a sync takes so little that without it the
// figure would be the length of the queue.
constexpr std::chrono::microseconds kPause{200};

nes::FileOptions file_options(bool mapped) {
    nes::FileOptions options;
    options.layout = mapped ? nes::Layout::mapped : nes::Layout::classic;
    return options;
}

nes::PartitionOptions partition_options(bool mapped) {
    return nes::PartitionOptions{file_options(mapped), {}, {}};
}

Metrics nes_round(const std::string& path, std::uint64_t count, bool mapped) {
    const std::string document(kDocument, 'x');
    Metrics metrics;
    const auto per = [](double begin, std::uint64_t done) {
        return (seconds_now() - begin) * 1e9 / static_cast<double>(done);
    };
    {
        auto partition = must(nes::Partition::open(path, partition_options(mapped)), "open");
        const double begin = seconds_now();
        const double cpu = cpu_seconds_now();
        for (std::uint64_t n = 0; n < count; ++n)
            must(partition.write(document, static_cast<std::uint32_t>(n)), "write");
        must(partition.flush(), "flush");
        metrics["append_ns"] = per(begin, count);
        metrics["append_cpu_ns"] = (cpu_seconds_now() - cpu) * 1e9 / static_cast<double>(count);
    }
    {
        auto index = must(nes::Index::open(path + ".index", {file_options(mapped), {}}), "open");
        const double begin = seconds_now();
        for (std::uint64_t n = 1; n <= count; ++n) {
            const auto number = static_cast<std::uint32_t>(n);
            must(index.add({number, number, kDocument, 1}), "add");
        }
        must(index.flush(), "flush");
        metrics["index_add_ns"] = per(begin, count);
    }
    auto partition = must(nes::Partition::open(path, partition_options(mapped)), "open");
    auto cursor = must(partition.forwards(), "scan");
    const double begin = seconds_now();
    std::uint64_t seen = 0;
    for (nes::Document one; cursor.next(one);) seen += one.data.size();
    must_do(cursor.status(), "scan");
    if (seen != count * kDocument) must_do(Error{.message = "documents are missing"}, "scan");
    metrics["scan_documents_per_s"] = static_cast<double>(count) / (seconds_now() - begin);
    return metrics;
}

double mappings() {
    std::ifstream maps("/proc/self/maps");
    double lines = 0;
    for (std::string line; std::getline(maps, line);) ++lines;
    return lines;
}

/// Opens, uses and closes a partition and an index, as writer and as reader in turn.
void open_and_close(const std::string& path, bool mapped, std::uint64_t n) {
    nes::PartitionOptions reading = partition_options(mapped);
    nes::IndexOptions index_reading{file_options(mapped), {}};
    if (n % 2 != 0) reading.access = index_reading.access = Access::read_only;
    auto partition = must(nes::Partition::open(path, reading), "open");
    auto index = must(nes::Index::open(path + ".index", index_reading), "open");
    if (n % 1'000 == 0) {
        const auto number = static_cast<std::uint32_t>(n + 1);
        const auto at = must(partition.write("one more document", number), "write");
        must(index.add({number, static_cast<std::uint32_t>(at), 17, 1}), "add");
    }
    if (!must(partition.last(), "read")) must_do(Error{.message = "nothing is there"}, "read");
    must_do(partition.close(), "close");
    must_do(index.close(), "close");
}

/// The original's mapped classes die of this: it ends with an error if anything is left behind.
Metrics open_close_round(const std::string& directory, std::uint64_t count) {
    constexpr double kMostMb = 2;
    constexpr std::uint64_t kWarmUp = 100;
    const std::string paths[] = {directory + "/classic", directory + "/mapped"};
    const auto both = [&](std::uint64_t n) {
        for (const bool mapped : {false, true}) open_and_close(paths[mapped ? 1 : 0], mapped, n);
    };
    for (std::uint64_t n = 0; n < kWarmUp; ++n) both(n);
    const std::uint64_t loops = count / 4 + 1;
    const double maps = mappings();
    const double memory = anonymous_mb();
    const double begin = seconds_now();
    for (std::uint64_t n = 0; n < loops; ++n) both(kWarmUp + n);
    const double seconds = seconds_now() - begin;
    const double more_maps = mappings() - maps;
    const double more_mb = anonymous_mb() - memory;
    if (more_maps > 0 || more_mb > kMostMb)
        must_do(Error{.message = "opening and closing leaves something behind"}, "open-close");
    return {{"open_close_us", seconds * 1e6 / static_cast<double>(loops * 4)},
            {"mappings_more", more_maps},
            {"anon_mb_more", more_mb}};
}

}  // namespace

Followed followed_partition(const std::string& path, bool mapped) {
    Followed followed;
    followed.create = [=] {
        must(nes::Partition::open(path, partition_options(mapped)), "create");
    };
    followed.open = [=] {
        auto partition = std::make_shared<nes::Partition>(
            must(nes::Partition::open(path, partition_options(mapped)), "open"));
        auto number = std::make_shared<std::uint32_t>(0);
        return [=](std::uint64_t now) {
            const std::string_view data(reinterpret_cast<const char*>(&now), sizeof now);
            must(partition->write(data, (*number)++), "write");
            must(partition->flush(), "flush");
            std::this_thread::sleep_for(kPause);
        };
    };
    followed.follow = [=](std::uint64_t events, const auto& ready, const auto& seen,
                          const auto& idle) {
        nes::PartitionOptions options = partition_options(mapped);
        options.access = Access::read_only;
        auto partition = must(nes::Partition::open(path, options), "open");
        ready();
        std::uint64_t position = 0;
        for (std::uint64_t count = 0; count < events;) {
            if (!must(partition.wait(5'000'000), "wait")) break;
            auto cursor = must(partition.forwards(position), "read");
            for (nes::Document one; cursor.next(one); ++count) {
                std::uint64_t sent = 0;
                std::memcpy(&sent, one.data.data(), sizeof sent);
                seen(sent);
            }
            must_do(cursor.status(), "read");
            position = cursor.position();
        }
        idle();
        static_cast<void>(partition.wait(1'000'000));
    };
    return followed;
}

void run_nes(const Parameters& given) {
    Parameters parameters = given;
    const bool opening = parameters.variant == "open-close";
    if (parameters.events == 0) parameters.events = opening ? 100'000 : 2'000'000;
    const bool mapped = parameters.variant != "nes-classic";
    const Scratch scratch(parameters.directory);
    Side side{mapped ? "nes-mapped" : "nes-classic", {}};
    if (opening) side.variant = "open-close";
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        side.rounds.push_back(opening
                                  ? open_close_round(own.path(), parameters.events)
                                  : nes_round(own.path("partition"), parameters.events, mapped));
    }
    report(parameters, {side});
}

}  // namespace varve::bench
