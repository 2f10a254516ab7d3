// The commands of `varve`, each a function from its arguments to an exit code. They throw Failed
// for errors of the store.
//
// Main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <varve/options.hpp>
#include <vector>

namespace varve::cli {

/// Which events: at most one of the names is given.
struct SourceArguments {
    std::string stream, category, type, tag, derived;
    [[nodiscard]] Source source() const;
};

/// Which part of them, and how.
struct RangeArguments {
    std::uint64_t from = 0, after = 0, until = 0, limit = ~0ULL;
    std::string since, before;  ///< as parse_moment reads them; empty: no bound
    std::string match;          ///< the definition of a matcher; empty: all events
    bool backwards = false, trusted = false, durable = false, recorded = false;
};
ReadOptions read_options(const RangeArguments& range);

/// Which events, by several names: at least one of them is given. An event must satisfy each.
struct AskedArguments {
    std::string types, tags;      ///< names with commas between them
    std::string items, selector;  ///< JSON, as selector_json.hpp reads it
    /// All events if none is given. Throws BadJson if it is no selector.
    [[nodiscard]] Selector asked() const;
};

struct CreateArguments {
    std::string store;
    std::uint64_t segment_size_first = 1 << 20;
    std::uint64_t segment_size_max = 256 << 20;
    bool json = false;
};
struct AppendArguments {
    std::string store, expected = "any", durability = "disk";
    std::string fail_if_match, match;  ///< JSON; empty: no condition, all events
    std::uint64_t after = 0;
    std::uint32_t epoch = 0;
    bool each = false, dry_run = false, json = false;
};
struct ReadArguments {
    std::string store, id;
    SourceArguments source;
    RangeArguments range;
    std::uint64_t from_revision = 0, until_revision = 0;
    bool json = false;
};
struct QueryArguments {
    std::string store;
    AskedArguments asked;
    RangeArguments range;
    bool count = false, seen = false, json = false;
};
struct TailArguments {
    std::string store, match, consumer, order_by_tag;
    SourceArguments source;
    AskedArguments asked;
    std::uint64_t after = ~0ULL, limit = ~0ULL;
    std::uint32_t lanes = 0;
    double timeout_s = 0;
    bool json = false, durable = false, group = false;
};
struct ListArguments {
    std::string store, prefix, after;
    std::uint64_t limit = ~0ULL, since = 0;
    bool json = false;
};
struct StoreArguments {
    std::string store;
    bool json = false;
};
struct ConsumersArguments {
    std::string store, action = "list", name, by;
    AskedArguments asked;  ///< for a reset of one that does not know it any more
    std::vector<std::uint64_t> positions;
    std::uint64_t after = 0;
    bool yes = false, json = false;
};
struct StatsArguments {
    std::string store, prefix;
    std::uint64_t top = 0;  ///< 0: all streams, in the order of their names
    bool streams = false, json = false;
};
struct ImportArguments {
    std::string store, file;
    bool skip_invalid = false, resume = false, ignore_unknown = false, json = false;
    bool events_only = false;  ///< no definitions
    // Of a storage of node-event-storage, which `file` is the directory of then.
    std::string from, name = "eventstore", index_directory, stream_path = "stream";
    std::optional<std::string> type_path, tag_path;
    bool no_compare = false, streams = false, follow = false;
};
struct EraseArguments {
    std::string store;
    SourceArguments source;
    std::vector<std::uint64_t> positions;
    bool yes = false, dry_run = false, json = false;
};
struct ExportArguments {
    std::string store, file = "-";
    bool json = false, events_only = false;
    // To a storage of node-event-storage, which `file` is the directory of then.
    std::string to, name = "eventstore", index_directory;
    std::optional<std::string> type_path, tag_path;
    bool mapped = false;
};

/// A definition to be made, closed or deleted.
struct DefineArguments {
    std::string store, name;
    AskedArguments asked;
    std::string match;
    std::string field, tags;  ///< of names that events get
    bool type = false;
    bool close = false, remove = false, no_wait = false, json = false;
};

struct VerifyArguments {
    std::string store;
    bool resume = false, json = false;
};

struct BackupArguments {
    std::string store, target;
    bool link = false, verify = false, json = false;
};
struct RepairArguments {
    std::string store;
    bool yes = false, json = false;
};
struct RestoreArguments {
    std::string backup, store;
    bool json = false;
};

int run_create(const CreateArguments& arguments);
int run_append(const AppendArguments& arguments);
int run_read(const ReadArguments& arguments);
int run_query(const QueryArguments& arguments);
int run_explain(const QueryArguments& arguments);
int run_tail(const TailArguments& arguments);
int run_derive(const DefineArguments& arguments);
int run_index(const DefineArguments& arguments);
int run_definitions(const StoreArguments& arguments);
int run_consumers(const ConsumersArguments& arguments);
enum class Listed { streams, categories, types, tags };
int run_list(const ListArguments& arguments, Listed what);
int run_stats(const StatsArguments& arguments);
int run_verify(const VerifyArguments& arguments);
int run_import(const ImportArguments& arguments);
int run_import_storage(const ImportArguments& arguments);
int run_erase(const EraseArguments& arguments);
int run_export(const ExportArguments& arguments);
int run_export_storage(const ExportArguments& arguments);
int run_doctor(const StoreArguments& arguments);
int run_salvage(const BackupArguments& arguments);
int run_backup(const BackupArguments& arguments);
int run_repair(const RepairArguments& arguments);
int run_restore(const RestoreArguments& arguments);

}  // namespace varve::cli
