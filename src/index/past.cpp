#include "index/past.hpp"

namespace varve::index {

namespace {

/// Number of ordinals of the part that lie before `position`.
std::size_t before_in(const Past::Part& part, std::uint64_t position) noexcept {
    if (position <= part.first) return 0;
    const std::uint64_t ordinal = position - part.first;
    const auto at = std::lower_bound(part.ordinals.begin(), part.ordinals.end(), ordinal);
    return static_cast<std::size_t>(at - part.ordinals.begin());
}

}  // namespace

bool Past::next(std::uint64_t from, std::uint64_t& found) const noexcept {
    // The first part that begins behind it; the one before may hold it as well.
    auto part = std::upper_bound(parts.begin(), parts.end(), from,
                                 [](std::uint64_t at, const Part& one) { return at < one.first; });
    if (part != parts.begin()) --part;
    for (; part != parts.end(); ++part) {
        const std::size_t at = before_in(*part, from);
        if (at == part->ordinals.size()) continue;
        found = part->first + part->ordinals[at];
        return found < before;
    }
    return false;
}

bool Past::last(std::uint64_t from, std::uint64_t& found) const noexcept {
    const std::uint64_t end = std::min(from, before - 1) + 1;
    auto part = std::upper_bound(parts.begin(), parts.end(), end,
                                 [](std::uint64_t at, const Part& one) { return at < one.first; });
    while (part != parts.begin()) {
        --part;
        const std::size_t at = before_in(*part, end);
        if (at == 0) continue;
        found = part->first + part->ordinals[at - 1];
        return true;
    }
    return false;
}

std::uint64_t Past::count(std::uint64_t low, std::uint64_t high) const noexcept {
    const std::uint64_t end = std::min(high, before - 1) + 1;
    std::uint64_t events = 0;
    for (const Part& part : parts) {
        const std::size_t begin = before_in(part, low);
        events += std::max(before_in(part, end), begin) - begin;
    }
    return events;
}

}  // namespace varve::index
