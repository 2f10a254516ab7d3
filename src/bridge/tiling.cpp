// Bytes of partitions, covered document by document. One thread.
#include "bridge/tiling.hpp"

#include "nes/format.hpp"

namespace varve::bridge {

Tiling::Tiling(std::vector<nes::PartitionInfo> partitions) { update(std::move(partitions)); }

void Tiling::update(std::vector<nes::PartitionInfo> partitions) {
    partitions_ = std::move(partitions);
    for (const nes::PartitionInfo& one : partitions_) {
        Covered& known = covered_[one.name];
        known = {one.path, one.header_bytes, one.bytes, known.end};
    }
}

Tiling::Covered& Tiling::covered(std::string_view partition) {
    if (last_ != nullptr && last_name_ == partition) return *last_;
    auto found = covered_.find(partition);
    if (found == covered_.end()) found = covered_.emplace(std::string(partition), Covered{}).first;
    last_ = &found->second;
    last_name_ = found->first;
    return *last_;
}

Tiling::Fit Tiling::place(const nes::StoredDocument& document) {
    Covered& partition = covered(document.partition);
    if (document.position < partition.end) return Fit::overlaps;
    const std::uint64_t begin = partition.end;
    partition.end = document.position + nes::document_bytes(document.data.size());
    if (document.position == begin) return Fit::follows;
    const std::uint64_t bytes = document.position - begin;
    gap_ = {partition.path, document.offset - bytes, bytes};
    return Fit::leaves_gap;
}

void Tiling::pass(const nes::IndexEntry& entry) {
    for (const nes::PartitionInfo& one : partitions_) {
        if (one.id != entry.partition) continue;
        Covered& partition = covered(one.name);
        const std::uint64_t end = entry.position + nes::document_bytes(entry.size);
        if (entry.position == partition.end && end <= partition.size) partition.end = end;
    }
}

std::vector<Tiling::Gap> Tiling::rest() const {
    std::vector<Gap> rest;
    for (const auto& [name, one] : covered_)
        if (one.end < one.size)
            rest.push_back({one.path, one.header_bytes + one.end, one.size - one.end});
    return rest;
}

const std::string& Tiling::path_of(std::string_view partition) { return covered(partition).path; }

}  // namespace varve::bridge
