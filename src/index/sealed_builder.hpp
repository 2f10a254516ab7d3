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
    SealedBuilder(const Hasher& hasher, const log::Uuid& uuid, Scratch& scratch);

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

private:
    struct Name {
        const char* text;
        Key key;
        std::uint32_t length;
        std::uint32_t count;
        std::uint32_t last;   ///< ordinal
        std::uint32_t order;  ///< among all names, once they are sorted
        KeyKind kind;
    };
    struct SortKey {
        std::uint64_t prefix;
        std::uint32_t name;
    };
    static constexpr std::uint32_t kNone = ~0U;

    [[nodiscard]] std::uint32_t intern(KeyKind kind, Key key, std::string_view name) noexcept;
    [[nodiscard]] bool grow_table() noexcept;
    void list(KeyKind kind, Key key, std::string_view name, std::uint32_t ordinal) noexcept;
    void note_times(std::uint32_t ordinal, std::int64_t event_us,
                    std::int64_t recorded_us) noexcept;
    [[nodiscard]] bool sort_names(ScratchArray<std::uint32_t>& order) noexcept;
    [[nodiscard]] bool sort_kind(KeyKind kind, ScratchArray<std::uint32_t>& order) noexcept;
    [[nodiscard]] bool gather(const ScratchArray<std::uint32_t>& order,
                              ScratchArray<std::uint32_t>& ordinals) noexcept;
    void put_columns(SealedWriter& writer) noexcept;
    [[nodiscard]] std::string_view text(const Name& name) const noexcept {
        return {name.text, name.length};
    }

    const Hasher& hasher_;
    log::Uuid uuid_;
    Scratch& scratch_;
    SealedSegment segment_{};
    bool no_memory_ = false;
    std::uint32_t events_ = 0;
    ScratchArray<Name> names_;
    ScratchArray<std::uint64_t> table_;        ///< fingerprint and number of a name, plus one
    ScratchArray<std::uint64_t> occurrences_;  ///< number of a name and ordinal
    ScratchArray<std::uint32_t> offsets_;
    ScratchArray<std::uint32_t> types_;  ///< number of the type's name, or kNone
    ScratchArray<SealedTimes> times_;
    ScratchArray<SealedWriter::Id> ids_;
};

}  // namespace varve::index
