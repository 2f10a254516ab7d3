#include "store/rule_book.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/meta.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using index::Meaning;

namespace {

/// The past of a derived stream, or of one name that events get.
class RulePast final : public index::Past {
public:
    RulePast(RulePtr rule, std::string_view name) : rule_(std::move(rule)), name_(name) {}
    [[nodiscard]] bool holds(const log::RecordView& record) const override {
        if (record.erased) return false;
        const RecordContent event(record);
        if (rule_->says.kind == DefinitionKind::stream) return belongs(*rule_, event.content);
        const std::vector<std::string> names = names_given(*rule_, event.content);
        return std::ranges::find(names, name_) != names.end();
    }

private:
    RulePtr rule_;
    std::string name_;
};

/// Opens one list. Null if it is not there, damaged, or of another segment: then it counts as
/// missing.
OpenedPastPtr open_past(const Meta& meta, const SegmentList& list, const RuleSet& rules,
                        const PastName& name) {
    auto opened = std::make_shared<OpenedPast>();
    opened->name = name;
    auto file = meta.env->open(meta.index_directory() + "/" + name.text(), os::OpenMode::read);
    if (!file) return nullptr;
    auto size = (*file)->size();
    if (!size || *size < index::kPastHeaderSize) return nullptr;
    auto map = (*file)->map(static_cast<std::size_t>(*size), os::MapAccess::read);
    if (!map) return nullptr;
    opened->map = std::move(*map);
    const log::Fault fault =
        index::PastFile::open(opened->map.bytes(), meta.file.uuid, opened->file);
    if (fault != nullptr) return nullptr;
    const index::PastHeader& header = opened->file.header();
    const Segment* segment = list.find(header.first_position);
    const bool same = segment != nullptr && segment->number() == header.segment &&
                      segment->number() == name.segment && segment->keys.salt == header.salt &&
                      segment->first() == header.first_position &&
                      header.first_definition == name.first && header.last_definition == name.last;
    const RulePtr rule = rules.numbered(name.last);
    const bool known = rule != nullptr && rule->record_crc == header.defined_crc &&
                       rule->defined() == header.defined && header.last_position < header.defined;
    return same && known ? opened : nullptr;
}

/// Takes the group's lists as far as they reach without a gap.
void open_group(const Meta& meta, const SegmentList& list, const RuleSet& rules,
                std::vector<PastName>& names, const RuleBook* before, PastGroup& group) {
    std::ranges::sort(names, {}, &PastName::segment);
    for (const PastName& one : names) {
        OpenedPastPtr opened = before != nullptr ? before->file_of(one) : nullptr;
        if (opened == nullptr) opened = open_past(meta, list, rules, one);
        if (opened == nullptr || opened->file.header().first_position != group.filled + 1) return;
        group.filled = opened->file.header().last_position;
        group.files.push_back(std::move(opened));
    }
}

void open_groups(const Meta& meta, const SegmentList& list, const RuleBook* before,
                 RuleBook& book) {
    auto files = meta.env->list(meta.index_directory());
    if (!files) return;
    std::vector<PastName> names;
    for (const std::string& text : *files) {
        const PastName name = past_name(text);
        if (name.first != 0) names.push_back(name);
    }
    while (!names.empty()) {
        PastGroup group;
        group.first = names.front().first;
        group.last = names.front().last;
        std::vector<PastName> own;
        std::erase_if(names, [&](const PastName& one) {
            const bool same = one.first == group.first && one.last == group.last;
            if (same) own.push_back(one);
            return same;
        });
        open_group(meta, list, *book.rules, own, before, group);
        book.groups.push_back(std::move(group));
    }
    std::ranges::sort(book.groups, {}, &PastGroup::first);
}

}  // namespace

const PastGroup* RuleBook::group_of(const Rule& rule) const noexcept {
    // Lists of what is removed go away, or are made without it; old snapshots ask for it still.
    if (rule.removed != 0) return nullptr;
    const auto found = std::ranges::find_if(
        groups, [&](const PastGroup& group) { return group.holds(rule.says.number); });
    return found == groups.end() ? nullptr : &*found;
}

