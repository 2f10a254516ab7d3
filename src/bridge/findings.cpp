// What can be found, in words and by weight. Any thread.
#include <algorithm>

#include "base/assert.hpp"
#include "varve/nes_import.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

std::string_view to_string(Finding finding) noexcept {
    switch (finding) {
        case Finding::damaged_file: return "damaged_file";
        case Finding::damaged_entry: return "damaged_entry";
        case Finding::overlapping_entry: return "overlapping_entry";
        case Finding::damaged_index: return "damaged_index";
        case Finding::unindexed_document: return "unindexed_document";
        case Finding::truncated_source: return "truncated_source";
        case Finding::torn_document: return "torn_document";
        case Finding::not_json: return "not_json";
        case Finding::unusable_event: return "unusable_event";
        case Finding::unfinished_commit: return "unfinished_commit";
        case Finding::unusable_name: return "unusable_name";
        case Finding::split_commit: return "split_commit";
        case Finding::function_matcher: return "function_matcher";
        case Finding::unusable_matcher: return "unusable_matcher";
        case Finding::unusable_consumer: return "unusable_consumer";
        case Finding::partition_metadata: return "partition_metadata";
        case Finding::differing_stream: return "differing_stream";
        case Finding::differing_index: return "differing_index";
    }
    VARVE_UNREACHABLE();
}

Weight weight_of(Finding finding) noexcept {
    switch (finding) {
        case Finding::damaged_file:
        case Finding::damaged_entry:
        case Finding::overlapping_entry:
        case Finding::damaged_index:
        case Finding::unindexed_document:
        case Finding::truncated_source:
        case Finding::differing_stream: return Weight::damage;
        case Finding::torn_document:
        case Finding::not_json:
        case Finding::unusable_event:
        case Finding::unfinished_commit:
        case Finding::differing_index: return Weight::refused;
        case Finding::unusable_name:
        case Finding::split_commit:
        case Finding::function_matcher:
        case Finding::unusable_matcher:
        case Finding::unusable_consumer:
        case Finding::partition_metadata: return Weight::note;
    }
    VARVE_UNREACHABLE();
}

Weight ImportReport::weight() const noexcept {
    Weight gravest = Weight::note;
    for (std::size_t n = 0; n < kFindings; ++n)
        if (found[n] > 0) gravest = std::max(gravest, weight_of(static_cast<Finding>(n)));
    return gravest;
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
