// LMDB as the peer: events under ascending keys with MDB_APPEND, no index of any kind; no sync at
// level os, one per commit at level disk.
#include <lmdb.h>

#include <cstring>

#include "database.hpp"

namespace varve::bench {

namespace {

void check(int code, const char* what) {
    if (code == 0) return;
    std::fprintf(stderr, "varve-bench: lmdb %s: %s\n", what, mdb_strerror(code));
    std::exit(3);
}

std::uint64_t first_byte(const MDB_val& value) {
    const std::string_view data = data_of({static_cast<const char*>(value.mv_data), value.mv_size});
    return data.empty() ? 1U : static_cast<unsigned char>(data.front());
}

class Lmdb final : public Database {
public:
    Lmdb(const std::string& directory, Durability level) {
        check(mdb_env_create(&environment_), "create");
        check(mdb_env_set_mapsize(environment_, 16ULL << 30), "map size");
        const unsigned flags = level == Durability::disk ? MDB_WRITEMAP : MDB_NOSYNC | MDB_WRITEMAP;
        check(mdb_env_open(environment_, directory.c_str(), flags, 0600), "open");
        MDB_txn* transaction = nullptr;
        check(mdb_txn_begin(environment_, nullptr, 0, &transaction), "begin");
        check(mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &table_), "table");
        check(mdb_txn_commit(transaction), "commit");
        std::uint64_t ignored = 0;
        key_ = read_last(ignored);
    }
    ~Lmdb() override { mdb_env_close(environment_); }
    Lmdb(const Lmdb&) = delete;
    Lmdb& operator=(const Lmdb&) = delete;

    void append(std::span<const NewEvent> events) override {
        MDB_txn* transaction = nullptr;
        check(mdb_txn_begin(environment_, nullptr, 0, &transaction), "begin");
        for (const NewEvent& event : events) {
            ++key_;
            encode(event, value_);
            MDB_val name{sizeof key_, &key_};
            MDB_val data{value_.size(), value_.data()};
            check(mdb_put(transaction, table_, &name, &data, MDB_APPEND), "put");
        }
        check(mdb_txn_commit(transaction), "commit");
    }
    std::uint64_t read_last(std::uint64_t& sum) override {
        std::uint64_t position = 0;
        walk(MDB_LAST, MDB_LAST, [&](const MDB_val& name, const MDB_val& data) {
            std::memcpy(&position, name.mv_data, sizeof position);
            sum += first_byte(data);
            return false;
        });
        return position;
    }
    std::uint64_t scan(std::uint64_t& sum) override {
        std::uint64_t events = 0;
        walk(MDB_FIRST, MDB_NEXT, [&](const MDB_val&, const MDB_val& data) {
            sum += first_byte(data);
            ++events;
            return true;
        });
        return events;
    }
    std::uint64_t read_stream(std::string_view, std::uint64_t&) override { return 0; }
    std::uint64_t read_tag(std::string_view, std::uint64_t&) override { return 0; }
    std::uint64_t version(std::string_view) override { return 0; }
    [[nodiscard]] bool finds_names() const override { return false; }

private:
    template <class Use>
    void walk(MDB_cursor_op first, MDB_cursor_op then, Use use) {
        MDB_txn* transaction = nullptr;
        MDB_cursor* cursor = nullptr;
        check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction), "begin");
        check(mdb_cursor_open(transaction, table_, &cursor), "cursor");
        MDB_val name;
        MDB_val data;
        int code = mdb_cursor_get(cursor, &name, &data, first);
        while (code == 0 && use(name, data)) code = mdb_cursor_get(cursor, &name, &data, then);
        if (code != MDB_NOTFOUND) check(code, "read");
        mdb_cursor_close(cursor);
        mdb_txn_abort(transaction);
    }

    MDB_env* environment_ = nullptr;
    MDB_dbi table_ = 0;
    std::uint64_t key_ = 0;
    std::string value_;
};

}  // namespace

std::unique_ptr<Database> open_lmdb(const std::string& directory, Durability level) {
    return std::make_unique<Lmdb>(directory, level);
}

}  // namespace varve::bench
