// Commands that look after a store: verify, doctor, backup, restore, salvage, repair. Long ones
// show their progress and end in order on Ctrl-C.
#include "commands.hpp"
#include "json_events.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

void write_list(const char* name, const std::vector<std::string>& texts, std::string& out) {
    out += fmt::format(",\"{}\":[", name);
    for (const std::string& text : texts) {
        if (out.back() != '[') out += ',';
        write_string(text, out);
    }
    out += ']';
}

void print_list(const char* title, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) print("{:<8} {}\n", title, printable(text));
}

/// `"name":[{"file":…,"offset":…}…]`.
void write_damage(const char* name, const std::vector<Damage>& damaged, std::string& out) {
    out += fmt::format(",\"{}\":[", name);
    for (const Damage& one : damaged) {
        out += out.back() == '[' ? "{\"file\":" : ",{\"file\":";
        write_string(one.file, out);
        out += fmt::format(",\"offset\":{},\"length\":{},\"first\":{},\"last\":{},\"what\":",
                           one.offset, one.length, one.first.value, one.last.value);
        write_string(one.what, out);
        out += '}';
    }
    out += ']';
}

void print_index_files(const VerifyReport& report) {
    for (const Damage& one : report.indexes_damaged) {
        print("damaged index: {}: {}\n", printable(one.file), printable(one.what));
    }
    for (const std::string& path : report.indexes_missing)
        print("missing index: {}\n", printable(path));
    if (!report.indexes_damaged.empty() || !report.indexes_missing.empty())
        print("indexes are made again from the log when it is open for writing: nothing is lost\n");
}

void write_verified(const VerifyReport& report, std::string& out) {
    out = fmt::format(
        "{{\"events\":{},\"commits\":{},\"segments\":{},\"bytes\":{},\"erased\":{},\"complete\":{},"
        "\"resumed_bytes\":{},\"kept_bytes\":{},\"note\":",
        report.events, report.commits, report.segments, report.bytes, report.erased,
        report.complete, report.resumed_bytes, report.kept_bytes);
    write_string(report.note, out);
    write_damage("damaged", report.damaged, out);
    write_damage("indexes_damaged", report.indexes_damaged, out);
    write_list("indexes_missing", report.indexes_missing, out);
    out += "}\n";
}

void print_verified(const VerifyReport& report) {
    if (!report.note.empty()) print("{}\n", printable(report.note));
    print("{} events in {} commits, {} segments, {} read\n", report.events, report.commits,
          report.segments, human_bytes(report.bytes));
    if (report.resumed_bytes > 0)
        print("{} of them by an earlier run\n", human_bytes(report.resumed_bytes));
    if (report.erased > 0) print("{} events were erased on request\n", report.erased);
    for (const Damage& one : report.damaged) {
        print("damaged: {} offset {} length {} positions {}-{}: {}\n", printable(one.file),
              one.offset, one.length, one.first.value, one.last.value, printable(one.what));
    }
    print_index_files(report);
    if (!report.damaged.empty())
        print("{} damaged places\n", report.damaged.size());
    else
        print("no damage{}\n", report.complete ? "" : " so far");
}

}  // namespace

int run_verify(const VerifyArguments& arguments) {
    guard_mappings(arguments.store);
    Watched watched("verify");
    auto report = Store::verify(arguments.store, {}, watched.progress(), {arguments.resume});
    watched.finish();
    if (!report) throw Failed(report.error());
    if (arguments.json) {
        std::string out;
        write_verified(*report, out);
        put(out);
    } else {
        print_verified(*report);
    }
    const bool sound = report->damaged.empty() && report->indexes_damaged.empty();
    if (report->complete) return sound ? kOk : kDamaged;
    if (report->kept_bytes > 0) {
        complain("interrupted; the same command goes on behind the first {}",
                 human_bytes(report->kept_bytes));
    } else if (arguments.resume) {
        complain("interrupted; the same command begins at the first segment");
    } else {
        complain("interrupted; with --resume it can be interrupted and goes on where it was");
    }
    return sound ? kRefused : kDamaged;
}

int run_doctor(const StoreArguments& arguments) {
    guard_mappings(arguments.store);
    Watched watched("doctor");
    auto found = Store::doctor(arguments.store, OpenOptions{}, watched.progress());
    watched.finish();
    if (!found) throw Failed(found.error());
    if (arguments.json) {
        std::string out = "{\"state\":";
        write_string(found->state, out);
        out += ",\"cause\":";
        write_string(found->cause, out);
        write_list("safe", found->safe, out);
        write_list("unsafe", found->unsafe, out);
        write_list("foreign", found->foreign, out);
        write_list("indexes", found->indexes, out);
        write_list("missing", found->missing, out);
        put(out + fmt::format(",\"damaged\":{},\"open\":{}}}\n", found->damaged, found->open));
    } else {
        print("state    {}\ncause    {}\n", found->state, printable(found->cause));
        print_list("safe", found->safe);
        print_list("unsafe", found->unsafe);
        print_list("foreign", found->foreign);
        print_list("index", found->indexes);
        print_list("missing", found->missing);
    }
    return found->damaged || !found->indexes.empty() ? kDamaged : kOk;
}

