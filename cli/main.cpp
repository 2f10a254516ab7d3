// `varve`: the command line. Works on the files directly; there is no server.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <sstream>

#include "commands.hpp"
#include "completion.hpp"
#include "line_source.hpp"
#include "selector_json.hpp"
#include "shared_options.hpp"
#include "terminal.hpp"

namespace varve::cli {
namespace {

const char* const kFooter =
    "Exit codes: 0 done, 1 refused (conflict, not found, a line that is not valid), 2 wrong usage, "
    "3 damage or I/O error.";

/// Runs varve-bench, which is installed beside this program.
int run_bench(const std::vector<std::string>& arguments) {
    const std::string program =
        (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "varve-bench").string();
    std::vector<char*> raw{const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments)
        raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    ::execv(program.c_str(), raw.data());
    complain("cannot run {}", program);
    return kDamaged;
}

/// All commands, their options, and what is run for each.
class Program {
public:
    Program() {
        app_.set_version_flag("--version", std::string("varve ") + VARVE_VERSION);
        app_.require_subcommand(1);
        app_.footer(kFooter);
        add_writing();
        add_reading();
        add_listing();
        add_files();
        add_maintenance();
        add_erasing();
        add_defining();
    }
    int run(int count, char** values) {
        try {
            app_.parse(count, values);
        } catch (const CLI::ParseError& error) {
            std::ostringstream help;
            std::ostringstream complaint;
            if (app_.exit(error, help, complaint) == 0) return put(help.str()), kOk;
            complain("{}; see varve --help", error.what());
            return kUsage;
        }
        if (wants_json()) errors_as_json();
        return chosen_ ? chosen_() : kUsage;
    }

private:
    [[nodiscard]] bool wants_json() const {
        return create_.json || append_.json || read_.json || query_.json || tail_.json ||
               list_.json || store_.json || stats_.json || import_.json || export_.json ||
               erase_.json || backup_.json || restore_.json || define_.json;
    }
    CLI::App& command(const char* name, const char* what, std::string& store) {
        CLI::App& added = *app_.add_subcommand(name, what);
        added.add_option("STORE", store, "directory of the store")->required();
        added.footer(kFooter);
        return added;
    }
    template <class Run>
    void runs(CLI::App& command, Run run) {
        command.callback([this, run] { chosen_ = run; });
    }

    void add_writing() {
        CLI::App& create = command("create", "make an empty store", create_.store);
        create
            .add_option("--segment-size-first", create_.segment_size_first,
                        "bytes of the first segment")
            ->transform(CLI::AsSizeValue(false));
        create
            .add_option("--segment-size-max", create_.segment_size_max,
                        "bytes of the largest segments")
            ->transform(CLI::AsSizeValue(false));
        create.add_flag("--json", create_.json, "result as JSON");
        runs(create, [this] { return run_create(create_); });
        CLI::App& append = command(
            "append", "append NDJSON events from standard input, as one commit", append_.store);
        append.add_flag("--each", append_.each, "one commit per line");
        append.add_option("--expected", append_.expected, "version every stream must be at")
            ->check(kExpected);
        append.add_option("--durability", append_.durability, "what to wait for")
            ->check(CLI::IsMember({"os", "interval", "disk"}));
        add_condition(append);
        append.add_flag("--json", append_.json, "positions as JSON");
        runs(append, [this] { return run_append(append_); });
    }

    void add_condition(CLI::App& append) {
        auto* fail =
            append
                .add_option("--fail-if-match", append_.fail_if_match,
                            "refuse if an event matches these items ([...]) or this selector, "
                            "written as in query")
                ->check(kQuestion);
        auto* after = append
                          .add_option("--after", append_.after,
                                      "with --fail-if-match: of the events beyond this position, "
                                      "up to which the decision knew everything; else of all")
                          ->check(kWhole)
                          ->needs(fail);
        append
            .add_option("--epoch", append_.epoch, "with --after: of which life of the store it is")
            ->check(kWhole)
            ->needs(after);
        add_match(append, append_.match);
        append.get_option("--match")->needs(fail);
        auto* dry_run = append.add_flag("--dry-run", append_.dry_run,
                                        "say what the append would do, store nothing");
        for (CLI::Option* whole : {fail, dry_run}) append.get_option("--each")->excludes(whole);
    }

