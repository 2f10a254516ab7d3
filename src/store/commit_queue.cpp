#include "store/commit_queue.hpp"

#include "base/assert.hpp"

namespace varve {
inline namespace v0 {
namespace store {

CommitQueue::Pushed CommitQueue::push(Request& request) noexcept {
    VARVE_ASSERT(request.plan != nullptr);
    const std::uint64_t bytes = request.plan->bytes;
    const std::uint64_t before = bytes_.fetch_add(bytes, std::memory_order_relaxed);
    // One that is larger than the limit is taken when nothing else waits.
    if (before > 0 && before + bytes > kMaxWaitingBytes) {
        bytes_.fetch_sub(bytes, std::memory_order_relaxed);
        return Pushed::refused;
    }
    Request* newest = newest_.load(std::memory_order_relaxed);
    do {
        request.next = newest;
        // Partner: the acquire exchange in `take_all`.
    } while (!newest_.compare_exchange_weak(newest, &request, std::memory_order_release,
                                            std::memory_order_relaxed));
    return newest == nullptr ? Pushed::leads : Pushed::follows;
}

Request* CommitQueue::take_all() noexcept {
    Request* at = newest_.exchange(nullptr, std::memory_order_acquire);
    Request* oldest = nullptr;
    while (at != nullptr) {
        bytes_.fetch_sub(at->plan->bytes, std::memory_order_relaxed);
        Request* const older = at->next;
        at->next = oldest;
        oldest = at;
        at = older;
    }
    return oldest;
}

void SyncWaiters::add(Request& request) noexcept {
    request.next = nullptr;
    *end_ = &request;
    end_ = &request.next;
}

Request* SyncWaiters::take_until(std::uint64_t position) noexcept {
    Request* taken = nullptr;
    Request** last = &taken;
    Request** at = &first_;
    while (*at != nullptr) {
        Request* const request = *at;
        if (request->position > position) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        request->next = nullptr;
        *last = request;
        last = &request->next;
    }
    end_ = at;
    return taken;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
