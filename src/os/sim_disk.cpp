#include "os/sim_disk.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "base/assert.hpp"

namespace varve {
inline namespace v0 {
namespace os {

namespace {

constexpr std::size_t kLeastCapacity = 64 << 10;

/// Memory that was given back, by capacity. A crash test makes and drops thousands of files a
/// second. Never destroyed: a world that is a static object gives memory back when everything that
/// belongs to the thread, and any static object, may be gone already.
class Pool {
public:
    static Pool& instance() {
        static Pool& pool = *new Pool;
        return pool;
    }
    [[nodiscard]] std::byte* take(std::size_t capacity) {
        const std::lock_guard lock(mutex_);
        auto& free = free_[capacity];
        if (free.empty()) return nullptr;
        std::byte* const data = free.back();
        free.pop_back();
        return data;
    }
    void give_back(std::byte* data, std::size_t capacity) {
        const std::lock_guard lock(mutex_);
        free_[capacity].push_back(data);
    }

private:
    std::mutex mutex_;
    std::map<std::size_t, std::vector<std::byte*>> free_;
};

std::uint64_t sector_of(std::uint64_t offset) noexcept { return offset / kSimSector; }

}  // namespace

SimMemory::SimMemory(std::size_t capacity) : capacity_(kLeastCapacity) {
    while (capacity_ < capacity) capacity_ *= 2;
    data_ = Pool::instance().take(capacity_);
    if (data_ == nullptr) {
        auto* const whole =
            static_cast<std::byte*>(std::aligned_alloc(kSimPage, kSimPage + capacity_));
        VARVE_ASSERT(whole != nullptr);
        data_ = whole + kSimPage;
    }
    mappings(data_) = 0;
}

SimMemory::~SimMemory() {
    if (data_ != nullptr) Pool::instance().give_back(data_, capacity_);
}

void SimInode::grow(std::uint64_t size) {
    if (size <= size_) return;
    make_room(size);
    std::memset(cache_.data() + size_, 0, size - size_);
    size_ = size;
}

void SimInode::make_room(std::uint64_t size) {
    if (size <= cache_.capacity()) return;
    VARVE_ASSERT(cache_.data() == nullptr || SimMemory::mappings(cache_.data()) == 0);
    SimMemory larger(size);
    if (size_ > 0) std::memcpy(larger.data(), cache_.data(), size_);
    cache_ = std::move(larger);
}

void SimInode::shorten(std::uint64_t size) {
    if (size >= size_) return;
    std::memset(cache_.data() + size, 0, size_ - size);
    note(size, size_ - size);
    size_ = size;
}

void SimInode::note(std::uint64_t offset, std::uint64_t length) {
    for (std::uint64_t n = sector_of(offset); n * kSimSector < offset + length; ++n) {
        Sector now{};
        const std::uint64_t begin = n * kSimSector;
        std::memcpy(now.data(), cache_.data() + begin, std::min(kSimSector, size_ - begin));
        versions_[n].push_back(now);
    }
}

void SimInode::sync(std::uint64_t offset, std::uint64_t length) {
    const auto end = versions_.lower_bound(sector_of(offset + length + kSimSector - 1));
    auto at = versions_.lower_bound(sector_of(offset));
    while (at != end) {
        disk_[at->first] = at->second.back();
        at = versions_.erase(at);
    }
    durable_size_ = size_;
}

void SimInode::lose(std::uint64_t offset, std::uint64_t length, SimRandom& random) {
    const auto end = versions_.lower_bound(sector_of(offset + length + kSimSector - 1));
    auto at = versions_.lower_bound(sector_of(offset));
    while (at != end) {
        Sector sector = durable_sector(at->first);
        choose(sector, at->second, random);
        disk_[at->first] = sector;
        at = versions_.erase(at);
    }
}

std::uint64_t SimInode::dirty_pages() const noexcept {
    std::uint64_t pages = 0;
    std::uint64_t last = ~0ULL;
    for (const auto& [sector, versions] : versions_) {
        const std::uint64_t page = sector / (kSimPage / kSimSector);
        pages += page != last ? 1 : 0;
        last = page;
    }
    return pages;
}

SimInode::Sector SimInode::durable_sector(std::uint64_t n) const noexcept {
    const auto found = disk_.find(n);
    return found != disk_.end() ? found->second : Sector{};
}

/// Any version, or one of them cut short by the next at a multiple of eight bytes.
void SimInode::choose(Sector& sector, const std::vector<Sector>& versions,
                      SimRandom& random) const noexcept {
    const std::uint64_t pick = random.below(versions.size() + 1);
    if (pick > 0) sector = versions[pick - 1];
    if (pick == versions.size() || random.below(4) != 0) return;
    const std::size_t cut = 8 * random.below(kSimSector / 8);
    std::memcpy(sector.data(), versions[pick].data(), cut);
}

std::shared_ptr<SimInode> SimInode::copy() const {
    auto other = std::make_shared<SimInode>(number_, birth_ns_);
    other->grow(size_);
    if (size_ > 0) std::memcpy(other->cache_.data(), cache_.data(), size_);
    other->durable_size_ = durable_size_;
    other->disk_ = disk_;
    other->versions_ = versions_;
    return other;
}

std::shared_ptr<SimInode> SimInode::after_cut(const SimCut& cut, SimRandom& random,
                                              std::uint64_t& page) const {
    auto other = std::make_shared<SimInode>(number_, birth_ns_);
    const bool new_size = cut.style == SimCut::Style::everything ||
                          cut.style == SimCut::Style::pages ||
                          (cut.style == SimCut::Style::mixed && random.below(2) == 0);
    other->grow(new_size ? size_ : durable_size_);
    other->disk_ = disk_;
    std::uint64_t current_page = ~0ULL;
    bool take = cut.style == SimCut::Style::everything;
    for (const auto& [n, versions] : versions_) {
        if (cut.style == SimCut::Style::nothing) break;
        Sector sector = durable_sector(n);
        if (cut.style == SimCut::Style::mixed) {
            choose(sector, versions, random);
        } else {
            if (cut.style == SimCut::Style::pages && n / (kSimPage / kSimSector) != current_page) {
                current_page = n / (kSimPage / kSimSector);
                take = (cut.mask >> (page++ % 64) & 1U) != 0;
            }
            if (take) sector = versions.back();
        }
        other->disk_[n] = sector;
    }
    for (const auto& [n, sector] : other->disk_) {
        const std::uint64_t begin = n * kSimSector;
        if (begin >= other->size_) continue;
        std::memcpy(other->cache_.data() + begin, sector.data(),
                    std::min(kSimSector, other->size_ - begin));
    }
    other->durable_size_ = other->size_;
    return other;
}

}  // namespace os
}  // namespace v0
}  // namespace varve
