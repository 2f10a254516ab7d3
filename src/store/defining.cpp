// Definitions, the writer's part: records in the stream of definitions, and what appends are sorted
// by.
//
// An append is admitted under the definitions that were known then. Under the place lock their
// version is compared once more, and an append that is behind is admitted again: so every event
// behind a definition was looked at by it. A definition is durable before it is answered, and so
// are the events before it, whose past is listed in the background.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/engine.hpp"
#include "store/pinned.hpp"

namespace varve {
inline namespace v0 {

using base::failure;

namespace store {

namespace {

constexpr int kTries = 100;  // of somebody who defines while others do

Error no_memory() noexcept { return failure(ErrorCode::out_of_memory, "no memory to define"); }

Error refused(std::string_view name, const std::string& why) noexcept {
    return failure(ErrorCode::invalid_argument,
                   "the definition '" + std::string(name) + "' " + why);
}

bool same_meaning(const Definition& there, const NewDefinition& wanted) {
    return there.kind == wanted.kind && there.events == wanted.events &&
           there.matcher == (wanted.matcher ? wanted.matcher->text() : std::string_view{}) &&
           there.field == wanted.field && there.prefix == wanted.prefix;
}

std::vector<std::byte> encode(const NewDefinition& wanted) {
    log::Define define;
    define.defines = static_cast<log::Defines>(static_cast<unsigned>(wanted.kind) + 1);
    define.name = wanted.name;
    define.selector = wanted.events.encoded();
    if (wanted.matcher) define.matcher = wanted.matcher->text();
    define.field = wanted.field;
    define.prefix = wanted.prefix;
    return log::encode_define(define);
}

}  // namespace

bool Writer::is_outdated(Plan& plan) const noexcept {
    if (plan.defines) return false;  // its expected version says the same
    const std::uint64_t known = plan.routing != nullptr ? plan.routing->version() : 0;
    plan.outdated = known != defined_.load(std::memory_order_relaxed) &&
                    !base::seeded(base::SeededBug::outdated_append_placed);
    return plan.outdated;
}

/// Under the place lock: the plan's records were placed.
void Writer::note_definition(const Plan& plan) noexcept {
    defined_.store(plan.streams.front().head.version, std::memory_order_release);
    defined_unseen_ = true;
}

/// Under the place lock, before publishing definitions (the word becomes odd) and afterwards
/// (even). Partner: the loads of every view, one before that of `published` and one after it. A
/// view that covers a definition has seen the first bump at least.
void Writer::bump_definitions() noexcept {
    control().definitions.fetch_add(1, std::memory_order_release);
}

/// What is defined now; null if nothing is.
Result<RoutingPtr> Writer::current_routing() noexcept {
    if (defined_.load(std::memory_order_acquire) == 0) return RoutingPtr{};
    const std::lock_guard lock(routing_mutex_);
    const std::uint64_t wanted = defined_.load(std::memory_order_acquire);
    if (routing_ != nullptr && routing_->version() == wanted) return routing_;
    try {
        return make_routing();
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

/// Under the routing lock.
Result<RoutingPtr> Writer::make_routing() {
    const View now = view();
    auto book = meta_->rules->at(*meta_, now);
    if (!book) return std::move(book).error();
    const std::uint64_t version = *book != nullptr ? (*book)->rules->version() : 0;
    // Somebody may define something at the same time: then that is known already.
    std::uint64_t unknown = kUnknown;
    defined_.compare_exchange_strong(unknown, version, std::memory_order_acq_rel);
    routing_ = nullptr;
    if (*book == nullptr) return routing_;
    std::vector<RulePtr> streams;
    std::vector<RulePtr> names;
    for (const RulePtr& rule : (*book)->rules->all()) {
        if (!rule->by_content() || !rule->looks_at(~0ULL)) continue;
        const bool stream = rule->says.kind == DefinitionKind::stream;
        (stream ? streams : names).push_back(rule);
    }
    routing_ = std::make_shared<const Routing>(
        Routing{std::move(*book), Router(std::move(streams), std::move(names))});
    return routing_;
}

/// Appends records to the stream of definitions, whose version is `version`.
Result<Appended> Writer::append_definitions(std::span<const std::vector<std::byte>> records,
                                            std::uint64_t version) {
    Plan plan;
    plan.defines = true;
    plan.has_demands = true;
    const index::Key key = meta_->hasher.key(index::KeyKind::stream, log::kDefineStream);
    const index::Key type = meta_->hasher.key(index::KeyKind::type, log::kDefineType);
    const Expected expected = version == 0 ? Expected::no_stream() : Expected::version(version);
    plan.streams.push_back({key, log::kDefineStream, {}, 0, expected});
    plan.streams.front().events = static_cast<std::uint32_t>(records.size());
    plan.hashes = {key, type};
    plan.bytes = sizeof(log::CommitHeader);
    for (const std::vector<std::byte>& data : records) {
        PlannedEvent record;
        record.input.kind = log::RecordKind::control;
        record.input.stream = log::kDefineStream;
        record.input.type = log::kDefineType;
        record.input.data = base::as_text(data);
        record.input.hashes = plan.hashes.data();
        record.input.head_size = static_cast<std::uint32_t>(
            log::head_size(log::kDefineStream.size() + log::kDefineType.size(), 0, false));
        record.input.body_size = log::body_size(0, data.size());
        record.stream = 0;
        record.first_key = static_cast<std::uint32_t>(plan.keys.size());
        record.key_count = 1;
        plan.keys.push_back(key);
        plan.bytes += record.input.head_size + record.input.body_size;
        plan.events.push_back(record);
    }
    if (plan.bytes > kMaxCommitBytes || records.size() > kMaxCommitEvents)
        return failure(ErrorCode::too_large, "more definitions than one commit can hold");
    Request request;
    request.plan = &plan;
    request.level = Durability::disk;
    VARVE_TRY(wait_for_the_helper());
    commit(request);
    if (request.error) return std::move(*request.error);
    return std::move(request.appended);
}

/// One attempt. `again`: others have defined something meanwhile.
Result<std::vector<Defined>> Writer::try_define(std::span<const NewDefinition> definitions,
                                                bool& again) {
    auto routing = current_routing();
    if (!routing) return std::move(routing).error();
    const RuleSet* const there = *routing != nullptr ? (*routing)->book->rules.get() : nullptr;
    const std::uint64_t version = there != nullptr ? there->version() : 0;
    std::vector<Defined> done(definitions.size());
    std::vector<std::vector<std::byte>> records;
    std::unordered_map<std::string_view, std::size_t> fresh;  // by name, their places in `done`
    for (std::size_t n = 0; n < definitions.size(); ++n) {
        const NewDefinition& wanted = definitions[n];
        const RulePtr rule = there != nullptr ? there->find(wanted.name, ~0ULL) : nullptr;
        if (rule != nullptr) {
            if (!same_meaning(rule->says, wanted))
                return refused(wanted.name,
                               "exists and means something else; remove it first, or "
                               "give this one another name");
            done[n] = {rule->says.number, rule->says.defined, true};
            continue;
        }
        if (!fresh.emplace(wanted.name, n).second)
            return refused(wanted.name, "is there twice in one call");
        records.push_back(encode(wanted));
        done[n].number = version + records.size();
    }
    if (records.empty()) return done;
    auto placed = append_definitions(records, version);
    again = !placed && placed.error().code == ErrorCode::wrong_expected_version;
    if (!placed) return std::move(placed).error();
    for (Defined& one : done) {
        if (!one.existed) one.position = Position{placed->first.value + (one.number - version - 1)};
    }
    return done;
}

Result<std::vector<Defined>> Writer::define(std::span<const NewDefinition> definitions) noexcept {
    const AppendGuard guard(in_flight_);
    VARVE_TRY(usable());
    try {
        for (const NewDefinition& wanted : definitions)
            if (const char* why = fault_of(wanted)) return refused(wanted.name, why);
        bool again = true;
        Result<std::vector<Defined>> done = std::vector<Defined>{};
        for (int tries = 0; again && tries < kTries; ++tries) {
            again = false;
            done = try_define(definitions, again);
        }
        signal_sealer();
        return done;
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<void> Writer::end_definition(std::string_view name, log::DefineAction action) noexcept {
    const AppendGuard guard(in_flight_);
    VARVE_TRY(usable());
    try {
        for (int tries = 0;; ++tries) {
            auto routing = current_routing();
            if (!routing) return std::move(routing).error();
            const RuleSet* const there =
                *routing != nullptr ? (*routing)->book->rules.get() : nullptr;
            const RulePtr rule = there != nullptr ? there->find(name, ~0ULL) : nullptr;
            if (rule == nullptr)
                return failure(ErrorCode::not_found,
                               "there is no definition '" + std::string(name) + "'", meta_->path);
            if (action == log::DefineAction::close && rule->says.closed.value != 0) return {};
            log::Define define;
            define.action = action;
            define.number = rule->says.number;
            const std::vector<std::byte> record = log::encode_define(define);
            auto placed = append_definitions({&record, 1}, there->version());
            if (placed) return signal_sealer(), Result<void>{};
            const bool again = placed.error().code == ErrorCode::wrong_expected_version;
            if (!again || tries == kTries) return std::move(placed).error();
        }
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

namespace {

Result<Writer*> writer_of(Engine& engine) noexcept {
    VARVE_TRY(engine.open_here());
    if (engine.writer() != nullptr) return engine.writer();
    return failure(ErrorCode::permission,
                   "the store was opened read-only; open it for writing to define",
                   engine.meta().path);
}

}  // namespace

}  // namespace store

Result<std::vector<Defined>> Store::define(std::span<const NewDefinition> definitions) noexcept {
    auto writer = store::writer_of(*engine_);
    if (!writer) return std::move(writer).error();
    return (*writer)->define(definitions);
}

Result<Defined> Store::define(const NewDefinition& definition) noexcept {
    auto all = define(std::span<const NewDefinition>(&definition, 1));
    if (!all) return std::move(all).error();
    return all->front();
}

Result<void> Store::list_past(const Progress& progress) noexcept {
    auto writer = store::writer_of(*engine_);
    if (!writer) return std::move(writer).error();
    return (*writer)->list_all_past(progress);
}

Result<void> Store::close_definition(std::string_view name) noexcept {
    auto writer = store::writer_of(*engine_);
    if (!writer) return std::move(writer).error();
    return (*writer)->end_definition(name, log::DefineAction::close);
}

Result<void> Store::remove_definition(std::string_view name) noexcept {
    auto writer = store::writer_of(*engine_);
    if (!writer) return std::move(writer).error();
    return (*writer)->end_definition(name, log::DefineAction::remove);
}

Result<std::vector<Definition>> Snapshot::definitions() const noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    try {
        auto book = pinned_->meta().rules->at(pinned_->meta(), pinned_->view());
        if (!book) return std::move(book).error();
        std::vector<Definition> found;
        if (*book == nullptr) return found;
        const std::uint64_t published = pinned_->view().published;
        for (const store::RulePtr& rule : (*book)->rules->all()) {
            if (!rule->in_force(published)) continue;
            Definition& one = found.emplace_back(rule->says);
            if (one.closed.value > published) one.closed = Position{};
            one.listed = Position{(*book)->listed(*rule)};
            one.complete = one.listed.value == store::RuleBook::to_list(*rule);
        }
        return found;
    } catch (const std::bad_alloc&) {
        return store::no_memory();
    }
}

}  // namespace v0
}  // namespace varve
