// What an open partition knows.
//
// One thread at a time. Invariant: `end` is a boundary between documents, and what lies behind it
// is no whole document.
#pragma once

#include <memory>
#include <string>

#include "nes/append_file.hpp"
#include "nes/documents.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

struct Partition::State {
    std::unique_ptr<AppendFile> file;
    std::shared_ptr<const std::string> path;
    std::string metadata;
    std::uint64_t header = 0;
    std::uint64_t epoch_ms = 0;
    std::uint64_t end = 0;  ///< of the last whole document, counted from the header's end
    std::uint64_t last_time_us = 0;
    std::optional<Torn> torn;

    [[nodiscard]] Result<void> begin(const PartitionOptions& options) noexcept;
    /// Finds out where the last whole document ends.
    void look_at_end() noexcept;
    [[nodiscard]] Result<void> flush_buffered() noexcept;
    [[nodiscard]] Error flawed(Flaw flaw, std::uint64_t at) const;
    /// Since the epoch: of the clock, or of a time since 1970, but later than the last one.
    [[nodiscard]] std::uint64_t next_time(std::optional<std::int64_t> given_us) noexcept;
    /// Everything behind the header that lies in the file.
    [[nodiscard]] base::Bytes whole() const noexcept { return file->content().subspan(header); }
    /// The whole documents of it.
    [[nodiscard]] base::Bytes flushed() const noexcept {
        const base::Bytes all = whole();
        return all.first(std::min<std::uint64_t>(all.size(), end));
    }
};

}  // namespace nes
}  // namespace v0
}  // namespace varve
