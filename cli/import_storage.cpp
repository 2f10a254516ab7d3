// `varve import --from node-event-storage`: what was found, then what was done.
#include <varve/nes_import.hpp>

#include "commands.hpp"
#include "json_events.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

using nes::Found;
using nes::ImportReport;
using nes::Weight;

void print_found(const Found& found, bool json) {
    if (json) {
        std::string out = fmt::format("{{\"finding\":\"{}\",\"what\":", to_string(found.finding));
        write_string(found.what, out);
        out += ",\"file\":";
        write_string(found.file, out);
        print("{},\"offset\":{},\"document\":{}}}\n", out, found.offset, found.number);
        return;
    }
    print("{}: {}", to_string(found.finding), printable(found.what, 1024));
    if (found.number > 0) print("; document {}", found.number);
    if (!found.file.empty()) print("; {}, byte {}", printable(found.file), found.offset);
    print("\n");
}

void print_stream(const nes::ComparedStream& stream, bool json) {
    if (json) {
        std::string out = "{\"stream\":";
        write_string(stream.name, out);
        print(
            "{},\"events\":{},\"checksum\":\"{:08x}\",\"here\":{},\"checksum_here\":\"{:08x}\"}}\n",
            out, stream.source.events, stream.source.checksum, stream.target.events,
            stream.target.checksum);
        return;
    }
    print("{:>10} {:08x}  {}{}\n", stream.source.events, stream.source.checksum,
          printable(stream.name), stream.source == stream.target ? "" : "  DIFFERS");
}

void print_json(const ImportReport& report) {
    std::string paths = "\"type_path\":";
    write_string(report.type_path, paths);
    paths += ",\"tag_path\":";
    write_string(report.tag_path, paths);
    print(
        "{{\"complete\":{},\"documents\":{},\"events\":{},\"duplicates\":{},\"left_out\":{},"
        "\"commits\":{},\"derived\":{},\"closed\":{},\"consumers\":{},{},\"compared\":{},"
        "\"streams\":{},\"differing_streams\":{},\"indexes\":{},\"differing_indexes\":{}}}\n",
        report.complete, report.documents, report.imported, report.present, report.left_out,
        report.commits, report.derived, report.closed, report.consumers, paths, report.compared,
        report.streams.size(), report.count(nes::Finding::differing_stream), report.indexes,
        report.count(nes::Finding::differing_index));
}

void print_text(const ImportReport& report) {
    print("imported {} events", report.imported);
    if (report.present > 0) print(", {} were there already", report.present);
    if (report.left_out > 0) print(", {} were left out", report.left_out);
    print("; {} documents in {} commits\n", report.documents, report.commits);
    print("types from {}, tags from {}; {} streams defined, {} of them closed; {} consumers\n",
          report.type_path.empty() ? "nowhere" : printable(report.type_path),
          report.tag_path.empty() ? "nowhere" : printable(report.tag_path), report.derived,
          report.closed, report.consumers);
    if (!report.compared) return;
    print("compared {} streams, {} differ; {} indexes, {} differ\n", report.streams.size(),
          report.count(nes::Finding::differing_stream), report.indexes,
          report.count(nes::Finding::differing_index));
}

int exit_code_of(const ImportReport& report) {
    if (!report.complete) {
        complain("interrupted; the same command goes on with it");
        return kRefused;
    }
    if (report.weight() == Weight::note) return kOk;
    complain("{}", report.weight() == Weight::damage
                       ? "the source is damaged, or the store is not its equal: see what was found"
                       : "not everything could be carried over: see what was found");
    return report.weight() == Weight::damage ? kDamaged : kRefused;
}

}  // namespace

int run_import_storage(const ImportArguments& arguments) {
    nes::ImportOptions options;
    options.directory = arguments.file;
    options.name = arguments.name;
    options.index_directory = arguments.index_directory;
    options.type_path = arguments.type_path;
    options.tag_path = arguments.tag_path;
    options.stream_path = arguments.stream_path;
    options.compare = !arguments.no_compare;
    options.follow = arguments.follow;
    options.tell = [&](const Found& found) { print_found(found, arguments.json); };
    OpenOptions level;
    level.durability = Durability::os;  // one sync at the end
    // The storage comes first: a store is not made for an import that cannot begin.
    if (auto there = nes::check_source(options); !there) throw Failed(there.error());
    Store store = open_or_fail(arguments.store, level);
    guard_mappings(arguments.store + " or of the storage " + arguments.file);
    Watched watched("import", "documents", 0);
    auto report = nes::import_storage(store, options, watched.progress());
    watched.finish();
    if (!report) throw Failed(report.error());
    if (auto closed = store.close(); !closed) throw Failed(closed.error());
    if (arguments.streams)
        for (const nes::ComparedStream& stream : report->streams)
            print_stream(stream, arguments.json);
    if (arguments.json)
        print_json(*report);
    else
        print_text(*report);
    flush_output();
    return exit_code_of(*report);
}

}  // namespace varve::cli
