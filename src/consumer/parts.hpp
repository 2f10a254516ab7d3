// What the files of a consumer say together: its own file, or those of all lanes of a group.
//
// Any thread; takes no lock. Invariant: of a group every lane is there, if only with its error.
#pragma once

#include <vector>

#include "consumer/checkpoint_file.hpp"
#include "consumer/parked_file.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

struct Parts {
    FileContent own;
    std::vector<FileContent> lanes;  ///< of a group, by number; else empty

    [[nodiscard]] bool is_group() const noexcept { return !lanes.empty(); }
    /// Those that hold checkpoints.
    [[nodiscard]] std::span<const FileContent> all() const noexcept {
        return is_group() ? std::span<const FileContent>{lanes} : std::span{&own, 1};
    }
    /// The first error of any of them.
    [[nodiscard]] std::optional<Error> error() const;
    /// Of several: the lowest position, the counts of all. Only if there is no error.
    [[nodiscard]] Checkpoint checkpoint() const noexcept;
    /// Which events are those of part `n`; empty for all.
    [[nodiscard]] Lanes division() const { return is_group() ? lanes_of(own.header) : Lanes{}; }
};

/// Reads the lanes as well, if the file is that of a group. Errors of the content are in the
/// answer.
[[nodiscard]] Result<Parts> read_parts(const Place& place, FileContent own);
/// All of a consumer; what is wrong with any of it is an error.
[[nodiscard]] Result<Parts> read_named(const Place& place, std::string_view name);

/// The parked events of each part, checked against its checkpoint.
[[nodiscard]] Result<std::vector<ParkedFile>> read_parked(const Place& place, const Parts& parts);

}  // namespace consumer
}  // namespace v0
}  // namespace varve
