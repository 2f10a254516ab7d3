// Makes a sealed index of one segment from its records.
//
// One thread. In: every record of the segment, in order; their bytes outlive the builder, because
// names are not copied. Out: the file, through SealedWriter. What it needs in between grows with
// the segment and is taken from a Scratch: about 100 bytes for an event with five names.
#pragma once

#include "index/sealed_writer.hpp"

namespace varve::index {

class SealedBuilder {
public:
    /// `log_bytes`: about how many bytes of log will be added; it decides how the work is cut.
    SealedBuilder(const Hasher& hasher, const log::Uuid& uuid, Scratch& scratch,
                  std::uint64_t log_bytes);

    /// Once, before anything else.
    void begin_segment(const SealedSegment& segment) noexcept { segment_ = segment; }
    /// The record of the next position. Control records take their place and are listed under
    /// nothing. Errors: `out_of_memory`.
    [[nodiscard]] Result<void> add(std::uint32_t offset8, const log::RecordView& record,
                                   std::int64_t recorded_us) noexcept;
    /// Errors: `busy` if `go_on` said no; the Sink's; `out_of_memory`; `corrupt` if not every
    /// position of the segment was added.
    [[nodiscard]] Result<void> write(Sink& to, std::uint32_t end_chain,
                                     const std::function<bool()>& go_on) noexcept;

    /// What was written.
    [[nodiscard]] const Listed& listed() const noexcept { return listed_; }

private:
    /// Names are dealt to parts by their keys, so that each part fits into a cache when its names
    /// are told apart. A part is a list of chunks; in them stands, for each name of each event:
    /// key, ordinal, length, bytes.
    struct Chunk {
        std::byte* begin;
        std::uint32_t used;
    };
    struct Part {
        std::vector<Chunk> chunks;
        std::byte* at = nullptr;
        std::byte* end = nullptr;
    };
    struct Name {
        const char* text;     ///< in a chunk
        std::uint64_t begin;  ///< of its ordinals
        std::uint32_t length;
        std::uint32_t count;
        std::uint32_t last;  ///< ordinal
        KeyKind kind;
    };
    struct SortKey {
        std::uint64_t prefix;
        std::uint32_t name;
    };
    struct Occurrence {
        std::uint32_t name;
        std::uint32_t ordinal;
    };
    static constexpr std::uint32_t kNone = ~0U;
    static constexpr std::size_t kEntryHead = 16;

    void list(Key key, std::string_view name, std::uint32_t ordinal) noexcept;
    [[nodiscard]] std::byte* room_in(Part& part, std::size_t bytes);
    void note_times(std::uint32_t ordinal, std::int64_t event_us,
                    std::int64_t recorded_us) noexcept;
    [[nodiscard]] bool tell_apart(Part& part);
    [[nodiscard]] bool sort_names(ScratchArray<std::uint32_t>& order) noexcept;
    [[nodiscard]] static SortKey* sort_by_prefix(std::span<SortKey> keys, SortKey* room) noexcept;
    [[nodiscard]] bool sort_kind(KeyKind kind, ScratchArray<std::uint32_t>& order) noexcept;
    void put_names(SealedWriter& writer, const ScratchArray<std::uint32_t>& order);
    void put_columns(SealedWriter& writer) noexcept;
    [[nodiscard]] std::string_view text(const Name& name) const noexcept {
        return {name.text, name.length};
    }
    /// Where what was listed for it begins: its key.
    [[nodiscard]] static const std::byte* entry_of(const Name& name) noexcept {
        return reinterpret_cast<const std::byte*>(name.text) - kEntryHead;
    }

    const Hasher& hasher_;
    log::Uuid uuid_;
    Scratch& scratch_;
    SealedSegment segment_{};
    bool no_memory_ = false;
    std::uint32_t events_ = 0;
    Listed listed_{};
    std::size_t chunk_bytes_;
    std::span<std::byte> arena_{};  ///< what is left of the memory that chunks are cut from
    std::vector<Part> parts_;
    std::vector<std::uint64_t> table_;     ///< of one part: fingerprint and number of a name
    std::vector<Occurrence> occurrences_;  ///< of one part
    ScratchArray<Name> names_;
    ScratchArray<std::uint32_t> ordinals_;  ///< of all names, one behind the other
    ScratchArray<std::uint32_t> offsets_;
    ScratchArray<std::uint32_t> types_;  ///< number of the type's name, or kNone
    ScratchArray<SealedTimes> times_;
    ScratchArray<SealedWriter::Id> ids_;
};

}  // namespace varve::index
