// The variants of seed-index and seed-storage that are ours.
#include <filesystem>
#include <numeric>
#include <varve/nes.hpp>

#include "seed.hpp"

namespace varve::bench {

namespace {

std::uint64_t last_of(std::uint64_t first) { return first + kSeedWrites - 1; }

template <class Sum>
double sum_of(std::uint64_t first, Sum&& sum) {
    double all = 0;
    for (std::uint64_t n = first; n <= last_of(first); ++n) all += sum(n);
    return all;
}

nes::IndexEntry entry_of(std::uint64_t number) {
    const auto n = static_cast<std::uint32_t>(number);
    return {n, n * 160, 135, 1};
}

double entry_sum(const nes::IndexEntry& entry) {
    return static_cast<double>(entry.number) + static_cast<double>(entry.position) +
           static_cast<double>(entry.size) + static_cast<double>(entry.partition);
}

class NesIndex final : public SeedSubject {
public:
    NesIndex(nes::Layout layout, bool syncs) {
        options_.layout = layout;
        options_.sync_on_flush = syncs;
    }
    void open(const std::string& path, bool writing) override {
        std::filesystem::create_directories(path);
        options_.access = writing ? Access::read_write : Access::read_only;
        index_.emplace(must(nes::Index::open(path + "/index", options_), "open"));
    }
    void write(std::uint64_t first) override {
        for (std::uint64_t n = first; n <= last_of(first); ++n)
            must(index_->add(entry_of(n)), "add");
        must(index_->flush(), "flush");
    }
    double read(std::uint64_t first) override {
        const auto entries = must(index_->range(static_cast<std::int64_t>(first),
                                                static_cast<std::int64_t>(last_of(first))),
                                  "range");
        return std::accumulate(entries.begin(), entries.end(), 0.0,
                               [](double sum, const auto& one) { return sum + entry_sum(one); });
    }
    [[nodiscard]] double expected(std::uint64_t first) const override {
        return sum_of(first, [](std::uint64_t n) { return entry_sum(entry_of(n)); });
    }
    void close() override { must_do(index_->close(), "close"); }

private:
    nes::IndexOptions options_;
    std::optional<nes::Index> index_;
};

class NesStorage final : public SeedSubject {
public:
    NesStorage(nes::Layout layout, bool syncs) {
        options_.layout = layout;
        options_.sync_on_flush = syncs;
    }
    void open(const std::string& path, bool writing) override {
        options_.access = writing ? Access::read_write : Access::read_only;
        storage_.emplace(must(nes::Storage::open(path, options_), "open"));
    }
    void write(std::uint64_t first) override {
        for (std::uint64_t n = first; n <= last_of(first); ++n)
            must(storage_->write(orders_.write(n), {}), "write");
        must_do(storage_->flush(), "flush");
    }
    double read(std::uint64_t first) override {
        auto cursor = must(storage_->range(static_cast<std::int64_t>(first),
                                           static_cast<std::int64_t>(last_of(first))),
                           "range");
        double sum = 0;
        for (nes::StoredDocument one; cursor.next(one);) sum += orders_.read(one.data);
        must_do(cursor.status(), "read");
        return sum;
    }
    [[nodiscard]] double expected(std::uint64_t first) const override {
        return sum_of(first, [](std::uint64_t n) { return Orders::sum(n); });
    }
    void close() override { must_do(storage_->close(), "close"); }

private:
    nes::StorageOptions options_;
    std::optional<nes::Storage> storage_;
    Orders orders_;
};

/// The same in varve: an event per document, a commit each. It has no index by itself: for
/// seed-index events without data, of which the positions in the stream are read.
class VarveSeed final : public SeedSubject {
public:
    VarveSeed(Durability level, bool documents) : documents_(documents) {
        options_.durability = level;
    }
    void open(const std::string& path, bool writing) override {
        options_.access = writing ? Access::read_write : Access::read_only;
        store_.emplace(must(Store::open(path, options_), "open"));
    }
    void write(std::uint64_t first) override {
        for (std::uint64_t n = first; n <= last_of(first); ++n) {
            const std::string_view data = documents_ ? orders_.write(n) : std::string_view();
            must(store_->append({{.stream = "orders", .data = data}}), "append");
        }
    }
    double read(std::uint64_t first) override {
        const Snapshot snapshot = must(store_->snapshot(), "snapshot");
        ReadOptions options;
        options.from = Position{first};
        options.until = Position{last_of(first)};
        double sum = 0;
        must(snapshot.read(Source::stream("orders"), options).for_each([&](const EventView& event) {
            sum +=
                documents_ ? orders_.read(event.data) : static_cast<double>(event.position.value);
        }),
             "read");
        return sum;
    }
    [[nodiscard]] double expected(std::uint64_t first) const override {
        return sum_of(first, [&](std::uint64_t n) {
            return documents_ ? Orders::sum(n) : static_cast<double>(n);
        });
    }
    void close() override { must_do(store_->close(), "close"); }

private:
    bool documents_;
    OpenOptions options_;
    std::optional<Store> store_;
    Orders orders_;
};

}  // namespace

std::unique_ptr<SeedSubject> seed_subject(const Parameters& parameters,
                                          const std::string& variant) {
    const bool documents = parameters.scenario == "seed-storage";
    const bool syncs = parameters.durability() == Durability::disk;
    if (variant == "varve") return std::make_unique<VarveSeed>(parameters.durability(), documents);
    const auto layout = variant == "nes-mapped" ? nes::Layout::mapped : nes::Layout::classic;
    if (documents) return std::make_unique<NesStorage>(layout, syncs);
    return std::make_unique<NesIndex>(layout, syncs);
}

}  // namespace varve::bench
