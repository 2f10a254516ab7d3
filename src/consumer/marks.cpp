#include "consumer/marks.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;  // the lock of the file orders holders

std::uint32_t check_of(std::uint64_t position, std::uint32_t attempts,
                       std::uint32_t generation) noexcept {
    const std::uint64_t more =
        (std::uint64_t{attempts} << 32U) + (std::uint64_t{generation} << 48U);
    return static_cast<std::uint32_t>(mix(position + more));
}

}  // namespace

Left take_marks(SharedWords& words, std::uint32_t generation, std::uint64_t passed) {
    Left left;
    if (words.generation.load(kRelaxed) != generation) {
        clear_marks(words, generation);
        return left;
    }
    for (const Attempt& one : words.attempts) {
        const std::uint64_t position = one.position.load(kRelaxed);
        const std::uint32_t attempts = one.attempts.load(kRelaxed);
        if (position > passed &&
            one.check.load(kRelaxed) == check_of(position, attempts, generation))
            left.attempts[position] = attempts;
    }
    left.given = words.given.load(kRelaxed);
    left.alone = words.alone.load(kRelaxed);
    if (left.given <= passed) left.given = 0;
    if (left.alone <= passed || left.alone > left.given) left.alone = 0;
    mark_in_hand(words, left.given, 0);
    return left;
}

void clear_marks(SharedWords& words, std::uint32_t generation) noexcept {
    mark_in_hand(words, 0, 0);
    for (Attempt& one : words.attempts) one.position.store(0, kRelaxed);
    words.generation.store(generation, kRelaxed);
}

void mark_in_hand(SharedWords& words, std::uint64_t given, std::uint64_t alone) noexcept {
    words.alone.store(alone, kRelaxed);
    words.given.store(given, kRelaxed);
}

void mark_attempts(SharedWords& words, std::uint64_t position, std::uint32_t attempts,
                   std::uint64_t passed) noexcept {
    Attempt* place = nullptr;
    for (Attempt& one : words.attempts) {
        const std::uint64_t there = one.position.load(kRelaxed);
        if (there <= passed && place == nullptr) place = &one;
        if (there != position) continue;
        place = &one;
        break;
    }
    if (place == nullptr) return;
    place->position.store(position, kRelaxed);
    place->attempts.store(attempts, kRelaxed);
    place->check.store(check_of(position, attempts, words.generation.load(kRelaxed)), kRelaxed);
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
