// Which indexes take a document.
//
// One thread. Invariant: the answer for a matcher on the stream alone and for any other matcher is
// that of `varve::Matcher` on the whole document.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "varve/matcher.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

class Routing {
public:
    /// From now on `index` takes what this JSON object matches. `invalid_argument` if it is no
    /// matcher that is understood.
    [[nodiscard]] Result<void> add(std::size_t index, std::string_view matcher) noexcept;
    /// Puts the numbers of the indexes that take `document` into `into`, ascending.
    void route(std::string_view document, std::vector<std::size_t>& into) const;

private:
    struct Other {
        Matcher matcher;
        std::size_t index;
    };
    std::unordered_map<std::string, std::vector<std::size_t>> streams_;
    std::vector<Other> others_;
    std::vector<std::size_t> everything_;
};

}  // namespace nes
}  // namespace v0
}  // namespace varve
