#include "shared_options.hpp"

#include "json_events.hpp"
#include "moment.hpp"
#include "selector_json.hpp"

namespace varve::cli {

namespace {

/// A check that `read` finds nothing wrong with the JSON that is given.
template <class Read>
CLI::Validator json_check(Read read) {
    return {[read](std::string& text) -> std::string {
                try {
                    static_cast<void>(read(text));
                } catch (const BadJson& bad) {
                    return bad.what();
                }
                return "";
            },
            "JSON"};
}

/// Checks that a moment can be read.
const CLI::Validator kMoment(
    [](std::string& text) -> std::string {
        return parse_moment(text, 0) ? ""
                                     : "must be an RFC 3339 time or date, milliseconds since 1970, "
                                       "now, or a distance from now such as -15m, -1h, -7d";
    },
    "TIME");

const CLI::Validator kItems = json_check(items_of);
const CLI::Validator kSelector = json_check(selector_of);
const CLI::Validator kMatcher = json_check(compile_matcher);

/// Checks that no name of a list is empty.
const CLI::Validator kNames(
    [](std::string& text) -> std::string {
        const bool gap = text.empty() || text.front() == ',' || text.back() == ',' ||
                         text.find(",,") != std::string::npos;
        return gap ? "has an empty name; names that contain a comma can be given with --items" : "";
    },
    "NAME,...");

}  // namespace

const CLI::Validator kWhole(
    [](std::string& text) -> std::string {
        return text.starts_with('-') ? "must not be negative" : "";
    },
    "");

const CLI::Validator kName(
    [](std::string& text) -> std::string { return text.empty() ? "must not be empty" : ""; }, "");

const CLI::Validator kExpected(
    [](std::string& text) -> std::string {
        const bool word = text == "any" || text == "none" || text == "exists";
        const bool number =
            !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        return word || number ? "" : "must be any, none, exists or a version";
    },
    "any|none|exists|N");

const CLI::Validator kId(
    [](std::string& text) -> std::string {
        EventId id;
        return parse_id(text, id) ? "" : "must be a UUID: 32 hexadecimal digits";
    },
    "UUID");

const CLI::Validator kQuestion = json_check(question_of);

void add_import(CLI::App& command, ImportArguments& import) {
    command
        .add_option("FILE", import.file,
                    "the file, - for standard input; with --from, the directory of the storage")
        ->required();
    auto* from =
        command
            .add_option("--from", import.from, "what FILE is, if not NDJSON: node-event-storage")
            ->check(CLI::IsMember({"node-event-storage"}));
    for (CLI::Option* option :
         {command.add_flag("--skip-invalid", import.skip_invalid,
                           "count lines that are not valid instead of ending there"),
          command.add_flag("--resume", import.resume,
                           "go on where an import that filled this store was interrupted; with "
                           "--from that needs no option"),
          command.add_flag("--ignore-unknown", import.ignore_unknown,
                           "ignore fields that are none of an event"),
          command.add_flag("--events-only", import.events_only,
                           "leave out the definitions that stand between the events")})
        option->excludes(from);
    for (CLI::Option* option :
         {command.add_option("--name", import.name, "of the storage (eventstore if not given)")
              ->check(kName),
          command
              .add_option("--index-directory", import.index_directory,
                          "of the storage, if not DIRECTORY/streams or DIRECTORY")
              ->check(kName),
          command.add_option("--type-path", import.type_path,
                             "field of the payload that holds the type: kind.name; empty: none; "
                             "else as the storage's own streams tell, or type"),
          command.add_option("--tag-path", import.tag_path,
                             "field of the payload that holds tags, in the same way; else tags"),
          command.add_option("--stream-path", import.stream_path,
                             "field that holds the stream, in documents that no event store wrote; "
                             "else stream, and without it the partition"),
          command.add_flag("--follow", import.follow,
                           "keep importing what a writer adds, until interrupted (Ctrl-C)"),
          command.add_flag("--no-compare", import.no_compare,
                           "do not read everything again to compare"),
          command.add_flag("--streams", import.streams,
                           "print events and checksum of each stream that was compared")})
        option->needs(from);
    command.add_flag("--json", import.json, "result as JSON");
}

void add_export(CLI::App& command, ExportArguments& exported) {
    auto* file = command.add_option("FILE", exported.file,
                                    "a new file; standard output if none is given; with --to, a "
                                    "new directory");
    auto* to =
        command.add_option("--to", exported.to, "what to write, if not NDJSON: node-event-storage")
            ->check(CLI::IsMember({"node-event-storage"}))
            ->needs(file);
    for (CLI::Option* option :
         {command.add_option("--name", exported.name, "of the storage (eventstore if not given)")
              ->check(kName),
          command
              .add_option("--index-directory", exported.index_directory,
                          "of the storage, if not DIRECTORY/streams")
              ->check(kName),
          command.add_option("--type-path", exported.type_path,
                             "field of the payload that holds the type: kind.name. Makes the "
                             "streams of types as well; without it, type, and no such streams"),
          command.add_option("--tag-path", exported.tag_path,
                             "field of the payload that holds tags, in the same way; without it, "
                             "tags, and no streams of tags"),
          command.add_flag("--mapped", exported.mapped,
                           "files in the layout of the mapped classes")})
        option->needs(to);
    command
        .add_flag("--events-only", exported.events_only,
                  "no lines for derived streams and for names from content")
        ->excludes(to);
    command.add_flag("--json", exported.json, "with FILE: what was exported, as JSON");
}

void add_match(CLI::App& command, std::string& match) {
    command
        .add_option("--match", match,
                    R"(only events whose JSON it matches: {"data":{"total":{"$gte":30}}})")
        ->check(kMatcher);
}

void add_source(CLI::App& command, SourceArguments& source) {
    auto* group = command.add_option_group("source", "which events; all of them if none is given");
    group->add_option("--stream", source.stream, "events of this stream")->check(kName);
    group
        ->add_option("--category", source.category,
                     "events of streams named CATEGORY-… or CATEGORY/…")
        ->check(kName);
    group->add_option("--type", source.type, "events of this type")->check(kName);
    group->add_option("--tag", source.tag, "events with this tag")->check(kName);
    group->add_option("--derived", source.derived, "events of this derived stream")->check(kName);
    group->require_option(0, 1);
}

void add_range(CLI::App& command, RangeArguments& range) {
    command.add_option("--from", range.from, "first position")->check(kWhole);
    command.add_option("--after", range.after, "only beyond this position")->check(kWhole);
    command.add_option("--until", range.until, "last position")->check(kWhole);
    command
        .add_option("--since", range.since,
                    "only events of this time or later: RFC 3339, milliseconds since 1970, or "
                    "-15m, -1h, -7d from now")
        ->check(kMoment);
    command.add_option("--before", range.before, "only events before this time")->check(kMoment);
    command.add_flag("--recorded", range.recorded,
                     "--since and --before mean when the store took the event; that time is "
                     "printed too");
    command.add_option("--limit", range.limit, "at most so many events")->check(kWhole);
    command.add_flag("--backwards", range.backwards, "newest first");
    command.add_flag("--trusted", range.trusted, "do not check the checksums");
    command.add_flag("--durable", range.durable, "only events that survive a power cut");
    add_match(command, range.match);
}

void add_asked(CLI::App& command, AskedArguments& asked, bool needed) {
    auto* group = command.add_option_group(
        "asked", needed ? "which events; one of these at least, and each that is given must hold"
                        : "which events; all if none is given, and each that is given must hold");
    group->add_option("--types", asked.types, "events of one of these types: A,B")->check(kNames);
    group->add_option("--tags", asked.tags, "events with all of these tags: t1,t2")->check(kNames);
    group
        ->add_option("--items", asked.items,
                     R"(events that match one of these: [{"types":["A"],"tags":["t1"]},...])")
        ->check(kItems);
    group
        ->add_option(
            "--selector", asked.selector,
            R"(nested: true, {"stream":"s"}, category, type, tag, derived, {"any":[...]}, )"
            R"({"all":[...]}, {"not":...})")
        ->check(kSelector);
    if (needed) group->require_option(1, 0);
}

}  // namespace varve::cli
