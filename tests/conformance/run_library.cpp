// Goal: the library does what the conformance scenarios say; README.md says what they are.
// Method: each file of the directory given is run in a store of its own. With --canary each must
// fail in the step that it names.
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace {

namespace dom = simdjson::dom;
using varve::Position;
using varve::Selector;
using varve::Source;
using varve::test::TemporaryDirectory;

struct Failure {
    std::string why;
};

void check(bool condition, const std::string& why) {
    if (!condition) throw Failure{why};
}

template <class T>
T of(varve::Result<T> result) {
    check(result.has_value(), result.has_value() ? "" : result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string quoted(std::string_view text) {
    std::string json = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') json += '\\';
        json += c;
    }
    return json + '"';
}

std::string text_of(dom::element json) { return simdjson::minify(json); }

/// The value of a field; of one that is not there, or something else, that of `T()`.
template <class T>
T value_in(dom::object object, const char* key) {
    T value{};
    if (object[key].get(value) != simdjson::SUCCESS) return T{};
    return value;
}

std::string_view string_in(dom::object object, const char* key) {
    return value_in<std::string_view>(object, key);
}

std::uint64_t number_in(dom::object object, const char* key) {
    return value_in<std::uint64_t>(object, key);
}

bool flag_in(dom::object object, const char* key) { return value_in<bool>(object, key); }

std::vector<std::string_view> names_in(dom::object object, const char* key) {
    std::vector<std::string_view> names;
    dom::array array;
    if (object[key].get(array) == simdjson::SUCCESS) {
        for (const dom::element one : array) names.push_back(one.get_string().value());
    }
    return names;
}

void only(dom::object object, std::initializer_list<std::string_view> known) {
    for (const auto field : object)
        check(std::ranges::find(known, field.key) != known.end(),
              "a field that is not known: " + std::string(field.key));
}

/// Whether `actual` is what is expected: objects may have more fields, everything else is equal.
bool holds(dom::element expected, dom::element actual) {
    if (expected.is_object()) {
        if (!actual.is_object()) return false;
        const dom::object wanted = expected.get_object().value();
        for (const auto [key, value] : wanted) {
            dom::element there;
            if (actual[key].get(there) != simdjson::SUCCESS || !holds(value, there)) return false;
        }
        return true;
    }
    if (expected.is_array()) {
        if (!actual.is_array()) return false;
        const dom::array wanted = expected.get_array().value();
        const dom::array found = actual.get_array().value();
        if (wanted.size() != found.size()) return false;
        return std::equal(wanted.begin(), wanted.end(), found.begin(),
                          [](dom::element a, dom::element b) { return holds(a, b); });
    }
    double a = 0;
    double b = 0;
    if (expected.get(a) == simdjson::SUCCESS && actual.get(b) == simdjson::SUCCESS) return a == b;
    return expected.type() == actual.type() && text_of(expected) == text_of(actual);
}

Selector selector_of(dom::element json) {
    const dom::object object = json.get_object().value();
    const auto list = [&](const char* key) {
        std::vector<Selector> all;
        const dom::array array = object[key].get_array().value();
        for (const dom::element one : array) all.push_back(selector_of(one));
        return all;
    };
    const auto field = *object.begin();
    if (field.key == "any") return Selector::any_of(list("any"));
    if (field.key == "all") return Selector::all_of(list("all"));
    const std::string_view name = field.value.get_string().value();
    if (field.key == "stream") return Selector::stream(name);
    if (field.key == "type") return Selector::type(name);
    check(field.key == "tag", "a selector that is not known");
    return Selector::tag(name);
}

Selector asked_by(dom::object what) {
    dom::array items;
    if (what["items"].get(items) != simdjson::SUCCESS) return selector_of(what["selector"].value());
    varve::Query query;
    for (const dom::element item : items) {
        const dom::object object = item.get_object().value();
        query.items.push_back({names_in(object, "types"), names_in(object, "tags")});
    }
    return {query};
}

std::optional<varve::Matcher> matcher_in(dom::object what) {
    dom::element json;
    if (what["matcher"].get(json) != simdjson::SUCCESS) return std::nullopt;
    return of(varve::Matcher::compile(text_of(json)));
}

std::string json_of(const varve::EventView& event) {
    std::string tags;
    for (const std::string_view tag : event.tags) tags += (tags.empty() ? "" : ",") + quoted(tag);
    simdjson::dom::parser parser;
    const std::string data(event.data);
    const auto n = parser.parse(data)["n"].get_uint64().value();
    return "{\"n\":" + std::to_string(n) + ",\"stream\":" + quoted(event.stream) +
           ",\"revision\":" + std::to_string(event.revision.value) +
           ",\"type\":" + quoted(event.type) + ",\"tags\":[" + tags + "],\"data\":" + data +
           ",\"metadata\":" + (event.metadata.empty() ? "{}" : std::string(event.metadata)) + "}";
}

class Runner {
public:
    explicit Runner(std::string path) : path_(std::move(path)) { open(); }

    void step(dom::object step);

private:
    using Step = void (Runner::*)(dom::element what, dom::object step);
    static const std::map<std::string_view, Step> kSteps;

    void open() {
        store_.emplace(of(varve::Store::open(path_, {.durability = varve::Durability::os})));
    }
    void append(dom::element what, dom::object step);
    void read(dom::element what, dom::object step);
    void query(dom::element what, dom::object step);
    void version(dom::element what, dom::object step);
    void derive(dom::element what, dom::object step);
    void close(dom::element what, dom::object step);
    void remove(dom::element what, dom::object step);
    void reopen(dom::element what, dom::object step);
    void refused(const varve::Error& error, dom::object step);
    varve::Seen compare(varve::Events events, dom::object step);

    std::string path_;
    std::optional<varve::Store> store_;
    std::map<std::string, varve::AppendCondition, std::less<>> decisions_;
};

const std::map<std::string_view, Runner::Step> Runner::kSteps = {
    {"append", &Runner::append},   {"read", &Runner::read},     {"query", &Runner::query},
    {"version", &Runner::version}, {"derive", &Runner::derive}, {"close", &Runner::close},
    {"delete", &Runner::remove},   {"reopen", &Runner::reopen}};

void Runner::append(dom::element what, dom::object step) {
    const dom::object object = what.get_object().value();
    only(object, {"stream", "events", "metadata", "expected", "condition"});
    dom::element metadata;
    const bool with = object["metadata"].get(metadata) == simdjson::SUCCESS;
    const std::string shared = with ? text_of(metadata) : "";
    const dom::array events = object["events"].get_array().value();
    std::vector<std::string> data;
    for (const dom::element event : events) data.push_back(text_of(event["data"].value()));
    std::vector<varve::NewEvent> made;
    for (const dom::element event : events) {
        const dom::object fields = event.get_object().value();
        made.push_back({.stream = string_in(object, "stream"),
                        .type = string_in(fields, "type"),
                        .tags = names_in(fields, "tags"),
                        .data = data[made.size()],
                        .metadata = shared});
    }
    varve::AppendOptions options;
    std::uint64_t exact = 0;
    if (object["expected"].get(exact) == simdjson::SUCCESS)
        options.expected = varve::Expected::version(exact);
    else if (string_in(object, "expected") == "none")
        options.expected = varve::Expected::no_stream();
    if (const std::string_view name = string_in(object, "condition"); !name.empty())
        options.condition = decisions_.find(name)->second;
    const auto done = store_->append(made, options);
    if (!done) return refused(done.error(), step);
    check(step["refused"].error() != simdjson::SUCCESS, "it is not refused");
}

void Runner::refused(const varve::Error& error, dom::object step) {
    std::string told = "{\"code\":" + quoted(to_string(error.code)) +
                       ",\"version\":" + std::to_string(error.version);
    if (error.code == varve::ErrorCode::condition_failed) {
        const varve::Snapshot snapshot = of(store_->snapshot());
        dom::parser parser;
        const std::string event = json_of(of(snapshot.at(error.position)));
        told += ",\"n\":" + std::to_string(parser.parse(event)["n"].get_uint64().value());
    }
    told += "}";
    dom::parser parser;
    const dom::element actual = parser.parse(told).value();
    dom::element expected;
    check(step["refused"].get(expected) == simdjson::SUCCESS && holds(expected, actual),
          "it is refused with " + told);
}

/// The source that a read names: exactly one.
Source source_of(dom::object object) {
    const std::pair<const char*, Source (*)(std::string_view)> kinds[] = {
        {"stream", Source::stream}, {"category", Source::category}, {"type", Source::type},
        {"tag", Source::tag},       {"derived", Source::derived},
    };
    std::optional<Source> source;
    if (flag_in(object, "all")) source = Source::all();
    for (const auto& [key, make] : kinds) {
        const std::string_view name = string_in(object, key);
        if (name.empty()) continue;
        check(!source, "not one source");
        source = make(name);
    }
    check(source.has_value(), "not one source");
    return *source;
}

void Runner::read(dom::element what, dom::object step) {
    const dom::object object = what.get_object().value();
    only(object, {"all", "stream", "category", "type", "tag", "derived", "from", "until", "limit",
                  "backwards"});
    const Source source = source_of(object);
    varve::ReadOptions options;
    if (source.kind == Source::Kind::stream) {
        options.from_revision = varve::Revision(number_in(object, "from"));
        options.until_revision = varve::Revision(number_in(object, "until"));
    } else {
        options.from = Position(number_in(object, "from"));
        options.until = Position(number_in(object, "until"));
    }
    if (const std::uint64_t limit = number_in(object, "limit"); limit > 0) options.limit = limit;
    if (flag_in(object, "backwards")) options.direction = varve::Direction::backwards;
    const varve::Snapshot snapshot = of(store_->snapshot());
    (void)compare(snapshot.read(source, options), step);
}

void Runner::query(dom::element what, dom::object step) {
    const dom::object object = what.get_object().value();
    only(object, {"items", "selector", "matcher", "from", "decision"});
    const Selector selector = asked_by(object);
    varve::ReadOptions options;
    options.from = Position(number_in(object, "from"));
    options.matcher = matcher_in(object);
    const varve::Snapshot snapshot = of(store_->snapshot());
    const varve::Seen seen = compare(snapshot.query(selector, options), step);
    if (const std::string_view name = string_in(object, "decision"); !name.empty())
        decisions_[std::string(name)] = {selector, seen, options.matcher};
}

varve::Seen Runner::compare(varve::Events events, dom::object step) {
    std::vector<std::string> found;
    const varve::Seen seen = of(
        events.for_each([&](const varve::EventView& event) { found.push_back(json_of(event)); }));
    const dom::array expected = step["gives"].get_array().value();
    check(
        expected.size() == found.size(),
        std::to_string(found.size()) + " events, expected were " + std::to_string(expected.size()));
    std::size_t at = 0;
    for (const dom::element one : expected) {
        dom::parser parser;
        const std::string& text = found[at++];
        const dom::element event = parser.parse(text).value();
        const bool good = one.is_object() ? holds(one, event) : holds(one, event["n"].value());
        check(good, text + ", expected was " + text_of(one));
    }
    return seen;
}

void Runner::version(dom::element what, dom::object step) {
    const std::uint64_t found = of(of(store_->snapshot()).version(what.get_string().value()));
    check(found == step["gives"].get_uint64().value(), "version " + std::to_string(found));
}

void Runner::derive(dom::element what, dom::object) {
    const dom::object object = what.get_object().value();
    only(object, {"name", "matcher"});
    (void)of(store_->define(varve::NewDefinition::stream(string_in(object, "name"), Selector::all(),
                                                         matcher_in(object))));
}

void Runner::close(dom::element what, dom::object) {
    of(store_->close_definition(what.get_string().value()));
}

void Runner::remove(dom::element what, dom::object) {
    of(store_->remove_definition(what.get_string().value()));
}

void Runner::reopen(dom::element, dom::object) {
    of(store_->close());
    store_.reset();
    open();
}

void Runner::step(dom::object step) {
    std::optional<std::pair<std::string_view, dom::element>> asked;
    for (const auto [key, value] : step) {
        if (key == "gives" || key == "refused") continue;
        check(!asked && kSteps.contains(key), "no step: " + std::string(key));
        asked.emplace(key, value);
    }
    check(asked.has_value(), "no step");
    const std::string_view name = asked->first;
    const bool gives = name == "read" || name == "query" || name == "version";
    check((step["gives"].error() == simdjson::SUCCESS) == gives,
          "not what such a step expects: " + std::string(name));
    check(name == "append" || step["refused"].error() != simdjson::SUCCESS,
          "not what such a step expects: " + std::string(name));
    (this->*kSteps.at(name))(asked->second, step);
}

/// Which step fails, and why; 0 if none does.
std::pair<std::uint64_t, std::string> run(dom::element scenario) {
    const TemporaryDirectory directory;
    Runner runner(directory.store());
    std::uint64_t number = 0;
    const dom::array steps = scenario["steps"].get_array().value();
    for (const dom::element step : steps) {
        ++number;
        try {
            runner.step(step.get_object().value());
        } catch (const Failure& failure) {
            return {number, failure.why};
        }
    }
    return {0, ""};
}

int run_all(const std::filesystem::path& folder, bool canary) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::ranges::sort(files);
    std::size_t good = 0;
    for (const auto& file : files) {
        dom::parser parser;
        const dom::element scenario = parser.load(file.string()).value();
        const std::uint64_t expected = canary ? scenario["fails_at"].get_uint64().value() : 0;
        const auto [step, why] = run(scenario);
        if (step == expected)
            ++good;
        else
            std::printf("%s: fails in step %llu, expected was %llu (0: in none): %s\n",
                        file.filename().c_str(), static_cast<unsigned long long>(step),
                        static_cast<unsigned long long>(expected), why.c_str());
    }
    std::printf("%zu of %zu scenarios as expected\n", good, files.size());
    return good == files.size() && good >= 10 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const bool canary = argc > 2 && std::string_view(argv[2]) == "--canary";
        const std::filesystem::path folder = argc > 1 ? argv[1] : ".";
        return run_all(canary ? folder / "canary" : folder, canary);
    } catch (const std::exception& error) {
        std::printf("%s\n", error.what());
        return 1;
    }
}
