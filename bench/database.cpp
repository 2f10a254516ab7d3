#include "database.hpp"

#include <cstring>
#include <filesystem>
#include <optional>
#include <varve/testing.hpp>

#include "processes.hpp"

namespace varve::bench {

namespace {

std::uint64_t first_byte(std::string_view data) {
    return data.empty() ? 1U : static_cast<unsigned char>(data.front());
}

class Varve final : public Database {
public:
    Varve(const std::string& directory, const HowToOpen& how) : verify_(how.verify) {
        OpenOptions options;
        options.durability = how.level;
        if (how.reader) options.access = Access::read_only;
        if (how.segment_size > 0) options.segment_size_first = how.segment_size;
        if (how.segment_size > 0) options.segment_size_max = how.segment_size;
        if (how.boot > 0) options.env = boot_.emplace(how.boot).env();
        store_.emplace(must(Store::open(directory, options), "open"));
    }
    ~Varve() override {
        seen_.reset();
        must_do(store_->close(), "close");
    }
    Varve(const Varve&) = delete;
    Varve& operator=(const Varve&) = delete;

    void append(std::span<const NewEvent> events) override {
        seen_.reset();
        must(store_->append(events), "append");
    }
    std::uint64_t read_last(std::uint64_t& sum) override {
        const Snapshot& snapshot = view();
        if (snapshot.published().value == 0) return 0;
        sum += first_byte(must(snapshot.at(snapshot.published(), verify_), "read").data);
        return snapshot.published().value;
    }
    std::uint64_t scan(std::uint64_t& sum) override { return read(Source::all(), sum); }
    std::uint64_t read_stream(std::string_view name, std::uint64_t& sum) override {
        return read(Source::stream(name), sum);
    }
    std::uint64_t read_tag(std::string_view name, std::uint64_t& sum) override {
        return read(Source::tag(name), sum);
    }
    std::uint64_t version(std::string_view stream) override {
        return must(view().version(stream), "version");
    }

private:
    const Snapshot& view() {
        if (!seen_) seen_.emplace(must(store_->snapshot(), "snapshot"));
        return *seen_;
    }
    std::uint64_t read(Source source, std::uint64_t& sum) {
        ReadOptions options;
        options.verify = verify_;
        std::uint64_t events = 0;
        must(view().read(source, options).for_each([&](const EventView& event) {
            sum += first_byte(event.data);
            ++events;
        }),
             "read");
        return events;
    }

    Verify verify_;
    std::optional<Restarted> boot_;
    std::optional<Store> store_;
    std::optional<Snapshot> seen_;
};

}  // namespace

std::unique_ptr<Database> open_database(const std::string& name, const std::string& directory,
                                        const HowToOpen& how) {
    if (name == "varve") return std::make_unique<Varve>(directory, how);
    std::filesystem::create_directories(directory);
    if (name == "lmdb") return open_lmdb(directory, how.level);
#ifdef VARVE_BENCH_SQLITE
    if (name == "sqlite") return open_sqlite(directory, how.level);
#endif
#ifdef VARVE_BENCH_ROCKSDB
    if (name == "rocksdb") return open_rocksdb(directory, how.level);
#endif
    return nullptr;
}

bool peer_is_here(const std::string& name) {
#ifndef VARVE_BENCH_SQLITE
    if (name == "sqlite") {
        std::fprintf(stderr, "varve-bench: peer sqlite is missing: this was built without it\n");
        return false;
    }
#endif
#ifndef VARVE_BENCH_ROCKSDB
    if (name == "rocksdb") {
        std::fprintf(stderr, "varve-bench: peer rocksdb is missing: this was built without it\n");
        return false;
    }
#endif
    return name != "none";
}

void encode(const NewEvent& event, std::string& into) {
    const auto put = [&](std::string_view name) {
        const auto length = static_cast<std::uint16_t>(name.size());
        into.append(reinterpret_cast<const char*>(&length), sizeof length);
        into.append(name);
    };
    into.clear();
    into.push_back(static_cast<char>(2 + event.tags.size()));
    put(event.stream);
    put(event.type);
    for (const std::string_view tag : event.tags) put(tag);
    into.append(event.data);
}

std::string_view data_of(std::string_view encoded) {
    const auto names = static_cast<unsigned char>(encoded.front());
    encoded.remove_prefix(1);
    for (unsigned n = 0; n < names; ++n) {
        std::uint16_t length = 0;
        std::memcpy(&length, encoded.data(), sizeof length);
        encoded.remove_prefix(sizeof length + length);
    }
    return encoded;
}

void load(Database& into, Workload& workload, std::uint64_t total,
          const std::function<void(std::vector<NewEvent>&, std::uint64_t)>& change) {
    std::vector<NewEvent> events(512);
    for (std::uint64_t done = 0; done < total; done += events.size()) {
        events.resize(std::min<std::uint64_t>(512, total - done));
        workload.fill(events);
        if (change) change(events, done);
        into.append(events);
        if (done / 512 % 64 == 0) show_progress("loading", done, total);
    }
    show_progress("loading", total, total);
}

void append_one(Database& into) {
    const NewEvent event{.stream = "one", .type = "One", .data = "one"};
    into.append(std::span<const NewEvent>(&event, 1));
}

}  // namespace varve::bench
