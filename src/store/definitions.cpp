#include "store/definitions.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "index/sealed_cursor.hpp"
#include "match/json_path.hpp"
#include "store/admission.hpp"
#include "store/pinned.hpp"
#include "store/sealed.hpp"
#include "store/view.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

namespace {

constexpr std::string_view kData = "data.";
constexpr std::string_view kMetadata = "metadata.";

bool names_a_derived_stream(std::string_view code) noexcept {
    for (index::CodedSet set; index::take_set(code, set);) {
        if (set.op == index::Op::derived) return true;
        if (index::is_list(set.op) && names_a_derived_stream(set.inside)) return true;
    }
    return false;
}

/// What stands behind `data.` or `metadata.`; empty if it is no such path.
std::vector<std::string> path_of(std::string_view field) {
    for (const std::string_view part : {kData, kMetadata}) {
        if (field.starts_with(part)) return match::split_path(field.substr(part.size()));
    }
    return {};
}

Error contradiction(const Meta& meta, const log::RecordHeader& header, const char* what) noexcept {
    return failure(ErrorCode::corrupt,
                   "the definition at position " + std::to_string(header.position) + ' ' + what,
                   meta.path);
}

std::string mark_of(std::uint64_t number) {
    constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    std::string digits;
    for (; number > 0; number /= 36) digits.insert(digits.begin(), kDigits[number % 36]);
    return '$' + digits;
}

}  // namespace

const char* fault_of(const NewDefinition& definition) noexcept {
    if (definition.name.empty()) return "has no name";
    if (const char* why = fault_of_name(definition.name)) return why;
    if (definition.events.error() != nullptr) return definition.events.error();
    if (names_a_derived_stream(definition.events.encoded()))
        return "names another derived stream; write out what that one selects";
    if (definition.kind == DefinitionKind::stream) {
        const bool named = !definition.field.empty() || !definition.prefix.empty();
        return named ? "is a derived stream and takes neither a field nor a prefix" : nullptr;
    }
    if (definition.matcher) return "gives names and takes no matcher";
    if (path_of(definition.field).empty())
        return "needs a field such as 'data.customer.id' or 'metadata.user'";
    if (definition.kind == DefinitionKind::type && !definition.prefix.empty())
        return "gives types, which have no prefix";
    return definition.prefix.empty() ? nullptr : fault_of_name(definition.prefix);
}

RecordContent::RecordContent(const log::RecordView& record) {
    for (const std::string_view tag : record.shown_tags()) tags.push_back(tag);
    content.names = {record.stream(), record.type(), tags};
    if (record.erased) return;
    content.data = record.data();
    content.metadata = record.metadata();
}

std::string name_given(const Rule& rule, const match::Token& value) {
    std::string name;
    const bool text = value.kind == match::Kind::string;
    if (value.kind == match::Kind::null) return name;
    if (rule.says.kind == DefinitionKind::type && !text) return name;
    name = rule.says.prefix;
    if (text && !value.escaped)
        name += value.raw;
    else
        name += match::name_of(match::to_scalar(value));
    if (fault_of_name(name) != nullptr) name.clear();
    return name;
}

std::vector<std::string> names_given(const Rule& rule, const Content& event) {
    std::vector<std::string> names;
    const bool type = rule.says.kind == DefinitionKind::type;
    if (type && !event.names.type.empty()) return names;
    if (!index::matches(rule.selection, event.names)) return names;
    std::vector<match::Fields::Value> values;
    rule.fields.read(rule.in_metadata ? event.metadata : event.data, values);
    for (const match::Fields::Value& value : values) {
        if (type && value.element) continue;
        std::string name = name_given(rule, value.token);
        if (!name.empty()) names.push_back(std::move(name));
    }
    return names;
}

bool belongs(const Rule& rule, const Content& event) {
    if (rule.matcher && !rule.matcher->matches(event.data, event.metadata)) return false;
    Content named = event;
    std::vector<std::vector<std::string>> given;
    std::vector<std::string_view> tags(event.names.tags.begin(), event.names.tags.end());
    for (const RulePtr& one : rule.names) {
        given.push_back(names_given(*one, event));
        for (const std::string& name : given.back()) {
            if (one->says.kind == DefinitionKind::tags) tags.push_back(name);
            if (one->says.kind == DefinitionKind::type && named.names.type.empty())
                named.names.type = name;
        }
    }
    named.names.tags = tags;
    return index::matches(rule.selection, named.names);
}

