// derived: what derived streams cost an append. Stores without any and with many of them, which
// wait for values of three fields, take the same events in turn.
//
// One thread, level os. Variants: `absent` (the JSON has none of the fields), `unwanted` (it has
// them, with values that nothing waits for), `matching` (every event belongs to three of the
// streams). Invariant: every round checks how many events the streams have got.
#include "bench.hpp"

namespace varve::bench {

namespace {

constexpr std::uint64_t kStreams = 100'000;
constexpr const char* kFields[] = {"customerId", "sku", "city"};
constexpr std::size_t kTexts = 4096;

/// An event's JSON, of `size` bytes where that is enough.
std::string text_of(const std::string& variant, std::uint64_t n, std::size_t size) {
    std::string text = "{\"order\":" + std::to_string(1'000'000 + n);
    if (variant != "absent") {
        const std::uint64_t value =
            variant == "matching" ? n * 7919 % (kStreams / 3) : kStreams + n;
        for (const char* field : kFields)
            text += std::string(",\"") + field + "\":\"v" + std::to_string(value) + "\"";
    }
    text += ",\"note\":\"";
    if (text.size() + 2 < size) text.append(size - 2 - text.size(), 'x');
    return text + "\"}";
}

void define_many(Store& store) {
    std::vector<std::string> names;
    std::vector<Matcher> matchers;
    for (std::uint64_t n = 0; n < kStreams; ++n) {
        names.push_back("stream " + std::to_string(n));
        matchers.push_back(must(Matcher::compile(std::string(R"({"data":{")") + kFields[n % 3] +
                                                 R"(":"v)" + std::to_string(n / 3) + R"("}})"),
                                "compile"));
    }
    std::vector<NewDefinition> wanted;
    for (std::uint64_t n = 0; n < kStreams; ++n)
        wanted.push_back(NewDefinition::stream(names[n], Selector::all(), matchers[n]));
    for (std::size_t at = 0; at < wanted.size(); at += 50'000)
        must(store.define(
                 std::span(wanted).subspan(at, std::min<std::size_t>(50'000, wanted.size() - at))),
             "define");
}

Metrics round_of(const Parameters& parameters, Store& store,
                 const std::vector<std::string>& texts) {
    std::vector<NewEvent> events(1);
    Latencies latencies;
    double wall = 0;
    const double cpu_begin = cpu_seconds_now();
    for (std::uint64_t n = 0; n < parameters.events; ++n) {
        const std::string stream = "order-" + std::to_string(n % 1000);
        events[0].stream = stream;
        events[0].type = "Placed";
        events[0].data = texts[n % texts.size()];
        const auto begin = std::chrono::steady_clock::now();
        must(store.append(events), "append");
        const auto end = std::chrono::steady_clock::now();
        const auto ns = std::chrono::nanoseconds(end - begin).count();
        latencies.add(static_cast<std::uint64_t>(ns));
        wall += static_cast<double>(ns) * 1e-9;
    }
    return append_metrics(latencies, wall, cpu_seconds_now() - cpu_begin, parameters.events);
}

void check(const Parameters& parameters, const Store& store, const std::string& variant) {
    auto snapshot = must(store.snapshot(), "snapshot");
    const std::string name = "stream " + std::to_string(3 * (7919 % (kStreams / 3)));
    const std::uint64_t events = must(snapshot.count(Selector::derived(name)), "count");
    const bool right = variant == "matching" ? events >= parameters.events / kTexts : events == 0;
    if (right) return;
    std::fprintf(stderr, "varve-bench: a derived stream has the wrong events\n");
    std::exit(3);
}

void run_variant(const Parameters& parameters) {
    std::vector<std::string> texts;
    for (std::uint64_t n = 0; n < kTexts; ++n)
        texts.push_back(text_of(parameters.variant, n, parameters.size));
    std::vector<Side> sides{{"with", {}}, {"without", {}}};
    const Scratch scratch(parameters.directory);
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        for (Side& side : sides) {
            const Scratch own(scratch.path());
            OpenOptions options;
            options.durability = Durability::os;
            Store store = must(Store::open(own.path("store"), options), "open");
            if (side.variant == "with") define_many(store);
            must(store.append({{.data = "{}"}}), "append");  // what is made at the first one
            side.rounds.push_back(round_of(parameters, store, texts));
            if (side.variant == "with") check(parameters, store, parameters.variant);
        }
    }
    report(parameters, sides);
}

}  // namespace

void run_derived(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 500'000;
    for (const char* variant : {"absent", "unwanted", "matching"}) {
        if (!given.variant.empty() && given.variant != variant) continue;
        parameters.variant = variant;
        run_variant(parameters);
    }
}

}  // namespace varve::bench
