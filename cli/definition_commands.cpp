// Commands that define what the store does by itself: derive, index, definitions.
#include "commands.hpp"
#include "control_lines.hpp"
#include "json_events.hpp"
#include "selector_json.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

Store open_to_define(const std::string& path) {
    OpenOptions options;
    options.create = Create::never;
    return open_or_fail(path, options);
}

void say_done(const DefineArguments& arguments, const char* what) {
    if (arguments.json) {
        std::string out = "{\"name\":";
        write_string(arguments.name, out);
        print("{},\"done\":\"{}\"}}\n", out, what);
    } else {
        print("{} {}\n", what, printable(arguments.name));
    }
    flush_output();
}

int end(const DefineArguments& arguments) {
    Store store = open_to_define(arguments.store);
    auto done = arguments.close ? store.close_definition(arguments.name)
                                : store.remove_definition(arguments.name);
    if (!done) throw Failed(done.error());
    say_done(arguments, arguments.close ? "closed" : "deleted");
    if (auto closed = store.close(); !closed) throw Failed(closed.error());
    return kOk;
}

int define(const DefineArguments& arguments, const NewDefinition& wanted) {
    Store store = open_to_define(arguments.store);
    auto done = store.define(wanted);
    if (!done) throw Failed(done.error());
    if (!arguments.no_wait) {
        ProgressBar progress("list", 100);
        auto listed = store.list_past([&](std::uint64_t at, std::uint64_t of) {
            progress.show(of == 0 ? 100 : at * 100 / of, at, "events");
            return true;
        });
        if (!listed) throw Failed(listed.error());
    }
    if (arguments.json) {
        std::string out = "{\"name\":";
        write_string(arguments.name, out);
        print("{},\"number\":{},\"position\":{},\"existed\":{}}}\n", out, done->number,
              done->position.value, done->existed);
    } else {
        print("{} {} as number {}, at position {}\n",
              done->existed ? "there was already" : "defined", printable(arguments.name),
              done->number, done->position.value);
    }
    flush_output();
    if (auto closed = store.close(); !closed) throw Failed(closed.error());
    return kOk;
}

void print_as_json(const Definition& one) {
    std::string out = "{\"name\":";
    write_string(one.name, out);
    out +=
        fmt::format(",\"kind\":\"{}\",\"number\":{},\"events\":", kind_name(one.kind), one.number);
    write_string(one.events.text(), out);
    if (!one.matcher.empty()) out += ",\"match\":" + one.matcher;
    for (const auto& [key, text] :
         {std::pair(",\"field\":", &one.field), std::pair(",\"prefix\":", &one.prefix)}) {
        if (one.kind == DefinitionKind::stream || (text->empty() && text == &one.prefix)) continue;
        out += key;
        write_string(*text, out);
    }
    print("{},\"position\":{},\"closed\":{},\"listed\":{},\"complete\":{}}}\n", out,
          one.defined.value, one.closed.value, one.listed.value, one.complete);
}

void print_for_people(const Definition& one) {
    std::string what =
        one.kind == DefinitionKind::stream
            ? one.events.text() + (one.matcher.empty() ? "" : " matching ") + one.matcher
            : one.field + " as " + (one.kind == DefinitionKind::type ? "type" : "tags ") +
                  one.prefix + (one.events.is_all() ? "" : " of " + one.events.text());
    std::string state =
        one.complete ? "complete" : fmt::format("listed up to {}", one.listed.value);
    if (one.closed.value != 0) state += fmt::format(", closed at {}", one.closed.value);
    print("{:>6}  {:<6}  {}  {}  {}\n", one.number, kind_name(one.kind), printable(one.name),
          printable(what), state);
}

}  // namespace

int run_derive(const DefineArguments& arguments) {
    if (arguments.close || arguments.remove) return end(arguments);
    return define(arguments, NewDefinition::stream(arguments.name, arguments.asked.asked(),
                                                   matcher_of(arguments.match)));
}

int run_index(const DefineArguments& arguments) {
    if (arguments.close || arguments.remove) return end(arguments);
    NewDefinition wanted =
        arguments.type ? NewDefinition::type(arguments.name, arguments.field)
                       : NewDefinition::tags(arguments.name, arguments.field, arguments.tags);
    wanted.events = arguments.asked.asked();
    return define(arguments, wanted);
}

int run_definitions(const StoreArguments& arguments) {
    const Store store = open_to_read(arguments.store);
    auto all = snapshot_of(store).definitions();
    if (!all) throw Failed(all.error());
    for (const Definition& one : *all) arguments.json ? print_as_json(one) : print_for_people(one);
    flush_output();
    return kOk;
}

}  // namespace varve::cli
