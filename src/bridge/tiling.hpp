// Whether the entries of an index name every byte of the partitions, and none twice.
//
// One thread. Documents come in the order of their numbers, so each partition's from its beginning
// to its end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "varve/nes.hpp"

namespace varve::bridge {

class Tiling {
public:
    explicit Tiling(std::vector<nes::PartitionInfo> partitions);

    enum class Fit : std::uint8_t { follows, leaves_gap, overlaps };
    /// What is known of the partitions by now.
    void update(std::vector<nes::PartitionInfo> partitions);

    /// Takes the next document. One that overlaps the one before it is not taken.
    [[nodiscard]] Fit place(const nes::StoredDocument& document);

    /// What an entry names whose document cannot be read counts as covered, if it can be true.
    void pass(const nes::IndexEntry& entry);

    struct Gap {
        std::string path;
        std::uint64_t offset = 0;  ///< in the file
        std::uint64_t bytes = 0;
    };
    /// Of the last document that left one.
    [[nodiscard]] const Gap& gap() const noexcept { return gap_; }
    /// What of each partition no document has covered, up to its size when this was made.
    [[nodiscard]] std::vector<Gap> rest() const;
    [[nodiscard]] const std::string& path_of(std::string_view partition);
    [[nodiscard]] const std::vector<nes::PartitionInfo>& partitions() const noexcept {
        return partitions_;
    }

private:
    struct Covered {
        std::string path;
        std::uint64_t header_bytes = 0;
        std::uint64_t size = 0;  ///< 0: not known when this was made
        std::uint64_t end = 0;   ///< covered so far
    };
    [[nodiscard]] Covered& covered(std::string_view partition);

    std::vector<nes::PartitionInfo> partitions_;
    std::map<std::string, Covered, std::less<>> covered_;
    Covered* last_ = nullptr;  ///< documents often follow each other in one partition
    std::string_view last_name_;
    Gap gap_;
};

}  // namespace varve::bridge
