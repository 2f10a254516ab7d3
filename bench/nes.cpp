// nes: files of node-event-storage. Appends to a partition and to an index, flushed at the end, and
// a scan of the partition; and how `visibility` follows such files.
#include <cstring>
#include <memory>
#include <thread>
#include <varve/nes.hpp>

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
    if (parameters.events == 0) parameters.events = 2'000'000;
    const bool mapped = parameters.variant != "nes-classic";
    const Scratch scratch(parameters.directory);
    Side side{mapped ? "nes-mapped" : "nes-classic", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        side.rounds.push_back(nes_round(own.path("partition"), parameters.events, mapped));
    }
    report(parameters, {side});
}

}  // namespace varve::bench
