// `Store::erase`: which events a request means, what that takes away, and handing it to the writer.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/engine.hpp"
#include "store/erased.hpp"
#include "store/reading.hpp"

namespace varve {
inline namespace v0 {

using base::failure;

namespace store {

namespace {

/// Collects the events of one request that are not erased yet.
class Selection {
public:
    Selection(std::shared_ptr<Pinned> pinned, ErasedSet erased) noexcept
        : pinned_(std::move(pinned)), erased_(std::move(erased)) {}

    [[nodiscard]] Result<void> add(std::span<const Position> positions) {
        for (const Position position : positions) {
            auto record = pinned_->record(position.value, log::Check::head);
            if (!record) return std::move(record).error();
            if (!index::is_listed(*record)) {
                return failure(ErrorCode::not_found, "what stands at position " +
                                                         std::to_string(position.value) +
                                                         " is the store's own and no event");
            }
            take(position.value,
                 std::uint64_t{record->header.metadata_length} + record->header.data_length);
        }
        return {};
    }
    [[nodiscard]] Result<void> add(Source source) {
        ReadOptions options;
        options.verify = Verify::trusted;  // content that is damaged can be erased as well
        Reading reading(pinned_, source, options);
        while (true) {
            auto run = reading.next();
            if (!run) return std::move(run).error();
            if (run->empty()) return {};
            for (const EventView& event : *run)
                take(event.position.value, event.data.size() + event.metadata.size());
        }
    }
    /// Ascending, without repetitions.
    [[nodiscard]] std::vector<log::PositionRange> ranges() && {
        log::normalise(ranges_);
        return std::move(ranges_);
    }
    Erasure report{};

private:
    void take(std::uint64_t position, std::uint64_t bytes) {
        if (erased_.holds(position)) {
            ++report.already;
            return;
        }
        if (!ranges_.empty() && ranges_.back().last == position) return;
        ++report.events;
        report.bytes += bytes;
        if (!ranges_.empty() && ranges_.back().last + 1 == position)
            ranges_.back().last = position;
        else
            ranges_.push_back({position, position});
    }

    std::shared_ptr<Pinned> pinned_;
    ErasedSet erased_;
    std::vector<log::PositionRange> ranges_;
};

/// `add` fills the selection.
template <class Add>
Result<Erasure> erase_selected(Engine& engine, const EraseOptions& options,
                               const Progress& progress, Add&& add) {
    auto view = engine.view();
    if (!view) return std::move(view).error();
    Writer* const writer = engine.writer();
    if (writer == nullptr && !options.dry_run) {
        return failure(ErrorCode::permission,
                       "the store was opened read-only; open it for writing to erase",
                       engine.meta().path);
    }
    auto erased = engine.meta().erasures->all(engine.meta());
    if (!erased) return std::move(erased).error();
    Selection selection(std::make_shared<Pinned>(engine.shared_meta(), std::move(*view)),
                        std::move(*erased));
    VARVE_TRY(add(selection));
    Erasure report = selection.report;
    if (options.dry_run) return report;
    const std::vector<log::PositionRange> ranges = std::move(selection).ranges();
    if (!ranges.empty()) {
        auto mark = writer->erase(ranges);
        if (!mark) return std::move(mark).error();
        report.record = Position{mark->position};
    }
    if (!options.wait) return report;
    auto finished = writer->finish_erasure(&progress);
    if (!finished && finished.error().code != ErrorCode::busy) return std::move(finished).error();
    report.done = finished.has_value();
    return report;
}

Error no_memory() noexcept { return failure(ErrorCode::out_of_memory, "no memory to erase"); }

}  // namespace

}  // namespace store

Result<Erasure> Store::erase(std::span<const Position> positions, const EraseOptions& options,
                             const Progress& progress) noexcept {
    try {
        // In order, so that one that is named twice is noticed.
        std::vector<Position> sorted(positions.begin(), positions.end());
        std::sort(sorted.begin(), sorted.end());
        return store::erase_selected(*engine_, options, progress, [&](store::Selection& selection) {
            return selection.add(sorted);
        });
    } catch (const std::bad_alloc&) {
        return store::no_memory();
    }
}

Result<Erasure> Store::erase(Source source, const EraseOptions& options,
                             const Progress& progress) noexcept {
    if (source.kind == Source::Kind::all || source.name.empty()) {
        return failure(ErrorCode::invalid_argument,
                       "to erase takes a stream, a category, a type or a tag with a name, or "
                       "positions",
                       path());
    }
    try {
        return store::erase_selected(*engine_, options, progress, [&](store::Selection& selection) {
            return selection.add(source);
        });
    } catch (const std::bad_alloc&) {
        return store::no_memory();
    }
}

Result<void> Store::wait_erased() noexcept {
    VARVE_TRY(engine_->open_here());
    store::Writer* const writer = engine_->writer();
    if (writer != nullptr) return writer->finish_erasure(nullptr);
    return failure(ErrorCode::permission, "the store was opened read-only; its writer erases",
                   path());
}

}  // namespace v0
}  // namespace varve
