// An import from its beginning to its end. One thread.
#include <algorithm>
#include <map>
#include <new>
#include <system_error>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "bridge/importing.hpp"
#include "nes/json.hpp"
#include "os/env.hpp"

namespace varve::bridge {

using base::failure;
using nes::Finding;

namespace {

constexpr std::size_t kDefinitionsAtOnce = 1000;
constexpr std::uint64_t kDocumentsBetweenLooks = 4096;  // at whether somebody wants it to end

Path path_or(const std::optional<std::string>& given, const std::optional<Path>& detected,
             const char* usual) {
    if (given) return split_path(*given);
    return detected ? *detected : split_path(usual);
}

std::string index_directory_of(const nes::ImportOptions& options) {
    if (!options.index_directory.empty()) return options.index_directory;
    os::Env& env = options.env != nullptr ? *options.env : os::posix_env();
    std::string usual = options.directory + "/streams";
    const auto kind = env.name_kind(usual + "/" + options.name + ".index");
    return kind && *kind == os::NameKind::file ? usual : options.directory;
}

Result<nes::Storage> open_storage(const nes::ImportOptions& options) {
    nes::StorageOptions source;
    source.name = options.name;
    source.access = Access::read_only;
    source.env = options.env;
    source.index_directory = index_directory_of(options);
    auto opened = nes::Storage::open(options.directory, source);
    if (!opened && opened.error().code == ErrorCode::not_found)
        return failure(ErrorCode::not_found,
                       "there is no storage of that name: it would have this index; give its name, "
                       "and its index directory if that is not `streams` in the data directory",
                       source.index_directory + "/" + options.name + ".index");
    return opened;
}

}  // namespace

/// Adds to a report what the readings before it have appended, and why they ended.
void add_earlier(const nes::ImportReport& before, nes::ImportReport& report) {
    constexpr auto kTruncated = static_cast<std::size_t>(Finding::truncated_source);
    report.imported += before.imported;
    report.found[kTruncated] += before.found[kTruncated];
}

Importing::Importing(Store& target, const nes::ImportOptions& options, const Progress& progress)
    : target_(target),
      options_(options),
      progress_(progress),
      findings_(options.tell, report_),
      names_(target),
      mark_(source_mark(options.name)) {}

Result<nes::ImportReport> Importing::run() {
    VARVE_TRY(open_source());
    VARVE_TRY(look_at_source());
    appender_.emplace(target_);
    VARVE_TRY(import_documents());
    VARVE_TRY(finish_appending());
    if (report_.complete && !overtaken_) {
        VARVE_TRY(learn_indexes());
        VARVE_TRY(options_.define ? import_definitions() : leave_definitions());
        tell_problems();
        if (options_.compare) VARVE_TRY(compare());
    }
    return std::move(report_);
}

Result<void> Importing::import_documents() {
    if (options_.follow) {
        VARVE_TRY(import_what_is_there());
        if (report_.complete) VARVE_TRY(follow());
    } else {
        VARVE_TRY(import_indexed());
    }
    return report_.complete && !overtaken_ ? import_unindexed() : Result<void>{};
}

Result<void> Importing::import_definitions() {
    VARVE_TRY(define_streams());
    VARVE_TRY(target_.list_past());
    VARVE_TRY(close_streams());
    // A consumer cannot stand beyond what is durable.
    if (auto synced = target_.sync(); !synced) return std::move(synced).error();
    return import_consumers();
}

/// What is not defined is not compared either.
Result<void> Importing::leave_definitions() {
    for (Meaning& meaning : meanings_)
        if (meaning.means == Means::derived) meaning.means = Means::nothing;
    auto synced = target_.sync();
    return synced ? Result<void>{} : std::move(synced).error();
}

Result<void> Importing::open_source() {
    auto opened = open_storage(options_);
    if (!opened) return std::move(opened).error();
    source_.emplace(std::move(*opened));
    index_directory_ = index_directory_of(options_);
    nes::IndexOptions reading;
    reading.access = Access::read_only;
    reading.env = options_.env;
    auto primary = nes::Index::open(index_directory_ + "/" + options_.name + ".index", reading);
    if (!primary) return std::move(primary).error();
    primary_.emplace(std::move(*primary));
    return {};
}

/// Partitions before the index: what the index has then lies in them, up to these sizes or beyond.
Result<void> Importing::look_at_source() {
    auto partitions = source_->partitions();
    if (!partitions) return std::move(partitions).error();
    tiling_.emplace(std::move(*partitions));
    if (auto changed = source_->refresh(); !changed) return std::move(changed).error();
    if (auto changed = primary_->refresh(); !changed) return std::move(changed).error();
    indexed_ = expected_ = std::min(source_->length(), primary_->length());
    auto indexes = source_->indexes();
    if (!indexes) return std::move(indexes).error();
    indexes_ = std::move(*indexes);
    const Accessors accessors = accessors_of(indexes_);
    paths_.stream = split_path(options_.stream_path);
    paths_.type = path_or(options_.type_path, accessors.type, "type");
    paths_.tags = path_or(options_.tag_path, accessors.tags, "tags");
    report_.type_path = joined(paths_.type);
    report_.tag_path = joined(paths_.tags);
    return {};
}

/// Behind the documents, the first of which tells what has written them. A source that was followed
/// may have other indexes by now.
Result<void> Importing::learn_indexes() {
    if (options_.follow) {
        auto indexes = source_->indexes();
        if (!indexes) return std::move(indexes).error();
        indexes_ = std::move(*indexes);
    }
    tell_metadata();
    for (const nes::IndexInfo& index : indexes_)
        meanings_.push_back(meaning_of(index, paths_, envelopes_));
    return {};
}

/// What a user has put into the headers of partitions, once for all that have the same.
void Importing::tell_metadata() {
    struct Same {
        std::string path;  ///< of the first one
        std::uint64_t partitions = 0;
    };
    std::map<std::string, Same> all;
    for (const nes::PartitionInfo& one : tiling_->partitions()) {
        const auto members = nes::json_members(one.metadata);
        std::string text;
        for (const nes::JsonField& member : members.value_or(std::vector<nes::JsonField>{})) {
            if (member.key == "epoch") continue;
            text.append(text.empty() ? "{\"" : ",\"").append(member.key);
            text.append("\":").append(*member.value);
        }
        if (text.empty()) continue;
        Same& same = all[text.append(1, '}')];
        if (same.partitions++ == 0) same.path = one.path;
    }
    for (const auto& [text, same] : all)
        findings_.add(Finding::partition_metadata,
                      "metadata stay behind that " + std::to_string(same.partitions) +
                          " partitions have, this one for instance: " + text,
                      same.path);
}

/// Streams that the original keeps by a matcher, and closed ones. They are defined behind the
/// events, so that these have the positions that are their numbers in the source; definitions take
/// positions as well.
Result<void> Importing::define_streams() {
    std::vector<std::size_t> wanted;
    for (std::size_t n = 0; n < indexes_.size(); ++n) {
        if (meanings_[n].means == Means::nothing) {
            const bool function = indexes_[n].kind == nes::MatcherKind::function;
            findings_.add(
                function ? Finding::function_matcher : Finding::unusable_matcher,
                "stream " + meanings_[n].name + " is not defined here: " + meanings_[n].why,
                indexes_[n].path);
        } else if (meanings_[n].means == Means::derived || indexes_[n].closed) {
            wanted.push_back(n);
        }
    }
    for (std::size_t n = 0; n < wanted.size(); n += kDefinitionsAtOnce)
        VARVE_TRY(define(
            std::span(wanted).subspan(n).first(std::min(kDefinitionsAtOnce, wanted.size() - n))));
    return {};
}

/// All of them in one commit. If one is refused, one by one.
Result<void> Importing::define(std::span<const std::size_t> wanted) {
    std::vector<NewDefinition> definitions;
    for (const std::size_t n : wanted)
        definitions.push_back(
            NewDefinition::stream(meanings_[n].name, meanings_[n].selector, meanings_[n].matcher));
    auto done = target_.define(definitions);
    if (done) {
        report_.derived += wanted.size();
        return {};
    }
    const Error& error = done.error();
    if (error.code != ErrorCode::invalid_argument && error.code != ErrorCode::too_large)
        return std::move(done).error();
    if (wanted.size() > 1) {
        for (std::size_t n = 0; n < wanted.size(); ++n) VARVE_TRY(define(wanted.subspan(n, 1)));
        return {};
    }
    Meaning& meaning = meanings_[wanted[0]];
    findings_.add(Finding::unusable_matcher,
                  "stream " + meaning.name + " is not defined here: " + error.message,
                  indexes_[wanted[0]].path);
    if (meaning.means == Means::derived) meaning.means = Means::nothing;
    return {};
}

/// A closed stream is the derived stream of its name that is closed: it keeps what it has.
Result<void> Importing::close_streams() {
    auto snapshot = target_.snapshot();
    if (!snapshot) return std::move(snapshot).error();
    auto definitions = snapshot->definitions();
    if (!definitions) return std::move(definitions).error();
    for (std::size_t n = 0; n < indexes_.size(); ++n) {
        if (!indexes_[n].closed || meanings_[n].means == Means::nothing) continue;
        const auto mine =
            std::find_if(definitions->begin(), definitions->end(),
                         [&](const Definition& one) { return one.name == meanings_[n].name; });
        if (mine == definitions->end()) continue;
        if (mine->closed == Position{}) VARVE_TRY(target_.close_definition(mine->name));
        ++report_.closed;
    }
    return {};
}

void Importing::tell_problems() {
    const std::vector<Error>& problems = source_->problems();
    for (; problems_told_ < problems.size(); ++problems_told_) {
        const Error& one = problems[problems_told_];
        findings_.add(Finding::damaged_file, one.message, one.file, one.offset);
    }
}

bool Importing::cancelled() {
    if (phase_ == Phase::ending || !progress_ ||
        (taken_ % kDocumentsBetweenLooks != 0 && taken_ != expected_))
        return false;
    if (progress_(taken_, expected_)) return false;
    stopped_ = true;
    report_.complete = phase_ == Phase::following;  // then it is the end that was waited for
    return true;
}

void Importing::found(Finding finding, std::string what, const Place& place) {
    findings_.add(finding, std::move(what), tiling_->path_of(place.partition), place.offset,
                  place.number);
}

}  // namespace varve::bridge

namespace varve {
inline namespace v0 {
namespace nes {

Result<void> check_source(const ImportOptions& options) noexcept {
    auto opened = bridge::open_storage(options);
    if (!opened) return std::move(opened).error();
    return {};
}

Result<ImportReport> import_storage(Store& target, const ImportOptions& options,
                                    const Progress& progress) noexcept {
    if (options.follow && !progress)
        return base::failure(
            ErrorCode::invalid_argument,
            "a source is followed until progress says that it shall end: give one");
    try {
        ImportReport before;  // of readings that a truncation has ended
        while (true) {
            bridge::Importing importing(target, options, progress);
            auto report = importing.run();
            if (!report) return report;
            bridge::add_earlier(before, *report);
            if (!importing.overtaken()) return report;
            before = std::move(*report);
        }
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "there is no memory for the import");
    } catch (const std::system_error& error) {
        return base::failure(ErrorCode::out_of_memory,
                             std::string("the import cannot begin its thread: ") + error.what());
    }
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
