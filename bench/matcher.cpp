// matcher: how long a matcher takes for one event whose data is 315 bytes of JSON, when it must
// read them and when a piece of text that every match has is absent.
//
// One thread. Invariant: events differ in their bytes, and every answer is looked at.
#include "bench.hpp"

namespace varve::bench {

namespace {

constexpr std::size_t kSize = 315;
constexpr std::size_t kDocuments = 256;

/// An order as a shop would write it, of exactly `kSize` bytes.
std::string document(std::uint64_t n) {
    std::string text = R"({"orderId":"9f86d081-884c-4d63-a5ba-)" + std::to_string(100000 + n) +
                       R"(","customerId":"customer-)" + std::to_string(1000 + n) +
                       R"(","state":"paid","amount":)" + std::to_string(100 + n) +
                       R"(.50,"currency":"EUR","express":true,"address":{"street":"Hauptstr. 12",)"
                       R"("city":"Ulm","zip":"89073","country":"DE"},"items":[{"sku":"A-1001",)"
                       R"("count":2},{"sku":"B-2002","count":1}],"coupon":null,"note":")";
    if (text.size() + 2 > kSize) std::exit(3);
    text.append(kSize - 2 - text.size(), 'x');
    return text + "\"}";
}

Metrics round_of(const Parameters& parameters, const Matcher& matcher,
                 const std::vector<std::string>& documents, std::size_t expected) {
    std::size_t matched = 0;
    const std::uint64_t passes = parameters.events / kDocuments + 1;
    const double begin = seconds_now();
    for (std::uint64_t pass = 0; pass < passes; ++pass)
        for (const std::string& data : documents) matched += matcher.matches(data, {}) ? 1U : 0U;
    const double wall = seconds_now() - begin;
    if (matched != passes * expected) {
        std::fprintf(stderr, "varve-bench: a matcher has given a wrong answer\n");
        std::exit(3);
    }
    return {{"ns_per_match", wall / static_cast<double>(passes * kDocuments) * 1e9}};
}

struct Case {
    const char* variant;
    const char* definition;
    std::size_t matches;  ///< of the documents
};

constexpr Case kCases[] = {
    {"parse", R"({"data":{"state":"paid","amount":{"$gt":50.25},"address":{"city":"Ulm"}}})",
     kDocuments},
    {"absent", R"({"data":{"customerId":"customer-99999","amount":{"$gt":50.25}}})", 0},
    {"absent-short", R"({"data":{"address":{"city":"Bonn"}}})", 0}};

}  // namespace

void run_matcher(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    std::vector<std::string> documents;
    for (std::uint64_t n = 0; n < kDocuments; ++n) documents.push_back(document(n));
    for (const Case& one : kCases) {
        if (!parameters.variant.empty() && parameters.variant != one.variant) continue;
        const Matcher matcher = must(Matcher::compile(one.definition), "compile");
        parameters.variant = one.variant;
        std::vector<Side> sides{{"varve", {}}};
        for (std::uint64_t round = 0; round < parameters.rounds; ++round)
            sides[0].rounds.push_back(round_of(parameters, matcher, documents, one.matches));
        report(parameters, sides);
        parameters.variant = given.variant;
    }
}

}  // namespace varve::bench
