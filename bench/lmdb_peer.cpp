// LMDB as the peer: events under ascending keys with MDB_APPEND, no index of any kind, no sync.
#include <lmdb.h>

#include <cstring>

#include "bench.hpp"

namespace varve::bench {

namespace {

void check(int code, const char* what) {
    if (code == 0) return;
    std::fprintf(stderr, "varve-bench: lmdb %s: %s\n", what, mdb_strerror(code));
    std::exit(3);
}

class Environment {
public:
    explicit Environment(const std::string& directory) {
        check(mdb_env_create(&environment_), "create");
        check(mdb_env_set_mapsize(environment_, 16ULL << 30), "map size");
        check(mdb_env_open(environment_, directory.c_str(), MDB_NOSYNC | MDB_WRITEMAP, 0600),
              "open");
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    ~Environment() { mdb_env_close(environment_); }
    [[nodiscard]] MDB_env* get() const { return environment_; }

private:
    MDB_env* environment_ = nullptr;
};

}  // namespace

Metrics lmdb_append(const std::string& directory, std::uint64_t events, std::uint64_t batch,
                    std::size_t size) {
    const Environment environment(directory);
    // The bytes of an event with its names, as varve stores them beside the data.
    std::string value(size + 60, 'd');
    Latencies latencies;
    MDB_dbi table = 0;
    std::uint64_t key = 0;
    const double cpu_begin = cpu_seconds_now();
    const auto begin = std::chrono::steady_clock::now();
    auto before = begin;
    while (key < events) {
        MDB_txn* transaction = nullptr;
        check(mdb_txn_begin(environment.get(), nullptr, 0, &transaction), "begin");
        if (key == 0) check(mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &table), "table");
        for (std::uint64_t n = 0; n < batch; ++n) {
            ++key;
            MDB_val name{sizeof key, &key};
            MDB_val data{value.size(), value.data()};
            check(mdb_put(transaction, table, &name, &data, MDB_APPEND), "put");
        }
        check(mdb_txn_commit(transaction), "commit");
        const auto now = std::chrono::steady_clock::now();
        latencies.add(static_cast<std::uint64_t>(std::chrono::nanoseconds(now - before).count()));
        before = now;
    }
    const double wall = std::chrono::duration<double>(before - begin).count();
    const double cpu = cpu_seconds_now() - cpu_begin;
    const auto count = static_cast<double>(key);
    return {{"ns_per_event", wall / count * 1e9},     {"events_per_s", count / wall},
            {"p50_ns", latencies.percentile(0.5)},    {"p99_ns", latencies.percentile(0.99)},
            {"p999_ns", latencies.percentile(0.999)}, {"max_ns", latencies.max()},
            {"cpu_ns_per_event", cpu / count * 1e9}};
}

Metrics lmdb_scan(const std::string& directory) {
    const Environment environment(directory);
    MDB_txn* transaction = nullptr;
    MDB_dbi table = 0;
    MDB_cursor* cursor = nullptr;
    check(mdb_txn_begin(environment.get(), nullptr, MDB_RDONLY, &transaction), "begin");
    check(mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &table), "table");
    check(mdb_cursor_open(transaction, table, &cursor), "cursor");
    MDB_val name;
    MDB_val data;
    std::uint64_t events = 0;
    std::uint64_t sum = 0;
    const double begin = seconds_now();
    for (int more = mdb_cursor_get(cursor, &name, &data, MDB_FIRST); more == 0;
         more = mdb_cursor_get(cursor, &name, &data, MDB_NEXT)) {
        sum += *static_cast<const unsigned char*>(data.mv_data);
        ++events;
    }
    const double wall = seconds_now() - begin;
    mdb_cursor_close(cursor);
    mdb_txn_abort(transaction);
    if (sum == 0) std::exit(3);
    return {{"ns_per_event", wall / static_cast<double>(events) * 1e9},
            {"events_per_s", static_cast<double>(events) / wall}};
}

}  // namespace varve::bench