    void add_reading() {
        CLI::App& read = command("read", "print events", read_.store);
        add_source(read, read_.source);
        read.add_option("--id", read_.id, "only the event with this id")->check(kId);
        add_range(read, read_.range);
        read.add_option("--from-revision", read_.from_revision, "with --stream: first revision")
            ->check(kWhole)
            ->needs(read.get_option("--stream"));
        read.add_option("--until-revision", read_.until_revision, "with --stream: last revision")
            ->check(kWhole)
            ->needs(read.get_option("--stream"));
        read.add_flag("--json", read_.json, "NDJSON instead of a table");
        for (const char* other :
             {"--stream", "--category", "--type", "--tag", "--derived", "--from", "--after",
              "--until", "--limit", "--backwards", "--durable", "--match"})
            read.get_option("--id")->excludes(read.get_option(other));
        runs(read, [this] { return run_read(read_); });
        add_queries();
        add_tail();
        add_consumers();
    }

    void add_tail() {
        CLI::App& tail = command("tail", "print events as they come", tail_.store);
        add_source(tail, tail_.source);
        add_asked(tail, tail_.asked, false);
        tail.add_option("--after", tail_.after, "begin behind this position instead of at the end")
            ->check(kWhole);
        tail.add_option("--limit", tail_.limit, "end after so many events")->check(kWhole);
        tail.add_option("--timeout", tail_.timeout_s, "end after so many seconds without an event")
            ->check(CLI::NonNegativeNumber);
        tail.add_flag("--durable", tail_.durable, "only events that survive a power cut");
        tail.add_flag("--json", tail_.json, "NDJSON instead of a table");
        add_match(tail, tail_.match);
        tail.add_option("--consumer", tail_.consumer,
                        "as the consumer of this name, which is made if there is none: goes on "
                        "where it was, and acknowledges what standard output has taken")
            ->excludes(tail.get_option("--match"));
        auto* group = tail.add_flag("--group", tail_.group,
                                    "as a member of the consumer group of that name: several of "
                                    "them share its events, those of a stream in order")
                          ->needs(tail.get_option("--consumer"));
        tail.add_option("--lanes", tail_.lanes,
                        "of a group that is made now: into how many lanes its events are divided, "
                        "at most 256; so many members can work at a time; 16 if nothing is said")
            ->check(CLI::Range(1, 256))
            ->needs(group);
        tail.add_option("--order-by-tag", tail_.order_by_tag,
                        "of a group that is made now: keeps those events in order whose first tag "
                        "that begins so is the same, instead of those of a stream")
            ->needs(group);
        runs(tail, [this] { return run_tail(tail_); });
    }

    void add_consumers() {
        CLI::App& consumers =
            command("consumers", "list consumers, or do something with one", consumers_.store);
        consumers
            .add_option("ACTION", consumers_.action,
                        "list; or with NAME: show, verify (counts its events again), parked (lists "
                        "the events it has put aside), replay (prints them and takes them as "
                        "handled), drop (gives some of them up), pause, resume, reset (begins "
                        "anew), replace (another one takes its name)")
            ->check(CLI::IsMember({"list", "show", "verify", "parked", "replay", "drop", "pause",
                                   "resume", "reset", "replace"}));
        auto* name = consumers.add_option("NAME", consumers_.name, "of the consumer")->check(kName);
        consumers
            .add_option("--position", consumers_.positions,
                        "with drop: the event at this position; repeatable")
            ->check(kWhole)
            ->allow_extra_args(false)
            ->needs(name);
        consumers
            .add_option("--by", consumers_.by,
                        "with replace: the consumer that takes the name; it must have come as far")
            ->check(kName)
            ->needs(name);
        consumers.add_option("--after", consumers_.after, "with reset: behind this position")
            ->check(kWhole)
            ->needs(name);
        add_asked(consumers, consumers_.asked, false);
        consumers.add_flag("--yes", consumers_.yes, "with reset and drop: do it")->needs(name);
        consumers.add_flag("--json", consumers_.json, "one JSON object per line");
        runs(consumers, [this] { return run_consumers(consumers_); });
    }

    void add_queries() {
        CLI::App& query =
            command("query", "print the events that a query or selector asks for", query_.store);
        add_asked(query, query_.asked);
        add_range(query, query_.range);
        auto* count = query.add_flag("--count", query_.count, "only how many they are");
        query
            .add_flag("--seen", query_.seen,
                      "last, up to where was looked: for append --after and --epoch")
            ->excludes(count);
        query.add_flag("--json", query_.json, "NDJSON instead of a table");
        runs(query, [this] { return run_query(query_); });
        CLI::App& explain =
            command("explain", "say how a query is answered, and what that costs", query_.store);
        add_asked(explain, query_.asked);
        add_range(explain, query_.range);
        explain.add_flag("--json", query_.json, "as JSON");
        runs(explain, [this] { return run_explain(query_); });
    }

