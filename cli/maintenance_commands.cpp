// Commands that look after a store: doctor, backup, restore, salvage, repair. Long ones show their
// progress and end in order on Ctrl-C.
#include <csignal>

#include "commands.hpp"
#include "json_events.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int) { interrupted = 1; }

/// A bar of megabytes that also asks whether somebody wants the command to end.
class Watched {
public:
    explicit Watched(const char* what) : bar_(what, 1000) {
        std::signal(SIGINT, on_signal);
        std::signal(SIGTERM, on_signal);
    }
    [[nodiscard]] Progress progress() {
        return [this](std::uint64_t done, std::uint64_t total) {
            const double part =
                total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
            bar_.show(static_cast<std::uint64_t>(part * 1000), done >> 20, "MiB");
            return interrupted == 0;
        };
    }
    void finish() { bar_.finish(); }

private:
    ProgressBar bar_;
};

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

}  // namespace

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
        put(out + fmt::format(",\"damaged\":{}}}\n", found->damaged));
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
