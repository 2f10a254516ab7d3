// SQLite as the peer: a table with unique (stream, version), an index on type, a table of tags;
// WAL, synchronous OFF for level os and FULL for disk; prepared statements, one transaction per
// commit.
#ifdef VARVE_BENCH_SQLITE
#include <sqlite3.h>

#include "database.hpp"

namespace varve::bench {

namespace {

constexpr const char* kSchema = R"(
    CREATE TABLE IF NOT EXISTS event(position INTEGER PRIMARY KEY, stream TEXT NOT NULL,
        version INTEGER NOT NULL, type TEXT NOT NULL, data BLOB NOT NULL, id BLOB,
        UNIQUE(stream, version));
    CREATE INDEX IF NOT EXISTS event_type ON event(type);
    CREATE UNIQUE INDEX IF NOT EXISTS event_id ON event(id) WHERE id IS NOT NULL;
    CREATE TABLE IF NOT EXISTS tag(name TEXT NOT NULL, position INTEGER NOT NULL,
        PRIMARY KEY(name, position)) WITHOUT ROWID;
)";

class Sqlite final : public Database {
public:
    Sqlite(const std::string& directory, Durability level) {
        check(sqlite3_open((directory + "/events.db").c_str(), &database_));
        run("PRAGMA journal_mode=WAL");
        run(level == Durability::disk ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
        run("PRAGMA cache_size=-262144");  // KiB
        run("PRAGMA mmap_size=4294967296");
        run(kSchema);
        begin_ = prepare("BEGIN IMMEDIATE");
        commit_ = prepare("COMMIT");
        event_ = prepare(
            "INSERT INTO event(stream, version, type, data, id) SELECT ?1, "
            "coalesce(max(version), 0) + 1, ?2, ?3, ?4 FROM event WHERE stream = ?1");
        tag_ = prepare("INSERT OR IGNORE INTO tag(name, position) VALUES(?1, ?2)");
        last_ = prepare("SELECT data, position FROM event ORDER BY position DESC LIMIT 1");
        scan_ = prepare("SELECT data FROM event ORDER BY position");
        stream_ = prepare("SELECT data FROM event WHERE stream = ?1 ORDER BY version");
        tagged_ = prepare(
            "SELECT data FROM tag CROSS JOIN event USING(position) WHERE tag.name = ?1 "
            "ORDER BY tag.position");
        version_ = prepare("SELECT coalesce(max(version), 0) FROM event WHERE stream = ?1");
    }
    ~Sqlite() override {
        for (sqlite3_stmt* one : statements_) sqlite3_finalize(one);
        sqlite3_close(database_);
    }
    Sqlite(const Sqlite&) = delete;
    Sqlite& operator=(const Sqlite&) = delete;

    void append(std::span<const NewEvent> events) override {
        execute(begin_);
        for (const NewEvent& event : events) {
            bind(event_, 1, event.stream);
            bind(event_, 2, event.type);
            check(sqlite3_bind_blob(event_, 3, event.data.data(),
                                    static_cast<int>(event.data.size()), SQLITE_STATIC));
            if (event.id)
                check(sqlite3_bind_blob(event_, 4, event.id->bytes.data(), 16, SQLITE_STATIC));
            else
                check(sqlite3_bind_null(event_, 4));
            execute(event_);
            const sqlite3_int64 position = sqlite3_last_insert_rowid(database_);
            for (const std::string_view tag : event.tags) {
                bind(tag_, 1, tag);
                check(sqlite3_bind_int64(tag_, 2, position));
                execute(tag_);
            }
        }
        execute(commit_);
    }
    std::uint64_t read_last(std::uint64_t& sum) override {
        std::uint64_t position = 0;
        static_cast<void>(read(last_, sum, [&] {
            position = static_cast<std::uint64_t>(sqlite3_column_int64(last_, 1));
        }));
        return position;
    }
    std::uint64_t scan(std::uint64_t& sum) override { return read(scan_, sum); }
    std::uint64_t read_stream(std::string_view name, std::uint64_t& sum) override {
        bind(stream_, 1, name);
        return read(stream_, sum);
    }
    std::uint64_t read_tag(std::string_view name, std::uint64_t& sum) override {
        bind(tagged_, 1, name);
        return read(tagged_, sum);
    }
    std::uint64_t version(std::string_view stream) override {
        bind(version_, 1, stream);
        if (sqlite3_step(version_) != SQLITE_ROW) fail();
        const auto found = static_cast<std::uint64_t>(sqlite3_column_int64(version_, 0));
        sqlite3_reset(version_);
        return found;
    }

private:
    [[noreturn]] void fail() {
        std::fprintf(stderr, "varve-bench: sqlite: %s\n", sqlite3_errmsg(database_));
        std::exit(3);
    }
    void check(int code) {
        if (code != SQLITE_OK) fail();
    }
    void run(const char* text) { check(sqlite3_exec(database_, text, nullptr, nullptr, nullptr)); }
    sqlite3_stmt* prepare(const char* text) {
        sqlite3_stmt* made = nullptr;
        check(sqlite3_prepare_v3(database_, text, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr));
        statements_.push_back(made);
        return made;
    }
    void bind(sqlite3_stmt* statement, int place, std::string_view text) {
        check(sqlite3_bind_text(statement, place, text.data(), static_cast<int>(text.size()),
                                SQLITE_STATIC));
    }
    void execute(sqlite3_stmt* statement) {
        if (sqlite3_step(statement) != SQLITE_DONE) fail();
        sqlite3_reset(statement);
    }
    /// Steps through the rows; their first column is data.
    std::uint64_t read(sqlite3_stmt* statement, std::uint64_t& sum,
                       const std::function<void()>& each = {}) {
        std::uint64_t rows = 0;
        int code = sqlite3_step(statement);
        for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
            const auto* data = static_cast<const unsigned char*>(sqlite3_column_blob(statement, 0));
            sum += data == nullptr ? 1U : *data;
            if (each) each();
            ++rows;
        }
        if (code != SQLITE_DONE) fail();
        sqlite3_reset(statement);
        return rows;
    }

    sqlite3* database_ = nullptr;
    std::vector<sqlite3_stmt*> statements_;
    sqlite3_stmt *begin_ = nullptr, *commit_ = nullptr, *event_ = nullptr, *tag_ = nullptr;
    sqlite3_stmt *last_ = nullptr, *scan_ = nullptr, *stream_ = nullptr, *tagged_ = nullptr;
    sqlite3_stmt* version_ = nullptr;
};

}  // namespace

std::unique_ptr<Database> open_sqlite(const std::string& directory, Durability level) {
    return std::make_unique<Sqlite>(directory, level);
}

}  // namespace varve::bench
#endif