    void add_listing() {
        const auto list = [this](const char* name, const char* what, Listed listed) {
            CLI::App& added = command(name, what, list_.store);
            added.add_option("--prefix", list_.prefix, "only names that begin so");
            added.add_option("--after", list_.after, "only names behind this one, by bytes")
                ->check(kName);
            added.add_option("--limit", list_.limit, "at most so many names")->check(kWhole);
            added
                .add_option("--since", list_.since,
                            "only names whose first event lies beyond this position")
                ->check(kWhole);
            added.add_flag("--json", list_.json, "one JSON object per line");
            runs(added, [this, listed] { return run_list(list_, listed); });
        };
        list("streams", "list the streams", Listed::streams);
        list("categories", "list the categories of streams", Listed::categories);
        list("types", "list the types", Listed::types);
        list("tags", "list the tags", Listed::tags);
        CLI::App& stats = command("stats", "how much there is", stats_.store);
        auto* streams =
            stats.add_flag("--streams", stats_.streams, "events and bytes of each stream");
        stats.add_option("--prefix", stats_.prefix, "only streams that begin so")->needs(streams);
        stats.add_option("--top", stats_.top, "only so many streams, the largest first")
            ->check(kWhole)
            ->needs(streams);
        stats.add_flag("--json", stats_.json, "as JSON");
        runs(stats, [this] { return run_stats(stats_); });
        CLI::App& verify = command(
            "verify", "read everything, change nothing, name every damaged place", verify_.store);
        verify.add_flag("--resume", verify_.resume,
                        "go on where an interrupted run with --resume was, and write down how far "
                        "this one comes, in STORE/verify.state");
        verify.add_flag("--json", verify_.json, "as JSON");
        runs(verify, [this] { return run_verify(verify_); });
    }

    void add_files() {
        CLI::App& import = command("import",
                                   "append the events of an NDJSON file, plain, .gz or .zst, or "
                                   "of a storage of node-event-storage; those whose ids are there "
                                   "are not appended again",
                                   import_.store);
        add_import(import, import_);
        runs(import, [this] {
            return import_.from.empty() ? run_import(import_) : run_import_storage(import_);
        });
        CLI::App& exported = command("export", "write all events as NDJSON", export_.store);
        exported.add_option("FILE", export_.file, "a new file; standard output if none is given");
        exported.add_flag("--json", export_.json, "with FILE: what was exported, as JSON");
        runs(exported, [this] { return run_export(export_); });
        CLI::App& bench = *app_.add_subcommand("bench", "measure; see varve-bench --help");
        bench.prefix_command();
        bench.callback([this, &bench] {
            const std::vector<std::string> rest = bench.remaining();
            chosen_ = [rest] { return run_bench(rest); };
        });
        CLI::App& completion =
            *app_.add_subcommand("completion", "print a script that completes commands on TAB");
        completion.add_option("SHELL", shell_, "source <(varve completion bash)")
            ->check(CLI::IsMember({"bash", "zsh"}))
            ->required();
        completion.footer(kFooter);
        runs(completion, [this] {
            put(completion_script(app_, shell_));
            return kOk;
        });
    }

    void add_maintenance() {
        CLI::App& doctor =
            command("doctor", "say in what state the files are and what to do, change nothing",
                    store_.store);
        doctor.add_flag("--json", store_.json, "as JSON");
        runs(doctor, [this] { return run_doctor(store_); });
        CLI::App& backup =
            command("backup", "copy everything durable into a directory, while the store is in use",
                    backup_.store);
        backup
            .add_option("TARGET", backup_.target,
                        "a new directory, or an earlier backup of this store: then only what is "
                        "new is copied")
            ->required();
        backup.add_flag("--link", backup_.link,
                        "finished segments as second names of the store's own files");
        backup.add_flag("--verify", backup_.verify, "read the whole backup again");
        backup.add_flag("--json", backup_.json, "result as JSON");
        runs(backup, [this] { return run_backup(backup_); });
        CLI::App& salvage =
            command("salvage", "copy every event that can be read into a new store", backup_.store);
        salvage.add_option("TARGET", backup_.target, "a new directory; nothing is overwritten")
            ->required();
        salvage.add_flag("--json", backup_.json, "result as JSON");
        runs(salvage, [this] { return run_salvage(backup_); });
        CLI::App& repair = command("repair",
                                   "make a damaged store writable again: drops every event from "
                                   "the first damaged one on; run `varve salvage` first",
                                   repair_.store);
        repair.add_flag("--yes", repair_.yes,
                        "do it; without it is only said what would be dropped");
        repair.add_flag("--json", repair_.json, "as JSON");
        runs(repair, [this] { return run_repair(repair_); });
        CLI::App& restore = *app_.add_subcommand("restore", "make a store of a backup");
        restore.add_option("BACKUP", restore_.backup, "directory of the backup")->required();
        restore.add_option("STORE", restore_.store, "a new directory; nothing is overwritten")
            ->required();
        restore.add_flag("--json", restore_.json, "result as JSON");
        restore.footer(kFooter);
        runs(restore, [this] { return run_restore(restore_); });
    }

