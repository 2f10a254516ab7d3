// What everybody in an open store needs to know and nobody changes: where it is, whose it is, how
// names are hashed.
//
// Any thread; immutable after opening, but for one counter and what is known of erased events.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "file/manifest.hpp"
#include "file/store_file.hpp"
#include "index/key.hpp"
#include "os/env.hpp"
#include "store/erased.hpp"
#include "varve/options.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class RuleShelf;
[[nodiscard]] std::shared_ptr<RuleShelf> make_rule_shelf();

struct Meta {
    os::Env* env = nullptr;
    std::string path;
    file::StoreFile file;
    index::Hasher hasher;
    OpenOptions options;
    /// Grows when somebody meets a damaged index, so that it is made again.
    std::shared_ptr<std::atomic<std::uint32_t>> index_damage =
        std::make_shared<std::atomic<std::uint32_t>>(0);
    std::shared_ptr<Erasures> erasures = std::make_shared<Erasures>();
    std::shared_ptr<RuleShelf> rules = make_rule_shelf();

    [[nodiscard]] std::string in(const char* name) const { return path + "/" + name; }
    /// The directory that holds the store's own name.
    [[nodiscard]] std::string parent_directory() const;
    [[nodiscard]] std::string log_directory() const { return path + "/log"; }
    [[nodiscard]] std::string index_directory() const { return path + "/index"; }
    [[nodiscard]] std::string segment_path(std::uint64_t number) const;
    [[nodiscard]] std::string active_index_path(std::uint64_t number) const;
    [[nodiscard]] std::string sealed_index_path(const file::SealedRange& range) const;
    [[nodiscard]] std::uint32_t directory_mode() const noexcept;
    /// Seed of the manifest's checksums.
    [[nodiscard]] std::uint32_t manifest_seed() const noexcept;
};

/// Number of the segment with this file name; 0 if it is none.
[[nodiscard]] std::uint64_t segment_number(std::string_view name) noexcept;
/// Number of the segment whose active index has this file name; 0 if it is none.
[[nodiscard]] std::uint64_t active_index_number(std::string_view name) noexcept;
/// Behind the name of an active index that did not agree with the log when its segment was sealed.
inline constexpr const char* kDiffering = ".differs";
/// The segments whose sealed index has this file name; {0, 0} if it is none.
[[nodiscard]] file::SealedRange sealed_index_range(std::string_view name) noexcept;

/// The name of a list of the past: of definitions `first` … `last`, for one segment.
struct PastName {
    std::uint64_t first = 0;  ///< 0: it is no such name
    std::uint64_t last = 0;
    std::uint64_t segment = 0;

    [[nodiscard]] std::string text() const;
    friend bool operator==(const PastName&, const PastName&) noexcept = default;
};
[[nodiscard]] PastName past_name(std::string_view text) noexcept;

/// Syncs a directory, unless the defect that forgets it is switched on.
[[nodiscard]] Result<void> sync_names(os::Env& env, const std::string& directory) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
