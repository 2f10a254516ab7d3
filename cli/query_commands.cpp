// Commands that ask with queries and selectors: query, explain.
#include <algorithm>

#include "commands.hpp"
#include "json_events.hpp"
#include "print_event.hpp"
#include "selector_json.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

/// The names of a list with commas between them; views into it.
std::vector<std::string_view> split(std::string_view list) {
    std::vector<std::string_view> names;
    while (!list.empty()) {
        names.push_back(list.substr(0, list.find(',')));
        list.remove_prefix(std::min(list.size(), names.back().size() + 1));
    }
    return names;
}

int print_count(const Snapshot& snapshot, const Selector& selector, const ReadOptions& options,
                bool json) {
    auto count = snapshot.count(selector, options);
    if (!count) throw Failed(count.error());
    if (json)
        print("{{\"events\":{}}}\n", *count);
    else
        print("{}\n", *count);
    return kOk;
}

void print_seen(const Seen& seen, bool json) {
    if (json)
        print("{{\"seen\":{{\"position\":{},\"epoch\":{}}}}}\n", seen.position.value, seen.epoch);
    else
        print("seen up to position {}, epoch {}\n", seen.position.value, seen.epoch);
}

void print_explanation_as_json(const Explanation& how) {
    std::string out = "{\"selector\":";
    write_string(how.selector, out);
    out += ",\"lists\":[";
    for (const ExplainedList& list : how.lists) {
        out += out.back() == '[' ? "{\"set\":" : ",{\"set\":";
        write_string(list.set, out);
        out += fmt::format(",\"events\":{}", list.events);
        if (!list.complete) out += fmt::format(",\"listed\":{}", list.listed.value);
        out += '}';
    }
    print(
        "{}],\"indexes\":{},\"entries\":{},\"candidates\":{},\"events\":{},\"scans\":{},"
        "\"estimated_us\":{:.3f}}}\n",
        out, how.indexes, how.entries, how.candidates, how.events, how.scans, how.estimated_us);
}

void print_explanation(const Explanation& how) {
    print("selector   {}\n", printable(how.selector));
    for (const ExplainedList& list : how.lists)
        print("list       {:>12} events  {}{}\n", list.events, printable(list.set),
              list.complete ? "" : fmt::format(", listed up to {} so far", list.listed.value));
    print("indexes    {:>12} asked\n", how.indexes);
    print("entries    {:>12} of lists looked at\n", how.entries);
    print("candidates {:>12} events looked at\n", how.candidates);
    print("events     {:>12} in the answer\n", how.events);
    print("estimated  {:>12.1f} µs, warm\n", how.estimated_us);
    if (how.scans) print("no list narrows it down: everything within the bounds is looked at\n");
}

}  // namespace

Selector AskedArguments::asked() const {
    std::vector<Selector> each;
    if (!types.empty() || !tags.empty())
        each.emplace_back(Query{{.types = split(types), .tags = split(tags)}});
    if (!items.empty()) each.push_back(items_of(items));
    if (!selector.empty()) each.push_back(selector_of(selector));
    Selector all = Selector::all_of(each);
    if (all.error() != nullptr) throw BadJson(all.error());
    return all;
}

int run_query(const QueryArguments& arguments) {
    const Selector selector = arguments.asked.asked();
    const ReadOptions options = read_options(arguments.range);
    const Store store = open_to_read(arguments.store);
    const Snapshot snapshot = snapshot_of(store);
    if (arguments.count) return print_count(snapshot, selector, options, arguments.json);
    std::string buffer;
    auto seen = snapshot.query(selector, options).for_each([&](const EventView& event) {
        print_event(event, arguments.json, buffer);
    });
    flush_events(buffer);
    if (!seen) throw Failed(seen.error());
    if (arguments.seen) print_seen(*seen, arguments.json);
    return kOk;
}

int run_explain(const QueryArguments& arguments) {
    const Selector selector = arguments.asked.asked();
    const ReadOptions options = read_options(arguments.range);
    const Store store = open_to_read(arguments.store);
    const Snapshot snapshot = snapshot_of(store);
    auto how = snapshot.explain(selector, options);
    if (!how) throw Failed(how.error());
    if (arguments.json)
        print_explanation_as_json(*how);
    else
        print_explanation(*how);
    return kOk;
}

}  // namespace varve::cli