RulePtr RuleSet::find(std::string_view name, std::uint64_t position) const noexcept {
    const auto found = by_name_.find(std::string(name));
    if (found == by_name_.end()) return nullptr;
    for (std::size_t n = found->second.size(); n-- > 0;) {
        const RulePtr& rule = rules_[found->second[n]];
        if (rule->in_force(position)) return rule;
    }
    return nullptr;
}

RulePtr RuleSet::numbered(std::uint64_t number) const noexcept {
    const auto at = std::ranges::lower_bound(rules_, number, {},
                                             [](const RulePtr& rule) { return rule->says.number; });
    return at != rules_.end() && (*at)->says.number == number ? *at : nullptr;
}

/// The new definition. Its number is the revision of its record.
Result<void> RuleSet::define(const Meta& meta, const log::Define& define,
                             const log::RecordHeader& header) {
    auto rule = std::make_shared<Rule>();
    auto events = Selector::decode(define.selector);
    if (!events) return contradiction(meta, header, "has a selector that cannot be read");
    rule->says.kind = static_cast<DefinitionKind>(static_cast<unsigned>(define.defines) - 1);
    rule->says.name = define.name;
    rule->says.number = header.revision;
    rule->record_crc = header.head_crc;
    rule->says.events = std::move(*events);
    rule->says.matcher = define.matcher;
    rule->says.field = define.field;
    rule->says.prefix = define.prefix;
    rule->says.defined = Position{header.position};
    if (!define.matcher.empty()) {
        auto matcher = Matcher::compile(define.matcher);
        if (!matcher) return contradiction(meta, header, "has a matcher that cannot be read");
        rule->matcher = std::move(*matcher);
        rule->mark = mark_of(header.revision);
    }
    if (rule->says.kind != DefinitionKind::stream) {
        rule->path = path_of(define.field);
        if (rule->path.empty()) return contradiction(meta, header, "names no field");
        static_cast<void>(rule->fields.add(rule->path));
        rule->in_metadata = define.field.starts_with(kMetadata);
    } else {
        for (const RulePtr& one : naming_)
            if (one->looks_at(header.position)) rule->names.push_back(one);
    }
    rule->selection.compile(rule->says.events.encoded(), meta.hasher);
    by_name_[rule->says.name].push_back(rules_.size());
    if (rule->says.kind != DefinitionKind::stream) naming_.push_back(rule);
    rules_.push_back(std::move(rule));
    return {};
}

/// Closes or removes one. False if there is none to be ended.
bool RuleSet::end(const log::Define& define, std::uint64_t position) {
    const auto at = std::ranges::lower_bound(rules_, define.number, {},
                                             [](const RulePtr& rule) { return rule->says.number; });
    if (at == rules_.end() || (*at)->says.number != define.number) return false;
    auto ended = std::make_shared<Rule>(**at);
    // The names of its own copy point into its own selector, whose bytes are shared.
    if (define.action == log::DefineAction::remove) ended->removed = position;
    if (ended->says.closed.value == 0) ended->says.closed = Position{position};
    const RulePtr before = std::exchange(*at, std::move(ended));
    std::ranges::replace(naming_, before, *at);
    return true;
}

Result<void> RuleSet::add(const Meta& meta, const log::RecordView& record) {
    const std::optional<log::Define> found = log::decode_define(record);
    if (!found) {
        return failure(ErrorCode::unsupported_version,
                       "the definition at position " + std::to_string(record.header.position) +
                           " was made by a newer version",
                       meta.path);
    }
    if (record.header.revision != version_ + 1)
        return contradiction(meta, record.header,
                             "does not follow the one before it, which is lost");
    version_ = record.header.revision;
    if (found->action == log::DefineAction::define) return define(meta, *found, record.header);
    if (!end(*found, record.header.position))
        return contradiction(meta, record.header, "ends one that there is not");
    return {};
}

