// Files of node-event-storage in tests: their bytes, and values put into them byte by byte.
//
// One thread.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "os/env.hpp"
#include "varve/nes_files.hpp"

namespace varve::test {

/// The bytes of the file; a failed test if it cannot be read.
inline std::string bytes_of(os::Env& env, const std::string& path) {
    auto file = env.open(path, os::OpenMode::read);
    if (!file) {
        ADD_FAILURE() << path << ": " << file.error().message;
        return {};
    }
    std::string bytes(*(*file)->size(), '\0');
    EXPECT_TRUE((*file)->read_at(0, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}));
    return bytes;
}

/// Makes a file of these bytes, in place of one that is there.
inline void make_file(os::Env& env, const std::string& path, std::string_view bytes) {
    static_cast<void>(env.remove(path));
    auto file = env.open(path, os::OpenMode::create, 0644);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->write_at(0, base::as_bytes(bytes)));
}

inline std::string be32(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255U);
    return bytes;
}

inline std::string from_hex(std::string_view hex) {
    std::string bytes;
    int nibbles = 0;
    unsigned value = 0;
    for (const char c : hex) {
        if (c == ' ') continue;
        value = value << 4U | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
        if (++nibbles % 2 == 0) bytes += static_cast<char>(value & 255U);
    }
    return bytes;
}

inline nes::FileOptions reading(os::Env* env = nullptr) {
    nes::FileOptions options;
    options.access = Access::read_only;
    options.env = env;
    return options;
}

/// Options of type `Options` with the common part set.
template <class Options>
Options with(const nes::FileOptions& common) {
    Options options;
    static_cast<nes::FileOptions&>(options) = common;
    return options;
}

inline nes::FileOptions writing(nes::Layout layout, os::Env* env = nullptr) {
    nes::FileOptions options;
    options.layout = layout;
    options.env = env;
    return options;
}

/// The payloads of a partition from its first document on, up to the first flaw.
inline std::vector<std::string> payloads(nes::Partition& partition) {
    std::vector<std::string> all;
    auto cursor = partition.forwards();
    EXPECT_TRUE(cursor) << cursor.error().message;
    if (!cursor) return all;
    for (nes::Document one; cursor->next(one);) all.emplace_back(one.data);
    return all;
}

}  // namespace varve::test