int run_backup(const BackupArguments& arguments) {
    const Store store = open_to_read(arguments.store);
    Watched watched("backup");
    auto report =
        store.backup(arguments.target, {arguments.link, arguments.verify}, watched.progress());
    watched.finish();
    if (!report) throw Failed(report.error());
    if (arguments.json) {
        print(
            "{{\"complete\":{},\"first\":{},\"end\":{},\"left_out\":{},\"segments\":{},"
            "\"linked\":{},\"copied_bytes\":{}}}\n",
            report->complete, report->first.value, report->end.value, report->left_out,
            report->segments, report->linked, report->copied_bytes);
    } else if (report->complete) {
        print("backed up to position {}: {} copied, {} segments, {} of them linked\n",
              report->end.value, human_bytes(report->copied_bytes), report->segments,
              report->linked);
        if (report->left_out > 0) {
            print("{} newer events are not durable yet and not in it\n", report->left_out);
        }
    }
    if (report->complete) return kOk;
    complain("interrupted; the same command goes on with it");
    return kRefused;
}

int run_salvage(const BackupArguments& arguments) {
    guard_mappings(arguments.store);
    Watched watched("salvage");
    auto report =
        Store::salvage(arguments.store, arguments.target, OpenOptions{}, watched.progress());
    watched.finish();
    if (!report) throw Failed(report.error());
    if (!report->complete) {
        complain("interrupted; nothing was made");
        return kRefused;
    }
    if (!arguments.json) {
        print("{} events copied\n", report->copied);
        for (const Moved& one : report->moved) {
            if (one.first != one.to)
                print("positions {}-{} are now {} and on\n", one.first.value, one.last.value,
                      one.to.value);
        }
        for (const Skipped& one : report->skipped) {
            print("skipped: positions {}-{}: {}\n", one.first.value, one.last.value,
                  printable(one.what));
        }
        return kOk;
    }
    std::string out = fmt::format("{{\"copied\":{},\"moved\":[", report->copied);
    for (const Moved& one : report->moved) {
        out += fmt::format("{}{{\"first\":{},\"last\":{},\"to\":{}}}", out.back() == '[' ? "" : ",",
                           one.first.value, one.last.value, one.to.value);
    }
    out += "],\"skipped\":[";
    for (const Skipped& one : report->skipped) {
        out += fmt::format("{}{{\"first\":{},\"last\":{},\"what\":", out.back() == '[' ? "" : ",",
                           one.first.value, one.last.value);
        write_string(one.what, out);
        out += '}';
    }
    put(out + "]}\n");
    return kOk;
}

namespace {

void print_repair(const RepairReport& report) {
    const char* verb = report.done ? "dropped" : "would drop";
    if (!report.needed) return print("nothing to repair\n");
    if (report.events > 0) {
        print("{} positions {}-{}: {} events, {} of them still readable, {}\n", verb,
              report.first.value, report.last.value, report.events, report.readable,
              human_bytes(report.bytes));
        print("cause    {}\n", printable(report.cause));
    }
    print_list("copy", report.copies);
    if (report.manifest) print("anew     manifest\n");
    if (report.control) print("anew     control\n");
    print_list("anew", report.indexes);
}

std::string repair_as_json(const RepairReport& report) {
    std::string out = fmt::format(
        "{{\"needed\":{},\"done\":{},\"first\":{},\"last\":{},\"events\":{},"
        "\"readable\":{},\"bytes\":{},\"cause\":",
        report.needed, report.done, report.first.value, report.last.value, report.events,
        report.readable, report.bytes);
    write_string(report.cause, out);
    write_list("copies", report.copies, out);
    write_list("indexes", report.indexes, out);
    return out +
           fmt::format(",\"manifest\":{},\"control\":{}}}\n", report.manifest, report.control);
}

}  // namespace

int run_repair(const RepairArguments& arguments) {
    guard_mappings(arguments.store);
    Watched watched("repair");
    auto report = Store::repair(arguments.store, {.confirmed = arguments.yes}, OpenOptions{},
                                watched.progress());
    watched.finish();
    if (!report) throw Failed(report.error());
    if (!report->complete) {
        complain("interrupted; nothing was dropped");
        return kRefused;
    }
    if (arguments.json)
        put(repair_as_json(*report));
    else
        print_repair(*report);
    if (report->done || !report->needed) return kOk;
    if (report->readable > 0)
        complain("first run `varve salvage STORE TARGET`: it copies what is still readable");
    complain("nothing was changed; --yes does it");
    return kRefused;
}

int run_restore(const RestoreArguments& arguments) {
    guard_mappings(arguments.backup);
    Watched watched("restore");
    auto report =
        Store::restore(arguments.backup, arguments.store, OpenOptions{}, watched.progress());
    watched.finish();
    if (!report) throw Failed(report.error());
    if (!report->complete) {
        complain("interrupted; nothing was made");
        return kRefused;
    }
    if (arguments.json) {
        print("{{\"end\":{},\"epoch\":{},\"segments\":{},\"bytes\":{}}}\n", report->end.value,
              report->epoch, report->segments, report->bytes);
    } else {
        print("restored up to position {}: {}, {} segments\n", report->end.value,
              human_bytes(report->bytes), report->segments);
    }
    return kOk;
}

}  // namespace varve::cli