    void add_erasing() {
        CLI::App& erase = command(
            "erase", "take the content of events away for ever; the events remain", erase_.store);
        auto* which = erase.add_option_group("which", "which events; one of these");
        which->add_option("--position", erase_.positions, "the event at this position; repeatable")
            ->check(kWhole)
            ->allow_extra_args(false);
        which->add_option("--stream", erase_.source.stream, "events of this stream")->check(kName);
        which->add_option("--tag", erase_.source.tag, "events with this tag")->check(kName);
        which->require_option(1);
        erase.add_flag("--yes", erase_.yes, "do it; without it is only said what would be erased");
        erase.add_flag("--dry-run", erase_.dry_run, "say what would be erased, as a success");
        erase.add_flag("--json", erase_.json, "result as JSON");
        runs(erase, [this] { return run_erase(erase_); });
    }

    /// What derive and index have in common.
    CLI::App& defining(const char* name, const char* what) {
        CLI::App& added = command(name, what, define_.store);
        added.add_option("NAME", define_.name, "of the definition")->required()->check(kName);
        add_asked(added, define_.asked, false);
        auto* close = added.add_flag("--close", define_.close,
                                     "end it: events that come are not looked at any more");
        added.add_flag("--delete", define_.remove, "take it away")->excludes(close);
        added.add_flag("--no-wait", define_.no_wait,
                       "do not wait until the events that are there are listed");
        added.add_flag("--json", define_.json, "result as JSON");
        return added;
    }

    void add_defining() {
        CLI::App& derive =
            defining("derive", "define a derived stream: the events of a query, kept by the store");
        add_match(derive, define_.match);
        runs(derive, [this] { return run_derive(define_); });
        CLI::App& index =
            defining("index", "define names that events get from the JSON that they carry");
        index.add_option("--field", define_.field, "data.customer.id or metadata.user")
            ->check(kName);
        auto* tags = index.add_option("--tags", define_.tags,
                                      "each value of the field behind this is a tag: customer/");
        index.add_flag("--as-type", define_.type, "the value is the type of events without one")
            ->excludes(tags);
        runs(index, [this] { return run_index(define_); });
        CLI::App& definitions =
            command("definitions", "list what is defined, and how far it has come", store_.store);
        definitions.add_flag("--json", store_.json, "one JSON object per line");
        runs(definitions, [this] { return run_definitions(store_); });
    }

    CLI::App app_{"An embedded, memory-mapped, append-only event store.", "varve"};
    std::function<int()> chosen_;
    std::string shell_;
    CreateArguments create_;
    AppendArguments append_;
    ReadArguments read_;
    QueryArguments query_;
    TailArguments tail_;
    ConsumersArguments consumers_;
    ListArguments list_;
    StoreArguments store_;
    StatsArguments stats_;
    ImportArguments import_;
    ExportArguments export_;
    VerifyArguments verify_;
    BackupArguments backup_;
    RepairArguments repair_;
    RestoreArguments restore_;
    EraseArguments erase_;
    DefineArguments define_;
};

}  // namespace
}  // namespace varve::cli

namespace {

/// Runs the command and writes what is left of its output. A result that cannot be written is an
/// error, but a reader that has seen enough (`varve read s | head`) is none.
int run(int count, char** values) {
    using namespace varve::cli;
    try {
        int code = kOk;
        try {
            Program program;
            code = program.run(count, values);
        } catch (const Failed& failed) {
            flush_output();
            return report(failed.error);
        } catch (const BadJson& bad) {
            complain("{}; see varve --help", bad.what());
            return kUsage;
        } catch (const InputRefused& refused) {
            flush_output();
            complain("{}", refused.what());
            return kRefused;
        } catch (const std::exception& broken) {
            flush_output();
            complain("{}", broken.what());
            return kDamaged;
        }
        flush_output();
        return code;
    } catch (const OutputFailed& failed) {
        if (failed.error == EPIPE) return kOk;
        complain("cannot write standard output: {}", std::strerror(failed.error));
        return kDamaged;
    }
}

}  // namespace

int main(int count, char** values) {
    std::signal(SIGPIPE, SIG_IGN);  // comes back as EPIPE
    return run(count, values);
}
