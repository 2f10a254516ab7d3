// Commands that write: create, append. (`import` has a file of its own.)
#include <charconv>
#include <cstring>

#include "commands.hpp"
#include "json_events.hpp"
#include "line_source.hpp"
#include "selector_json.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

Expected expected_of(const std::string& text) {
    if (text == "any") return Expected::any();
    if (text == "none") return Expected::no_stream();
    if (text == "exists") return Expected::stream_exists();
    std::uint64_t version = 0;
    std::from_chars(text.data(), text.data() + text.size(), version);
    return Expected::version(version);
}

Durability durability_of(const std::string& text) {
    return text == "os"         ? Durability::os
           : text == "interval" ? Durability::interval
                                : Durability::disk;
}

void say(const Appended& done, const AppendArguments& arguments) {
    if (arguments.json) {
        print("{{\"first\":{},\"last\":{},\"version\":{},\"duplicate\":{}{}}}\n", done.first.value,
              done.last.value, done.version, done.duplicate,
              arguments.dry_run ? ",\"dry_run\":true" : "");
    } else {
        const char* const known = done.duplicate      ? " (stored before)"
                                  : arguments.dry_run ? " (not stored)"
                                                      : "";
        if (done.first == done.last)
            print("position {}{}\n", done.first.value, known);
        else
            print("positions {} to {}{}\n", done.first.value, done.last.value, known);
    }
    flush_output();
}

AppendOptions append_options(const AppendArguments& arguments) {
    AppendOptions options;
    options.expected = expected_of(arguments.expected);
    if (!arguments.fail_if_match.empty())
        options.condition = {question_of(arguments.fail_if_match),
                             {Position{arguments.after}, arguments.epoch},
                             matcher_of(arguments.match)};
    options.dry_run = arguments.dry_run;
    return options;
}

}  // namespace

int run_create(const CreateArguments& arguments) {
    OpenOptions options;
    options.create = Create::must;
    options.segment_size_first = arguments.segment_size_first;
    options.segment_size_max = arguments.segment_size_max;
    Store store = open_or_fail(arguments.store, options);
    auto closed = store.close();
    if (!closed) throw Failed(closed.error());
    if (arguments.json) {
        std::string out = "{\"created\":";
        write_string(arguments.store, out);
        put(out + "}\n");
    } else {
        print("created {}\n", printable(arguments.store));
    }
    return kOk;
}

int run_append(const AppendArguments& arguments) {
    OpenOptions options;
    options.durability = durability_of(arguments.durability);
    if (arguments.dry_run) options.create = Create::never;
    Store store = open_or_fail(arguments.store, options);
    const AppendOptions append = append_options(arguments);
    std::uint64_t size = 0;
    const std::uint64_t* done = nullptr;
    LineSource lines(open_source("-", size, done), Parser::kPadding, arguments.each);
    Parser parser(false);
    // Everything is one commit, so every block and its events stay until the end; line by line
    // nothing needs to.
    std::deque<std::vector<char>> blocks;
    Batch batch;
    std::uint64_t line_number = 0;
    const char* const rest_of_it =
        arguments.each ? "the lines before it are stored" : "nothing was stored";
    const auto commit = [&] {
        auto appended =
            store.append(std::span<const NewEvent>(batch.events.data(), batch.count), append);
        if (!appended) throw Failed(appended.error());
        batch.clear();
        try {
            say(*appended, arguments);
        } catch (const OutputFailed& failed) {
            complain("cannot write standard output: {}; events up to position {} are stored",
                     std::strerror(failed.error), appended->last.value);
            return kDamaged;
        }
        return kOk;
    };
    while (true) {
        std::size_t length = 0;
        try {
            if (!lines.next_block(blocks.emplace_back(), length)) break;
        } catch (const std::runtime_error& broken) {
            complain("standard input: {}; {}", broken.what(), rest_of_it);
            return kDamaged;
        }
        std::string_view rest(blocks.back().data(), length);
        while (!rest.empty()) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(rest.size(), line.size() + 1));
            ++line_number;
            if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
            const std::string wrong = parser.parse(line, line_number, batch);
            if (!wrong.empty()) {
                complain("standard input, line {}: {}; {}", line_number, wrong, rest_of_it);
                return kRefused;
            }
            if (arguments.each && commit() != kOk) return kDamaged;
        }
        if (arguments.each) blocks.clear();
    }
    if (batch.count > 0 && commit() != kOk) return kDamaged;
    auto closed = store.close();
    if (!closed) throw Failed(closed.error());
    return kOk;
}

}  // namespace varve::cli
