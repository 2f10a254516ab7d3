// Sizes, for people: `Store::stats`.
#include "store/attached.hpp"
#include "store/engine.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

struct FileSize {
    std::uint64_t bytes = 0;
    std::uint64_t on_disk = 0;
};

FileSize size_of(os::Env& env, const std::string& path) noexcept {
    auto file = env.open(path, os::OpenMode::read);
    if (!file) return {};
    auto size = (*file)->size();
    auto on_disk = (*file)->disk_size();
    return {size ? *size : 0, on_disk ? *on_disk : 0};
}

/// Counts a file where it belongs.
void add_size(std::string_view directory, std::string_view name, const FileSize& is,
              Stats& stats) noexcept {
    const std::uint64_t size = is.bytes;
    if (directory == "log") {
        stats.segment_bytes += size;
        stats.disk_bytes.segments += is.on_disk;
    } else if (directory == "index") {
        stats.index_bytes += size;
        stats.disk_bytes.indexes += is.on_disk;
        if (name.ends_with(".act")) stats.active_index_bytes += size;
        if (name.ends_with(".idx")) stats.sealed_index_bytes += size;
    } else if (directory == "dropped") {
        stats.dropped_bytes += size;
        stats.disk_bytes.dropped += is.on_disk;
    } else if (directory == "consumers") {
        stats.consumer_bytes += size;
        stats.disk_bytes.consumers += is.on_disk;
    } else if (name == "manifest") {
        stats.manifest_bytes += size;
        stats.disk_bytes.manifest += is.on_disk;
    } else {
        stats.other_bytes += size;
        stats.disk_bytes.other += is.on_disk;
    }
}

/// Bytes of the log that commits use: each segment up to its last record.
void log_bytes(const View& view, Stats& stats) noexcept {
    for (std::size_t n = 0; n < view.segments->items.size(); ++n) {
        const Segment& segment = *view.segments->items[n];
        const std::uint64_t last = view.segments->last_of(n, view.published);
        if (last < segment.first()) continue;
        const std::uint64_t offset = segment.offset_of(last - segment.first());
        log::RecordView record;
        if (offset == 0 || log::decode_record(segment.bytes(), offset, last, segment.keys.seed,
                                              log::Check::structure, record) != nullptr) {
            continue;
        }
        stats.log_bytes += offset + record.size();
    }
}

}  // namespace

}  // namespace store

Result<Stats> Store::stats() const noexcept {
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    const store::Meta& meta = engine_->meta();
    Stats stats;
    stats.events = view->published;
    stats.segments = view->segments->items.size();
    store::log_bytes(*view, stats);
    for (const char* directory : {"", "log", "index", "dropped", "consumers", store::kAttached}) {
        const std::string folder = *directory == 0 ? meta.path : meta.in(directory);
        auto names = meta.env->list(folder);
        if (!names) continue;
        for (const std::string& name : *names) {
            const store::FileSize size = store::size_of(*meta.env, folder + "/" + name);
            if (size.bytes == 0 && *directory == 0) continue;  // a directory
            ++stats.files;
            store::add_size(directory, name, size, stats);
        }
    }
    return stats;
}

}  // namespace v0
}  // namespace varve
