// Storages of node-event-storage in tests: documents that follow from their number, and what a
// whole storage must hold.
//
// One thread.
#pragma once

#include <functional>
#include <stdexcept>

#include "support/nes_files.hpp"
#include "varve/nes.hpp"

namespace varve::test {

inline std::string partition_of(std::uint64_t n) {
    return n % 3 == 0 ? "a" : n % 3 == 1 ? "b/c" : "d";
}

inline std::string document(std::uint64_t n) {
    return R"({"stream":")" + partition_of(n) + R"(","payload":{"n":)" + std::to_string(n) +
           R"(,"kind":")" + (n % 2 == 0 ? "even" : "odd") + R"(","more":")" +
           std::string(n * 13 % 90, 'x') + R"("}})";
}

inline nes::StorageOptions storage_options(nes::Layout layout, os::Env* env = nullptr) {
    nes::StorageOptions options;
    options.name = "es";
    options.access = Access::read_write;
    options.layout = layout;
    options.env = env;
    return options;
}

inline nes::Storage open_storage(const std::string& data, const nes::StorageOptions& options) {
    auto storage = nes::Storage::open(data, options);
    if (!storage) throw std::runtime_error(storage.error().message + " " + storage.error().file);
    return std::move(*storage);
}

/// Appends documents `from` to `until` to their partitions.
inline void fill(nes::Storage& storage, std::uint64_t from, std::uint64_t until) {
    for (std::uint64_t n = from; n <= until; ++n) {
        auto number = storage.write(document(n), partition_of(n));
        ASSERT_TRUE(number) << number.error().message;
        ASSERT_EQ(*number, n);
    }
}
inline void fill(nes::Storage&& storage, std::uint64_t from, std::uint64_t until) {
    fill(storage, from, until);
}

/// The numbers of the documents that a cursor gives, each of which must be right.
inline std::vector<std::uint64_t> numbers_of(nes::Storage::Cursor cursor) {
    std::vector<std::uint64_t> numbers;
    for (nes::StoredDocument one; cursor.next(one);) {
        numbers.push_back(one.number);
        EXPECT_FALSE(one.data.empty());
    }
    auto status = cursor.status();
    EXPECT_TRUE(status) << status.error().message;
    return numbers;
}
inline std::vector<std::uint64_t> numbers_of(Result<nes::Storage::Cursor>&& cursor) {
    EXPECT_TRUE(cursor) << cursor.error().message;
    return cursor ? numbers_of(std::move(*cursor)) : std::vector<std::uint64_t>{};
}

/// Entries of the index at `path`.
inline std::uint64_t entries_of(const std::string& path, os::Env* env = nullptr) {
    auto index = nes::Index::open(path, with<nes::IndexOptions>(reading(env)));
    EXPECT_TRUE(index) << index.error().message;
    return index ? index->length() : ~0ULL;
}

/// The index must have exactly the documents for which `takes` says so.
inline void expect_index(nes::Storage& storage, const std::string& name,
                         const std::function<bool(std::uint64_t)>& takes) {
    std::vector<std::uint64_t> wanted;
    for (std::uint64_t n = 1; n <= storage.length(); ++n)
        if (takes(n)) wanted.push_back(n);
    auto cursor = storage.range(1, -1, name);
    ASSERT_TRUE(cursor) << name << ": " << cursor.error().message;
    EXPECT_EQ(numbers_of(std::move(*cursor)), wanted) << name;
}

}  // namespace varve::test
