// RocksDB as the peer: events under their position, and an empty value under (name, position) for
// the stream, the type and each tag; one WriteBatch per commit, synced for level disk. It checks no
// version: the version of a stream is the number of its keys.
#ifdef VARVE_BENCH_ROCKSDB
#include <rocksdb/c.h>

#include <atomic>

#include "database.hpp"

namespace varve::bench {

namespace {

void put_position(std::string& key, std::uint64_t position) {
    for (int shift = 56; shift >= 0; shift -= 8)
        key.push_back(static_cast<char>(position >> shift & 0xFF));
}

std::uint64_t position_in(std::string_view key) {
    std::uint64_t position = 0;
    for (const char byte : key.substr(key.size() - 8))
        position = position << 8 | static_cast<unsigned char>(byte);
    return position;
}

std::string name_key(char kind, std::string_view name) {
    std::string key(1, kind);
    key.append(name);
    key.push_back('\0');
    return key;
}

class Rocksdb final : public Database {
public:
    Rocksdb(const std::string& directory, Durability level) {
        rocksdb_options_set_create_if_missing(options_, 1);
        rocksdb_options_set_compression(options_, rocksdb_no_compression);
        rocksdb_options_increase_parallelism(options_, 2);
        rocksdb_block_based_options_set_filter_policy(table_,
                                                      rocksdb_filterpolicy_create_bloom_full(10));
        rocksdb_block_based_options_set_block_cache(table_, cache_);
        rocksdb_options_set_block_based_table_factory(options_, table_);
        rocksdb_writeoptions_set_sync(write_, level == Durability::disk ? 1 : 0);
        char* error = nullptr;
        database_ = rocksdb_open(options_, directory.c_str(), &error);
        check(error);
        std::uint64_t ignored = 0;
        next_ = read_last(ignored) + 1;
    }
    ~Rocksdb() override {
        rocksdb_close(database_);
        rocksdb_readoptions_destroy(read_);
        rocksdb_writeoptions_destroy(write_);
        rocksdb_block_based_options_destroy(table_);
        rocksdb_cache_destroy(cache_);
        rocksdb_options_destroy(options_);
    }
    Rocksdb(const Rocksdb&) = delete;
    Rocksdb& operator=(const Rocksdb&) = delete;

    void append(std::span<const NewEvent> events) override {
        thread_local std::string key;
        thread_local std::string value;
        rocksdb_writebatch_t* batch = rocksdb_writebatch_create();
        std::uint64_t position = next_.fetch_add(events.size());
        for (const NewEvent& event : events) {
            encode(event, value);
            key.assign(1, 'e');
            put_position(key, position);
            rocksdb_writebatch_put(batch, key.data(), key.size(), value.data(), value.size());
            const auto list = [&](char kind, std::string_view name) {
                key.assign(1, kind);
                key.append(name);
                key.push_back('\0');
                put_position(key, position);
                rocksdb_writebatch_put(batch, key.data(), key.size(), "", 0);
            };
            list('s', event.stream);
            list('k', event.type);
            for (const std::string_view tag : event.tags) list('t', tag);
            ++position;
        }
        char* error = nullptr;
        rocksdb_write(database_, write_, batch, &error);
        rocksdb_writebatch_destroy(batch);
        check(error);
    }
    std::uint64_t read_last(std::uint64_t& sum) override {
        rocksdb_iterator_t* at = rocksdb_create_iterator(database_, read_);
        rocksdb_iter_seek_for_prev(at, "f", 1);
        std::uint64_t position = 0;
        if (rocksdb_iter_valid(at) != 0 && key_at(at).front() == 'e') {
            position = position_in(key_at(at));
            sum += first_byte(value_at(at));
        }
        finish(at);
        return position;
    }
    std::uint64_t scan(std::uint64_t& sum) override {
        return walk("e", [&](rocksdb_iterator_t* at) { sum += first_byte(value_at(at)); });
    }
    std::uint64_t read_stream(std::string_view name, std::uint64_t& sum) override {
        return walk(name_key('s', name), [&](rocksdb_iterator_t* at) { sum += fetch(at); });
    }
    std::uint64_t read_tag(std::string_view name, std::uint64_t& sum) override {
        return walk(name_key('t', name), [&](rocksdb_iterator_t* at) { sum += fetch(at); });
    }
    std::uint64_t version(std::string_view stream) override {
        return walk(name_key('s', stream), [](rocksdb_iterator_t*) {});
    }
    [[nodiscard]] bool takes_many_writers() const override { return true; }

private:
    static void check(char* error) {
        if (error == nullptr) return;
        std::fprintf(stderr, "varve-bench: rocksdb: %s\n", error);
        std::exit(3);
    }
    static std::string_view key_at(rocksdb_iterator_t* at) {
        std::size_t size = 0;
        const char* data = rocksdb_iter_key(at, &size);
        return {data, size};
    }
    static std::string_view value_at(rocksdb_iterator_t* at) {
        std::size_t size = 0;
        const char* data = rocksdb_iter_value(at, &size);
        return {data, size};
    }
    static std::uint64_t first_byte(std::string_view encoded) {
        const std::string_view data = data_of(encoded);
        return data.empty() ? 1U : static_cast<unsigned char>(data.front());
    }
    static void finish(rocksdb_iterator_t* at) {
        char* error = nullptr;
        rocksdb_iter_get_error(at, &error);
        rocksdb_iter_destroy(at);
        check(error);
    }
    template <class Use>
    std::uint64_t walk(const std::string& prefix, Use use) {
        rocksdb_iterator_t* at = rocksdb_create_iterator(database_, read_);
        std::uint64_t events = 0;
        for (rocksdb_iter_seek(at, prefix.data(), prefix.size());
             rocksdb_iter_valid(at) != 0 && key_at(at).starts_with(prefix); rocksdb_iter_next(at)) {
            use(at);
            ++events;
        }
        finish(at);
        return events;
    }
    /// The event that a key of a name points to.
    std::uint64_t fetch(rocksdb_iterator_t* at) {
        std::string key(1, 'e');
        put_position(key, position_in(key_at(at)));
        char* error = nullptr;
        rocksdb_pinnableslice_t* slice =
            rocksdb_get_pinned(database_, read_, key.data(), key.size(), &error);
        check(error);
        if (slice == nullptr) {
            std::fprintf(stderr, "varve-bench: rocksdb: an event is missing\n");
            std::exit(3);
        }
        std::size_t size = 0;
        const char* data = rocksdb_pinnableslice_value(slice, &size);
        const std::uint64_t byte = first_byte({data, size});
        rocksdb_pinnableslice_destroy(slice);
        return byte;
    }

    rocksdb_options_t* options_ = rocksdb_options_create();
    rocksdb_block_based_table_options_t* table_ = rocksdb_block_based_options_create();
    rocksdb_cache_t* cache_ = rocksdb_cache_create_lru(std::size_t{256} << 20);
    rocksdb_writeoptions_t* write_ = rocksdb_writeoptions_create();
    rocksdb_readoptions_t* read_ = rocksdb_readoptions_create();
    rocksdb_t* database_ = nullptr;
    std::atomic<std::uint64_t> next_{1};
};

}  // namespace

std::unique_ptr<Database> open_rocksdb(const std::string& directory, Durability level) {
    return std::make_unique<Rocksdb>(directory, level);
}

}  // namespace varve::bench
#endif
