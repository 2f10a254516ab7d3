// Following: what a writer adds to the source while it is imported, until somebody says that it
// shall end, or until the source loses documents that were imported.
//
// One thread. Invariant: no document is taken before those with lower numbers, and none of a commit
// before all of the commit are there.
#include <algorithm>
#include <atomic>

#include "base/assert.hpp"
#include "bridge/importing.hpp"
#include "os/env.hpp"

namespace varve::bridge {

using nes::Finding;

namespace {

constexpr std::uint64_t kLookUs = 200'000;        // somebody who wants it to end is heard then
constexpr std::uint64_t kPatienceUs = 5'000'000;  // for a document whose entry is there
constexpr std::uint64_t kFirstNapUs = 1'000;      // doubled up to the next
constexpr std::uint64_t kLongestNapUs = 200'000;
constexpr std::uint64_t kOtherIndexesUs = 250'000;  // the original writes them 100 ms later
constexpr std::uint64_t kUnsyncedUs = 1'000'000;    // a power cut takes about this much

}  // namespace

void Importing::nap(std::uint64_t us) noexcept {
    os::Env& env = options_.env != nullptr ? *options_.env : os::posix_env();
    const std::atomic<std::uint32_t> nobody{0};
    static_cast<void>(env.wait_on(nobody, 0, us));
}

/// Up to the end of what was seen of the primary index, documents that are on their way included.
Result<void> Importing::import_what_is_there() {
    while (true) {
        VARVE_TRY(import_indexed());
        if (placed_ == indexed_ || stopped_) return {};
        VARVE_TRY(append_closed());
        VARVE_TRY(await_document());
        if (overtaken_) return {};
    }
}

/// Returns when the next document is there, when it was waited for long enough, or when the source
/// was truncated.
Result<void> Importing::await_document() {
    const std::uint64_t place = placed_ + 1;
    std::uint64_t next_nap = kFirstNapUs;
    for (std::uint64_t waited = 0; waited < kPatienceUs; waited += next_nap) {
        nap(next_nap);
        next_nap = std::min(2 * next_nap, kLongestNapUs);
        VARVE_TRY(look_again(0));
        if (overtaken_) return {};
        if (auto seen = source_->partitions(); !seen) return std::move(seen).error();
        const auto document = source_->read(place);
        if (document || document.error().code != ErrorCode::not_found) return {};
    }
    given_up_ = indexed_;
    return {};
}

/// Waits until the source has changed, and takes notice of it.
Result<void> Importing::look_again(std::uint64_t timeout_us) {
    auto change = source_->wait(timeout_us);
    if (!change) return std::move(change).error();
    auto entries = primary_->refresh();
    if (!entries) return std::move(entries).error();
    const std::uint64_t length = std::min(source_->length(), primary_->length());
    const bool changed = *change || *entries;
    overtaken_ = change->truncated > 0 || entries->truncated > 0 || length < placed_ ||
                 (changed && !is_last_there());
    indexed_ = expected_ = length;
    return overtaken_ ? tell_truncation() : Result<void>{};
}

/// Whether the last document is still the one that was taken: an index that was cut and has grown
/// again between two looks may end with the same entry.
bool Importing::is_last_there() {
    if (last_ == 0) return true;
    const auto document = source_->read(last_);
    return document && id_of(*document, mark_) == last_id_;
}

/// Documents at the beginning of the source that are in the store.
Result<std::uint64_t> Importing::documents_kept() {
    VARVE_TRY(appender_->drain());
    auto snapshot = target_.snapshot();
    if (!snapshot) return std::move(snapshot).error();
    for (std::uint64_t number = std::min(indexed_, placed_); number > 0; --number) {
        const auto document = source_->read(number);
        if (document && snapshot->find(id_of(*document, mark_), Verify::trusted)) return number;
    }
    return 0;
}

/// What is not in the store, since its commit has not come to its end, is nobody's loss.
Result<void> Importing::tell_truncation() {
    auto kept = documents_kept();
    if (!kept) return std::move(kept).error();
    const std::uint64_t appended = placed_ - (batch_.load->count - batch_.closed);
    if (*kept >= appended) return {};
    findings_.add(Finding::truncated_source,
                  "the source was truncated: what it has lost of documents " +
                      std::to_string(*kept + 1) + " to " + std::to_string(appended) +
                      " stays in the store; it is read again from its beginning",
                  index_directory_ + "/" + options_.name + ".index", primary_->offset(*kept + 1),
                  *kept + 1);
    return {};
}

Result<void> Importing::follow() {
    os::Env& env = options_.env != nullptr ? *options_.env : os::posix_env();
    std::uint64_t synced_us = env.monotonic_us();
    std::uint64_t synced = 0;  // documents
    phase_ = Phase::following;
    while (!stopped_ && !overtaken_) {
        VARVE_TRY(append_closed());
        VARVE_TRY(appender_->drain());
        if (placed_ > synced && env.monotonic_us() - synced_us >= kUnsyncedUs) {
            if (auto done = target_.sync(); !done) return std::move(done).error();
            synced = placed_;
            synced_us = env.monotonic_us();
        }
        stopped_ = !progress_(taken_, expected_);
        if (stopped_) break;
        VARVE_TRY(look_again(kLookUs));
        if (!overtaken_) VARVE_TRY(import_what_is_there());
    }
    return overtaken_ ? Result<void>{} : finish_following();
}

/// What the writer has left by now. What it adds from now on is not looked for.
Result<void> Importing::finish_following() {
    phase_ = Phase::ending;
    stopped_ = false;
    auto partitions = source_->partitions();
    if (!partitions) return std::move(partitions).error();
    tiling_->update(std::move(*partitions));
    VARVE_TRY(look_again(0));
    if (!overtaken_) VARVE_TRY(import_what_is_there());
    nap(kOtherIndexesUs);
    return {};
}

}  // namespace varve::bridge
