// The catalogue: pages of the merged names, and the versions of streams.
#include "store/catalogue.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/heads.hpp"
#include "store/names.hpp"
#include "store/reading.hpp"

namespace varve {
inline namespace v0 {
namespace store {

Result<std::vector<CatalogueEntry>> catalogue(Pinned& pinned, index::KeyKind kind,
                                              const NamesOptions& options) noexcept {
    try {
        std::vector<CatalogueEntry> entries;
        if (options.limit == 0) return entries;
        MergedNames names;
        VARVE_TRY(names.open(pinned, kind, std::max(options.prefix, options.after)));
        CatalogueEntry entry;
        while (entries.size() < options.limit && names.next(entry)) {
            if (!entry.name.starts_with(options.prefix)) break;
            const bool wanted = entry.name != options.after && entry.first > options.since &&
                                !log::is_mark(entry.name);  // the store's own
            if (wanted) entries.push_back(entry);
        }
        if (names.error()) return Error(*names.error());
        return entries;
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory for the catalogue");
    }
}

Result<std::uint64_t> bytes_of(const std::shared_ptr<Pinned>& pinned, std::string_view stream) {
    ReadOptions options;
    options.verify =
        Verify::trusted;  // lengths that contradict each other are noticed all the same
    Reading reading(pinned, Source::stream(stream), options);
    std::uint64_t bytes = 0;
    while (true) {
        auto run = reading.next();
        if (!run) return std::move(run).error();
        if (run->empty()) return bytes;
        for (const EventView& event : *run) {
            std::uint64_t names = event.stream.size() + event.type.size();
            for (const std::string_view tag : event.tags) names += tag.size();
            bytes += log::head_size(names, event.tags.size(), event.id_bytes != nullptr) +
                     log::body_size(event.metadata.size(), event.data.size());
        }
    }
}

Result<std::uint64_t> version_of(const Pinned& pinned, std::string_view stream) noexcept {
    const index::Key key = pinned.meta().hasher.key(index::KeyKind::stream, stream);
    const View& view = pinned.view();
    auto head = find_head(pinned.meta(), *view.segments, view.published, key, stream);
    if (!head) return std::move(head).error();
    return head->version;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