OpenedPastPtr RuleBook::file_of(const PastName& name) const noexcept {
    for (const PastGroup& group : groups) {
        const auto found = std::ranges::find(group.files, name,
                                             [](const OpenedPastPtr& file) { return file->name; });
        if (found != group.files.end()) return *found;
    }
    return nullptr;
}

std::uint64_t RuleBook::listed(const Rule& rule) const noexcept {
    const PastGroup* const group = group_of(rule);
    return std::min(to_list(rule), group != nullptr ? group->filled : 0);
}

void BookMeanings::add_past(const RulePtr& rule, std::string_view name, Meaning& meaning) const {
    if (RuleBook::to_list(*rule) == 0) return;
    auto past = std::make_shared<RulePast>(rule, name);
    past->before = rule->defined();
    past->filled = book_->listed(*rule);
    if (const PastGroup* group = book_->group_of(*rule)) {
        for (const OpenedPastPtr& one : group->files) {
            const index::Past::Part part = one->file.find(rule->says.number, name);
            if (!part.ordinals.empty()) past->parts.push_back(part);
        }
    }
    meaning.past = std::move(past);
    meaning.owner = book_;
}

std::vector<Meaning> BookMeanings::of(index::Op op, std::string_view name) const {
    std::vector<Meaning> found;
    if (op == index::Op::derived) {
        RulePtr rule = book_->rules->find(name, published_);
        if (rule == nullptr || rule->says.kind != DefinitionKind::stream) return found;
        Meaning& meaning = found.emplace_back();
        meaning.owner = rule;
        meaning.name = rule->says.name;
        if (rule->by_content()) {
            meaning.mark = rule->mark;
            add_past(rule, {}, meaning);
            meaning.owner = book_;
        } else {
            meaning.code = rule->says.events.encoded();
            const std::uint64_t closed = rule->says.closed.value;
            if (closed != 0 && closed <= published_) meaning.until = closed;
        }
        return found;
    }
    const DefinitionKind kind = op == index::Op::tag ? DefinitionKind::tags : DefinitionKind::type;
    for (const RulePtr& rule : book_->rules->naming()) {
        const bool may_give = rule->says.kind == kind && rule->in_force(published_) &&
                              name.starts_with(rule->says.prefix);
        if (!may_give || RuleBook::to_list(*rule) == 0) continue;
        Meaning& meaning = found.emplace_back();
        meaning.name = rule->says.name;
        add_past(rule, name, meaning);
    }
    return found;
}

std::shared_ptr<RuleShelf> make_rule_shelf() { return std::make_shared<RuleShelf>(); }

Result<RuleBookPtr> RuleShelf::at(const Meta& meta, const View& view) noexcept {
    // Partner: the release store below. A store in which nothing is defined ends here.
    if (looked_.load(std::memory_order_acquire) == (view.definitions | kNone)) return RuleBookPtr{};
    const std::lock_guard lock(mutex_);
    try {
        VARVE_TRY(renew(meta, view));
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory for the definitions", meta.path);
    }
    return book_;
}

/// Under the lock. A view that is older than the book is answered by it: it says from which
/// position on each rule holds.
Result<void> RuleShelf::renew(const Meta& meta, const View& view) {
    if (word_ == view.definitions && !view.defines_now()) return {};
    const bool older = book_ != nullptr && view.published < book_->rules->known_until();
    if (older) return {};
    auto rules = RuleSet::after(book_ != nullptr ? book_->rules.get() : nullptr, meta, view);
    if (!rules) return std::move(rules).error();
    const bool none = (*rules)->all().empty();
    if (!none) {
        auto book = std::make_shared<RuleBook>();
        book->rules = std::move(*rules);
        open_groups(meta, *view.segments, book_.get(), *book);
        book_ = std::move(book);
    }
    if (view.defines_now()) return {};
    word_ = view.definitions;
    looked_.store(view.definitions | (none ? kNone : 0), std::memory_order_release);
    return {};
}

Result<void> ViewMeanings::look(const Meta& meta, const View& view) noexcept {
    auto book = meta.rules->at(meta, view);
    if (!book) return std::move(book).error();
    if (*book != nullptr) meanings_.emplace(std::move(*book), view.published);
    return {};
}

}  // namespace store
}  // namespace v0
}  // namespace varve
