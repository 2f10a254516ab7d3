// Which indexes take a document.
//
// One thread. Invariant: the answer for a matcher on the stream alone is whether the document's
// field `stream` is that string; for any other matcher it is that of `varve::Matcher` on the whole
// document. Most matchers demand a string somewhere: those are found by it, so that the time of a
// write does not grow with the number of indexes that want other strings.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nes/json.hpp"
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
    void route(std::string_view document, std::vector<std::size_t>& into);

private:
    struct Tried {
        Matcher matcher;
        std::size_t index;
    };
    using Buckets = std::unordered_map<std::string, std::vector<std::size_t>>;
    /// Matchers that demand a string at the same place.
    struct Place {
        std::vector<std::string> path;
        Buckets wanted;  ///< by the string, places in `tried_`
    };

    void place(std::size_t tried, std::string_view matcher);
    void ask(std::size_t tried, std::string_view document, std::vector<std::size_t>& into) const;
    /// Asks those that want the string `value`, JSON text; of an array, one of its strings.
    void ask_wanted(const Place& place, std::string_view value, std::string_view document,
                    std::vector<std::size_t>& into);

    Buckets streams_;
    std::vector<std::size_t> everything_;
    std::vector<Tried> tried_;
    std::vector<Place> places_;
    std::vector<std::size_t> unplaced_;  ///< in `tried_`: asked about every document
    std::vector<JsonField> fields_;      ///< scratch of one call
    std::vector<std::string_view> elements_;
};

}  // namespace nes
}  // namespace v0
}  // namespace varve
