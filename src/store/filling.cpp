// Lists of the past: which of the events that were there before a definition it applies to, found
// by the sealer, one segment at a time.
//
// A step ends with a file of its own, so what is done stays done. Only segments and definitions
// that are durable are looked at. Nothing here is needed for right answers: what is not listed is
// looked at again by every question.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// Rules whose past a group lists, ascending. One that is not durable may be lost, and its number
/// given to another.
std::vector<RulePtr> rules_of(const RuleBook& book, std::uint64_t first, std::uint64_t last,
                              std::uint64_t durable) {
    std::vector<RulePtr> rules;
    for (const RulePtr& rule : book.rules->all()) {
        const bool inside = first <= rule->says.number && rule->says.number <= last;
        if (inside && rule->defined() <= durable && rule->removed == 0 &&
            RuleBook::to_list(*rule) > 0)
            rules.push_back(rule);
    }
    return rules;
}

/// Looks at every event of one segment.
class Lister {
public:
    explicit Lister(std::vector<RulePtr> rules) : rules_(std::move(rules)) {
        std::vector<RulePtr> streams;
        std::vector<RulePtr> names;
        for (const RulePtr& rule : rules_) {
            (rule->says.kind == DefinitionKind::stream ? streams : names).push_back(rule);
            // What gave events their names then decides as well.
            for (const RulePtr& one : rule->names)
                if (std::ranges::find(helpers_, one) == helpers_.end()) helpers_.push_back(one);
        }
        router_.emplace(streams, helpers_);
        names_ = std::move(names);
    }

    void look(const log::RecordView& record, index::PastBuilder& to) {
        const std::uint64_t position = record.header.position;
        const RecordContent event(record);
        for (const RulePtr& rule : names_) {
            if (position >= rule->defined()) continue;
            for (const std::string& name : names_given(*rule, event.content)) {
                // What the event carries itself is in the index already.
                if (std::ranges::find(event.tags, name) == event.tags.end())
                    to.add(rule->says.number, name, position);
            }
        }
        router_->route_roughly(event.content, routed_);
        for (const std::uint32_t n : routed_.candidates) {
            const Rule& rule = *router_->streams()[n];
            if (position < rule.defined() && belongs(rule, event.content))
                to.add(rule.says.number, {}, position);
        }
    }

private:
    std::vector<RulePtr> rules_;
    std::vector<RulePtr> names_;
    std::vector<RulePtr> helpers_;
    std::optional<Router> router_;
    Routed routed_;
};

Result<void> write_list(const Meta& meta, const PastName& name,
                        const std::vector<std::byte>& bytes) noexcept {
    return make_index_file(meta, meta.index_directory() + "/" + name.text(),
                           [&](index::Sink& to) { return to.write_at(0, bytes); });
}

/// Of a segment with damage: a question about it finds the damage by itself.
Error unlistable(const Meta& meta, std::uint64_t segment, std::uint64_t offset) noexcept {
    return base::failure(ErrorCode::corrupt,
                         "a segment with damage is not listed: its events are looked at",
                         meta.segment_path(segment), offset);
}

/// A body that fails its checksum: what was erased belongs nowhere, what is damaged may belong.
Result<void> check_erased(const Meta& meta, const log::SegmentScanner& scanner) {
    auto erased = meta.erasures->explain(meta, scanner.record().header.position);
    if (!erased) return std::move(erased).error();
    if (*erased) return {};
    return base::failure(ErrorCode::corrupt,
                         "the content of the event at position " +
                             std::to_string(scanner.record().header.position) +
                             " is damaged: its segment is not listed, its events are looked at",
                         meta.log_directory(), scanner.offset());
}

}  // namespace

