#include "consumer/dealer.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

namespace {

constexpr std::size_t kAll = 1 << 14;   // events in the queues of all lanes together, about
constexpr std::size_t kLeast = 1 << 6;  // and in that of one, at least
constexpr std::size_t kRuns = 1 << 6;   // read at once: so that each lane has a batch, not a few

}  // namespace

void Dealt::put(const EventView& event, const std::shared_ptr<store::Pinned>& pinned) {
    VARVE_ASSERT(event.position.value > looked);
    if (pieces_.empty() || pieces_.back().pinned != pinned) pieces_.push_back({pinned, {}, 0});
    pieces_.back().events.push_back(event);
    ++size_;
    looked = event.position.value;
}

std::shared_ptr<store::Pinned> Dealt::peek(std::vector<EventView>& events, std::size_t most) const {
    if (pieces_.empty()) return nullptr;
    const Piece& piece = pieces_.front();
    const std::size_t count = std::min(most, piece.events.size() - piece.at);
    const auto begin = piece.events.begin() + static_cast<std::ptrdiff_t>(piece.at);
    events.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    return piece.pinned;
}

void Dealt::drop(std::size_t count) noexcept {
    if (count == 0) return;
    Piece& piece = pieces_.front();
    piece.at += count;
    size_ -= count;
    if (piece.at == piece.events.size()) {
        pieces_.pop_front();
    } else if (piece.at > piece.events.size() / 2) {
        piece.events.erase(piece.events.begin(),
                           piece.events.begin() + static_cast<std::ptrdiff_t>(piece.at));
        piece.at = 0;
    }
}

Dealer::Dealer(std::shared_ptr<store::Engine> engine, const Selector& selector, const Lanes& lanes,
               const ConsumerOptions& options)
    : engine_(std::move(engine)), selector_(selector), lanes_(lanes) {
    options_.durable_only = options.durable_only;
    options_.verify = options.verify;
}

void Dealer::go_back_to(std::uint64_t position) {
    if (following_ != nullptr && following_->position().value == position) return;
    options_.after = Position{position};
    following_ = std::make_unique<store::Following>(engine_, selector_, options_);
}

Result<bool> Dealer::read() {
    bool moved = false;
    for (std::size_t n = 0; n < kRuns; ++n) {
        std::size_t dealt = 0;
        auto more = read_run(dealt);
        if (!more && !moved) return more;
        if (!more) break;  // the same error comes with the next call
        moved = moved || *more;
        if (dealt == 0 || following_->caught_up()) break;
    }
    return moved;
}

Result<bool> Dealer::read_run(std::size_t& dealt) {
    const std::size_t limit = std::max(kLeast, kAll / std::max<std::size_t>(lanes_held_.size(), 1));
    std::uint64_t begin = ~0ULL;
    for (const auto& [number, lane] : lanes_held_)
        if (lane.size() < limit) begin = std::min(begin, lane.looked);
    if (begin == ~0ULL) return false;
    go_back_to(begin);
    auto run = following_->next(0, store::Following::Until::moved);
    if (!run) return std::move(run).error();
    // Full or not for a whole run: it may then hold as much more as one run has.
    std::vector<Dealt*> takers(lanes_.count);
    for (auto& [number, lane] : lanes_held_)
        if (lane.size() < limit) takers[number] = &lane;
    for (const EventView& event : *run) {
        Dealt* const lane = takers[lanes_.of(event)];
        if (lane == nullptr || event.position.value <= lane->looked) continue;
        lane->put(event, following_->pinned());
        ++dealt;
    }
    const std::uint64_t reached = following_->position().value;
    bool moved = dealt > 0;
    for (Dealt* const lane : takers) {
        if (lane == nullptr) continue;
        moved = moved || lane->looked < reached;
        lane->looked = std::max(lane->looked, reached);
        if (following_->pinned() == nullptr) continue;
        lane->epoch = following_->pinned()->view().epoch;
        lane->published = following_->pinned()->view().published;
    }
    for (auto& [number, lane] : lanes_held_)
        lane.at_end = following_->caught_up() && lane.looked >= reached;
    return moved;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
