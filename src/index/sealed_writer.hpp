// Writes the file of a sealed index from front to back: names in order with their events, then the
// columns.
//
// One thread. In: names by kind and bytes, ordinals ascending, columns complete. Out: bytes through
// a Sink, each once, the header last. Memory that grows with the index is taken from a Scratch. The
// first error sticks and is told by `finish`.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "index/sealed_index.hpp"
#include "varve/result.hpp"

namespace varve::index {

/// Where the bytes of an index go.
class Sink {
public:
    virtual ~Sink() = default;
    virtual Result<void> write_at(std::uint64_t offset, base::Bytes bytes) noexcept = 0;
};

/// Memory for the time of making an index. Given back when the Scratch goes away.
class Scratch {
public:
    virtual ~Scratch() = default;
    /// Memory of at least `bytes`, aligned for anything, whatever it holds; empty if there is none.
    [[nodiscard]] virtual std::span<std::byte> take(std::uint64_t bytes) noexcept = 0;
};

/// An array in scratch memory that grows.
template <class T>
class ScratchArray {
public:
    explicit ScratchArray(Scratch& scratch) noexcept : scratch_(&scratch) {}

    /// False if there is no memory.
    [[nodiscard]] bool push(const T& value) noexcept {
        if (size_ == capacity_ && !reserve(capacity_ == 0 ? kFirst : 2 * capacity_)) return false;
        items_[size_++] = value;
        return true;
    }
    [[nodiscard]] bool append(std::span<const T> values) noexcept {
        const std::uint64_t end = size_;
        if (!resize(end + values.size())) return false;
        if (!values.empty())
            std::memcpy(static_cast<void*>(items_ + end), values.data(), values.size_bytes());
        return true;
    }
    /// What is new holds anything.
    [[nodiscard]] bool resize(std::uint64_t size) noexcept {
        if (size > capacity_ && !reserve(std::max(size, 2 * capacity_))) return false;
        size_ = size;
        return true;
    }
    /// Of an empty array.
    [[nodiscard]] bool resize_to_zeros(std::uint64_t size) noexcept {
        if (!resize(size)) return false;
        std::memset(static_cast<void*>(items_), 0, size * sizeof(T));
        return true;
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] T* data() const noexcept { return items_; }
    [[nodiscard]] T& operator[](std::uint64_t n) const noexcept { return items_[n]; }

private:
    static constexpr std::uint64_t kFirst = 4096 / sizeof(T) + 1;
    [[nodiscard]] bool reserve(std::uint64_t capacity) noexcept {
        const std::span<std::byte> memory = scratch_->take(capacity * sizeof(T));
        if (memory.size() < capacity * sizeof(T)) return false;
        auto* const items = static_cast<T*>(static_cast<void*>(memory.data()));
        if (size_ > 0) std::memcpy(static_cast<void*>(items), items_, size_ * sizeof(T));
        items_ = items;
        capacity_ = capacity;
        return true;
    }
    Scratch* scratch_;
    T* items_ = nullptr;
    std::uint64_t size_ = 0;
    std::uint64_t capacity_ = 0;
};

class SealedWriter {
public:
    SealedWriter(Sink& sink, Scratch& scratch, const std::function<bool()>& go_on);

    // ---- names, by kind, then by bytes
    void begin_name(KeyKind kind, std::string_view name) noexcept;
    void add(std::uint32_t ordinal);
    /// `print`: the fingerprint of the name's key.
    void end_name(std::uint32_t print);

    // ---- then, once: events that have ids
    struct Id {
        std::uint32_t print = 0;
        std::uint32_t ordinal = 0;
    };
    void finish_names(std::span<const Id> ids) noexcept;

    // ---- then the columns, each after its `begin`
    void begin(Section section) noexcept;
    void put(base::Bytes bytes) noexcept;
    template <class T>
    void put_value(const T& value) noexcept {
        base::store(room_for(sizeof value), value);
        used_ += sizeof value;
    }

    /// Writes ids, tables and header. Errors: `busy` if `go_on` said no, the Sink's,
    /// `out_of_memory`.
    [[nodiscard]] Result<void> finish(const log::Uuid& uuid,
                                      std::span<const SealedSegment> segments,
                                      std::uint32_t end_chain) noexcept;
    [[nodiscard]] bool failed() const noexcept { return error_.has_value(); }

private:
    void fail(Error error) noexcept {
        if (!error_) error_ = std::move(error);
    }
    void no_memory() noexcept;
    void flush() noexcept;
    void sum(base::Bytes bytes) noexcept;
    /// Where the next bytes go: there is room for so many.
    [[nodiscard]] std::byte* room_for(std::size_t bytes) noexcept {
        if (used_ + bytes > kBuffer) flush();
        return buffer_.get() + used_;
    }
    [[nodiscard]] std::uint64_t position() const noexcept { return written_ + used_; }
    void put_varint(std::uint64_t value) noexcept;
    void put_dictionary() noexcept;
    void put_slots(std::span<const Id> slots, Section section) noexcept;
    void put_filter(std::span<const Id> ids) noexcept;
    void put_tables(std::span<const SealedSegment> segments) noexcept;

    Sink& sink_;
    Scratch& scratch_;
    const std::function<bool()>& go_on_;
    std::optional<Error> error_;
    SealedHeader header_;

    static constexpr std::size_t kBuffer = 256 << 10;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t used_ = 0;                       ///< bytes in it
    std::uint64_t written_ = kSealedHeaderSize;  ///< bytes of the file before `buffer_`
    std::vector<std::uint32_t> sums_;            ///< of the blocks so far
    std::uint32_t sum_ = 0;                      ///< of the block that is begun
    std::uint64_t summed_ = 0;                   ///< bytes in it
    bool summing_ = true;
    Section section_ = Section::postings;

    KeyKind kind_ = KeyKind::stream;
    std::string name_;
    std::string before_;  ///< the name before, within a block of the dictionary
    struct Skip {
        std::uint32_t last;
        std::uint32_t end;
    };
    std::vector<Skip> skips_;
    std::vector<std::uint32_t> list_;  ///< ordinals of a list that may still be short
    std::uint64_t count_ = 0;
    std::uint32_t first_ = 0;
    std::uint32_t last_ = 0;
    std::uint64_t list_begin_ = 0;  ///< of its postings, in the section
    std::uint32_t in_block_ = 0;
    ScratchArray<std::byte> dictionary_;
    ScratchArray<std::uint64_t> blocks_;
    ScratchArray<Id> names_;  ///< fingerprints of the names, with their entry numbers
    std::span<const Id> ids_;
};

}  // namespace varve::index