/// One step, in the background. False if there is nothing to be listed, or if it failed and is
/// tried again later.
bool Writer::list_past() noexcept {
    if (defined_.load(std::memory_order_acquire) == 0) return false;
    try {
        const std::lock_guard lock(listing_mutex_);
        // Damage does not go away: it is not read again and again.
        const std::uint64_t version = defined_.load(std::memory_order_acquire);
        if (unlistable_since_ == version) return false;
        std::uint64_t listed = 0;
        std::uint64_t total = 0;
        auto more = list_step(listed, total);
        if (!more && more.error().code == ErrorCode::corrupt) unlistable_since_ = version;
        return more && *more;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

Result<void> Writer::list_all_past(const Progress& progress) noexcept {
    const AppendGuard guard(in_flight_);
    VARVE_TRY(usable());
    try {
        while (true) {
            const std::lock_guard lock(listing_mutex_);
            std::uint64_t listed = 0;
            std::uint64_t total = 0;
            auto more = list_step(listed, total);
            if (!more) return std::move(more).error();
            if (!*more || (progress && !progress(listed, total))) return {};
        }
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to list the past");
    }
}

/// Under the listing lock. False if nothing is left to be done. Errors: what kept a list from being
/// made.
Result<bool> Writer::list_step(std::uint64_t& listed, std::uint64_t& total) {
    const View now = view();
    auto book = meta_->rules->at(*meta_, now);
    if (!book) return std::move(book).error();
    if (*book == nullptr) return false;
    std::uint64_t grouped = 0;
    for (const PastGroup& group : (*book)->groups) {
        grouped = std::max(grouped, group.last);
        std::vector<RulePtr> own = rules_of(**book, group.first, group.last, now.durable);
        if (own.empty() && remove_lists(group)) return true;
        total = own.empty() ? 0 : RuleBook::to_list(*own.back());
        listed = group.filled;
        if (listed >= total) continue;
        VARVE_TRY(list_segment(**book, now, group, std::move(own)));
        return true;
    }
    std::vector<RulePtr> rules = rules_of(**book, grouped + 1, ~0ULL, now.durable);
    if (rules.empty()) return false;
    total = RuleBook::to_list(*rules.back());
    const PastGroup fresh{grouped + 1, rules.back()->says.number, 0, {}};
    VARVE_TRY(list_segment(**book, now, fresh, std::move(rules)));
    return true;
}

/// The next list of the group.
Result<void> Writer::list_segment(const RuleBook& book, const View& now, const PastGroup& group,
                                  std::vector<RulePtr> rules) {
    const std::size_t n = now.segments->index_of(group.filled + 1);
    const Segment* const segment = now.segments->find(group.filled + 1);
    if (segment == nullptr)
        return base::failure(ErrorCode::corrupt, "a segment is missing", meta_->log_directory());
    const RulePtr last = book.rules->numbered(group.last);
    index::PastHeader header;
    header.uuid = meta_->file.uuid;
    header.first_definition = group.first;
    header.last_definition = group.last;
    header.segment = segment->number();
    header.salt = segment->keys.salt;
    header.defined = last->defined();
    header.defined_crc = last->record_crc;
    header.first_position = segment->first();
    header.last_position =
        std::min(RuleBook::to_list(*rules.back()), now.segments->last_of(n, now.published));
    index::PastBuilder builder(header);
    Lister lister(std::move(rules));
    log::SegmentScanner scanner(segment->bytes(), segment->keys, first_point(*segment),
                                header.last_position);
    std::uint32_t seen = 0;
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (++seen % 1024 == 0 && stop_.load(std::memory_order_relaxed))
            return base::failure(ErrorCode::busy, "listing the past was given up");
        if (step == log::SegmentScanner::Step::damage)
            return unlistable(*meta_, segment->number(), scanner.offset());
        if (!index::is_listed(scanner.record())) continue;
        if (scanner.body_intact())
            lister.look(scanner.record(), builder);
        else
            VARVE_TRY(check_erased(*meta_, scanner));
    }
    const PastName name{group.first, group.last, segment->number()};
    VARVE_TRY(write_list(*meta_, name, builder.bytes()));
    // Partner: the acquire load of every view.
    control().definitions.fetch_add(2, std::memory_order_release);
    return {};
}

/// Of definitions that are all gone.
bool Writer::remove_lists(const PastGroup& group) noexcept {
    bool removed = false;
    for (const OpenedPastPtr& file : group.files)
        removed = env_.remove(meta_->index_directory() + "/" + file->name.text()) || removed;
    if (removed) control().definitions.fetch_add(2, std::memory_order_release);
    return removed;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