namespace {

/// Where the index of one unit says that records of definitions stand. Of a segment whose index is
/// still to be filled nobody waits for that: its log is read.
Result<void> find_in_unit(const Meta& meta, const View& view, std::size_t n, index::Key key,
                          std::vector<std::uint64_t>& positions) {
    const Segment& segment = *view.segments->items[n];
    const std::uint64_t last = view.segments->last_of(n, view.published);
    if (segment.sealed != nullptr) {
        const index::SealedIndex& sealed = segment.sealed->index;
        index::SealedList list;
        const index::Found found =
            sealed.find(index::KeyKind::stream, log::kDefineStream, key, list);
        if (found == index::Found::damaged) return damaged_sealed(meta, *segment.sealed);
        if (found == index::Found::no) return {};
        index::SealedCursor cursor(sealed, list, false);
        for (std::uint32_t ordinal = 0; cursor.next(ordinal);)
            positions.push_back(sealed.first_position() + ordinal);
        return cursor.damaged() ? Result<void>(damaged_sealed(meta, *segment.sealed))
                                : Result<void>{};
    }
    if (segment.is_ready()) {
        index::Postings postings = segment.index.postings(key);
        const std::size_t begin = positions.size();
        for (std::uint32_t ordinal = 0; postings.next(ordinal);)
            if (segment.first() + ordinal <= last) positions.push_back(segment.first() + ordinal);
        std::reverse(positions.begin() + static_cast<std::ptrdiff_t>(begin), positions.end());
        return postings.damaged() ? Result<void>(damaged_index(meta, segment)) : Result<void>{};
    }
    log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment), last);
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end; step = scanner.next())
        if (step == log::SegmentScanner::Step::record && index::is_indexed(scanner.record()) &&
            !index::is_listed(scanner.record()))
            positions.push_back(scanner.record().header.position);
    return {};
}

}  // namespace

/// Reads the records that are new.
Result<void> RuleSet::follow(const Meta& meta, const View& view) {
    const SegmentList& list = *view.segments;
    const index::Key key = meta.hasher.key(index::KeyKind::stream, log::kDefineStream);
    std::vector<std::uint64_t> positions;
    prefetch_key(list, key);
    for (std::size_t n = 0; n < list.items.size(); n = unit_of(list, n).end) {
        const std::size_t last = unit_of(list, n).end - 1;
        if (list.last_of(last, view.published) > known_until_)
            VARVE_TRY(find_in_unit(meta, view, n, key, positions));
    }
    for (const std::uint64_t at : positions) {
        if (at <= known_until_ || at > view.published) continue;
        const Segment* segment = list.find(at);
        std::optional<Error> error;
        log::RecordView record;
        if (segment == nullptr)
            return failure(ErrorCode::corrupt, "a segment with definitions is missing", meta.path);
        if (!read_record(meta, *segment, at - segment->first(), log::Check::body, record, error))
            return std::move(*error);
        if (record.stream() == log::kDefineStream) VARVE_TRY(add(meta, record));
    }
    return {};
}

/// Reads the whole log, around damage.
Result<void> RuleSet::scan(const Meta& meta, const View& view) {
    *this = {};
    const SegmentList& list = *view.segments;
    for (std::size_t n = 0; n < list.items.size(); ++n) {
        const Segment& segment = *list.items[n];
        log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment),
                                    list.last_of(n, view.published));
        for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
             step = scanner.next()) {
            const log::RecordView& record = scanner.record();
            const bool ours = step == log::SegmentScanner::Step::record && scanner.body_intact() &&
                              !index::is_listed(record) && record.stream() == log::kDefineStream;
            if (ours) VARVE_TRY(add(meta, record));
        }
    }
    return {};
}

Result<RuleSetPtr> RuleSet::after(const RuleSet* before, const Meta& meta, const View& view) {
    auto set = before != nullptr ? std::make_shared<RuleSet>(*before) : std::make_shared<RuleSet>();
    auto found = set->follow(meta, view);
    if (!found && found.error().code == ErrorCode::corrupt) found = set->scan(meta, view);
    if (!found) return std::move(found).error();
    set->known_until_ = std::max(set->known_until_, view.published);
    return RuleSetPtr(std::move(set));
}

}  // namespace store
}  // namespace v0
}  // namespace varve
