// `varve export --to node-event-storage`: what was lost, then what was written.
#include <varve/nes_export.hpp>

#include "commands.hpp"
#include "json_events.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

using nes::ExportReport;
using nes::Lost;

void print_lost(const Lost& lost, bool json) {
    if (json) {
        std::string out = fmt::format("{{\"loss\":\"{}\",\"what\":", to_string(lost.loss));
        write_string(lost.what, out);
        print("{},\"position\":{}}}\n", out, lost.position.value);
        return;
    }
    print("{}: {}", to_string(lost.loss), printable(lost.what, 1024));
    if (lost.position.value > 0) print("; position {}", lost.position.value);
    print("\n");
}

void print_json(const ExportReport& report) {
    std::string lost;
    for (std::size_t n = 0; n < nes::kLosses; ++n)
        if (report.lost[n] > 0)
            lost += fmt::format("{}\"{}\":{}", lost.empty() ? "" : ",",
                                to_string(static_cast<nes::Loss>(n)), report.lost[n]);
    print(
        "{{\"complete\":{},\"events\":{},\"documents\":{},\"as_imported\":{},\"commits\":{},"
        "\"streams\":{},\"derived\":{},\"closed\":{},\"consumers\":{},\"lost\":{{{}}}}}\n",
        report.complete, report.events, report.documents, report.as_imported, report.commits,
        report.streams, report.derived, report.closed, report.consumers, lost);
}

void print_text(const ExportReport& report) {
    print("exported {} events as {} documents", report.events, report.documents);
    if (report.as_imported > 0) print(", {} of them as they were imported", report.as_imported);
    print(
        "; {} commits made\n{} streams, {} of them by definitions, {} closed; {} consumers go on "
        "there\n",
        report.commits, report.streams, report.derived, report.closed, report.consumers);
    if (report.complete)
        print("read again: every document and every stream is as it was written\n");
}

int exit_code_of(const ExportReport& report, const std::string& directory) {
    if (!report.complete) {
        complain("interrupted; remove {}, which holds a part, and begin again", directory);
        return kRefused;
    }
    if (report.weight() == nes::Weight::note) return kOk;
    complain("not everything could be carried over: see what was lost");
    return kRefused;
}

}  // namespace

int run_export_storage(const ExportArguments& arguments) {
    nes::ExportOptions options;
    options.directory = arguments.file;
    options.name = arguments.name;
    options.index_directory = arguments.index_directory;
    options.layout = arguments.mapped ? nes::Layout::mapped : nes::Layout::classic;
    options.type_path = arguments.type_path.value_or(options.type_path);
    options.tag_path = arguments.tag_path.value_or(options.tag_path);
    options.type_streams = arguments.type_path.has_value();
    options.tag_streams = arguments.tag_path.has_value();
    options.tell = [&](const Lost& lost) { print_lost(lost, arguments.json); };
    const Store store = open_to_read(arguments.store);
    guard_mappings(arguments.store + " or of the storage " + arguments.file);
    Watched watched("export", "positions", 0);
    auto report = nes::export_storage(store, options, watched.progress());
    watched.finish();
    if (!report) throw Failed(report.error());
    if (arguments.json)
        print_json(*report);
    else
        print_text(*report);
    flush_output();
    return exit_code_of(*report, arguments.file);
}

}  // namespace varve::cli
