// The command that takes content away: says what it would erase, and does it only when told so.
#include <algorithm>

#include "commands.hpp"
#include "json_events.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

Result<Erasure> ask(Store& store, const EraseArguments& arguments, const EraseOptions& options,
                    const Progress& progress = {}) {
    if (arguments.positions.empty())
        return store.erase(arguments.source.source(), options, progress);
    std::vector<Position> positions;
    for (const std::uint64_t position : arguments.positions) positions.emplace_back(position);
    return store.erase(positions, options, progress);
}

/// "2 events, 1.2 MB", and how many were erased before.
std::string described(const Erasure& erasure) {
    std::string text = fmt::format("{} event{}, {} of data and metadata", erasure.events,
                                   erasure.events == 1 ? "" : "s", human_bytes(erasure.bytes));
    if (erasure.already > 0) text += fmt::format("; {} erased before", erasure.already);
    return text;
}

void say(const Erasure& erasure, const char* what, bool json) {
    if (json) {
        print("{{\"{}\":{},\"bytes\":{},\"already\":{},\"record\":{},\"done\":{}}}\n", what,
              erasure.events, erasure.bytes, erasure.already, erasure.record.value, erasure.done);
    } else {
        print("{} {}\n", what == std::string_view("erased") ? "erased" : "would erase",
              described(erasure));
    }
    flush_output();
}

}  // namespace

int run_erase(const EraseArguments& arguments) {
    if (arguments.dry_run || !arguments.yes) {
        Store store = open_to_read(arguments.store);
        auto would = ask(store, arguments, {.dry_run = true});
        if (!would) throw Failed(would.error());
        if (arguments.dry_run) {
            say(*would, "would_erase", arguments.json);
            return kOk;
        }
        complain("this would erase {}, for ever; nothing was changed; repeat with --yes to do it",
                 described(*would));
        return kRefused;
    }
    OpenOptions options;
    options.create = Create::never;
    Store store = open_or_fail(arguments.store, options);
    ProgressBar progress("erase", 100);
    auto erasure = ask(store, arguments, {}, [&](std::uint64_t done, std::uint64_t total) {
        progress.show(total == 0 ? 100 : done * 100 / total, done, "events");
        return true;
    });
    progress.finish();
    if (!erasure) throw Failed(erasure.error());
    auto closed = store.close();
    if (!closed) throw Failed(closed.error());
    say(*erasure, "erased", arguments.json);
    return kOk;
}

}  // namespace varve::cli
