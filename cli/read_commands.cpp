// Commands that only read, queries, tail and verification apart: read, streams, types, tags, stats,
// export.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "commands.hpp"
#include "control_lines.hpp"
#include "json_events.hpp"
#include "moment.hpp"
#include "print_event.hpp"
#include "selector_json.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

/// One name of the catalogue as a line.
void write_name(const CatalogueEntry& entry, bool json, std::string& buffer) {
    if (!json) {
        buffer += fmt::format("{:>9} {:>9} {:>9}  {}\n", entry.count, entry.first.value,
                              entry.last.value, printable(entry.name));
        return;
    }
    buffer += "{\"name\":";
    write_string(entry.name, buffer);
    buffer += fmt::format(",\"events\":{},\"first\":{},\"last\":{}}}\n", entry.count,
                          entry.first.value, entry.last.value);
}

const char* how(Opening::How how) {
    switch (how) {
        case Opening::How::created: return "created";
        case Opening::How::clean: return "clean";
        case Opening::How::rolled_forward: return "rolled forward";
        case Opening::How::recovered: return "recovered";
        case Opening::How::following: return "following";
    }
    return "?";
}

}  // namespace

Source SourceArguments::source() const {
    if (!stream.empty()) return Source::stream(stream);
    if (!category.empty()) return Source::category(category);
    if (!type.empty()) return Source::type(type);
    if (!tag.empty()) return Source::tag(tag);
    if (!derived.empty()) return Source::derived(derived);
    return Source::all();
}

ReadOptions read_options(const RangeArguments& range) {
    ReadOptions options;
    options.from = Position{range.from};
    options.after = Position{range.after};
    options.until = Position{range.until};
    options.durable_only = range.durable;
    options.limit = range.limit;
    options.direction = range.backwards ? Direction::backwards : Direction::forwards;
    options.verify = range.trusted ? Verify::trusted : Verify::always;
    const std::int64_t now = now_us();
    if (!range.since.empty()) options.since_us = parse_moment(range.since, now);
    if (!range.before.empty()) options.until_us = parse_moment(range.before, now);
    options.clock = range.recorded ? TimeKind::recorded : TimeKind::event;
    options.with_recorded = range.recorded;
    options.matcher = matcher_of(range.match);
    return options;
}

int run_read(const ReadArguments& arguments) {
    const Store store = open_to_read(arguments.store);
    const Snapshot snapshot = snapshot_of(store);
    ReadOptions options = read_options(arguments.range);
    options.from_revision = Revision{arguments.from_revision};
    options.until_revision = Revision{arguments.until_revision};
    std::string buffer;
    if (!arguments.id.empty()) {
        EventId id;
        static_cast<void>(parse_id(arguments.id, id));  // checked with the other arguments
        auto found = snapshot.find(id, options.verify);
        if (!found) throw Failed(found.error());
        print_event(*found, arguments.json, buffer);
        flush_events(buffer);
        return kOk;
    }
    auto seen =
        snapshot.read(arguments.source.source(), options).for_each([&](const EventView& event) {
            print_event(event, arguments.json, buffer);
        });
    flush_events(buffer);
    if (!seen) throw Failed(seen.error());
    return kOk;
}

int run_list(const ListArguments& arguments, Listed what) {
    const Store store = open_to_read(arguments.store);
    const Snapshot snapshot = snapshot_of(store);
    constexpr NameKind kKinds[] = {NameKind::stream, NameKind::category, NameKind::type,
                                   NameKind::tag};
    constexpr std::uint64_t kPage = 4096;  // names in memory at once
    std::string after = arguments.after;
    std::string buffer;
    bool titled = arguments.json;
    for (std::uint64_t left = arguments.limit; left > 0;) {
        const NamesOptions page{arguments.prefix, after, std::min(left, kPage),
                                Position{arguments.since}};
        auto entries = snapshot.names(kKinds[static_cast<std::size_t>(what)], page);
        if (!entries) throw Failed(entries.error());
        if (!titled && !entries->empty())
            buffer += fmt::format("{:>9} {:>9} {:>9}  {}\n", "events", "first", "last", "name");
        titled = true;
        for (const CatalogueEntry& entry : *entries) write_name(entry, arguments.json, buffer);
        put(buffer);
        buffer.clear();
        if (entries->size() < page.limit) break;
        left -= entries->size();
        after = std::move(entries->back().name);
    }
    flush_output();
    return kOk;
}

namespace {

struct StreamSize {
    CatalogueEntry stream;
    std::uint64_t bytes = 0;
};

void print_size(const StreamSize& size, bool json) {
    if (!json) {
        print("{:>9} {:>9}  {}\n", size.stream.count, human_bytes(size.bytes),
              printable(size.stream.name));
        return;
    }
    std::string line = "{\"stream\":";
    write_string(size.stream.name, line);
    print("{},\"events\":{},\"bytes\":{}}}\n", line, size.stream.count, size.bytes);
}

/// Events and bytes of each stream; with `top`, only that many stay in memory.
int print_streams(const Snapshot& snapshot, const StatsArguments& arguments) {
    const auto larger = [](const StreamSize& a, const StreamSize& b) { return a.bytes > b.bytes; };
    std::vector<StreamSize> largest;  // a heap, the smallest of them in front
    constexpr std::uint64_t kPage = 4096;
    std::string after;
    if (!arguments.json) print("{:>9} {:>9}  {}\n", "events", "bytes", "stream");
    while (true) {
        auto page = snapshot.names(NameKind::stream, {arguments.prefix, after, kPage});
        if (!page) throw Failed(page.error());
        for (const CatalogueEntry& entry : *page) {
            auto bytes = snapshot.stream_bytes(entry.name);
            if (!bytes) throw Failed(bytes.error());
            const StreamSize size{entry, *bytes};
            if (arguments.top == 0) {
                print_size(size, arguments.json);
                continue;
            }
            largest.push_back(size);
            std::push_heap(largest.begin(), largest.end(), larger);
            if (largest.size() <= arguments.top) continue;
            std::pop_heap(largest.begin(), largest.end(), larger);
            largest.pop_back();
        }
        if (page->size() < kPage) break;
        after = std::move(page->back().name);
    }
    std::sort_heap(largest.begin(), largest.end(), larger);
    for (const StreamSize& size : largest) print_size(size, arguments.json);
    flush_output();
    return kOk;
}

}  // namespace

int run_stats(const StatsArguments& arguments) {
    const Store store = open_to_read(arguments.store);
    const Snapshot snapshot = snapshot_of(store);
    if (arguments.streams) return print_streams(snapshot, arguments);
    auto stats = store.stats();
    if (!stats) throw Failed(stats.error());
    const std::uint64_t bytes = stats->segment_bytes + stats->index_bytes + stats->dropped_bytes +
                                stats->consumer_bytes + stats->manifest_bytes + stats->other_bytes;
    const DiskBytes& disk = stats->disk_bytes;
    if (arguments.json) {
        print(
            "{{\"events\":{},\"published\":{},\"durable\":{},\"epoch\":{},\"segments\":{},"
            "\"files\":{},\"bytes\":{},"
            "\"log_bytes\":{},\"segment_bytes\":{},\"index_bytes\":{},"
            "\"active_index_bytes\":{},\"sealed_index_bytes\":{},\"dropped_bytes\":{},"
            "\"consumer_bytes\":{},\"manifest_bytes\":{},\"other_bytes\":{},"
            "\"on_disk\":{{\"all\":{},\"segments\":{},\"indexes\":{},\"dropped\":{},"
            "\"consumers\":{},\"manifest\":{},\"other\":{}}},"
            "\"opening\":\"{}\"}}\n",
            stats->events, snapshot.published().value, snapshot.durable().value, snapshot.epoch(),
            stats->segments, stats->files, bytes, stats->log_bytes, stats->segment_bytes,
            stats->index_bytes, stats->active_index_bytes, stats->sealed_index_bytes,
            stats->dropped_bytes, stats->consumer_bytes, stats->manifest_bytes, stats->other_bytes,
            disk.all(), disk.segments, disk.indexes, disk.dropped, disk.consumers, disk.manifest,
            disk.other, how(store.opening().how));
        return kOk;
    }
    print("events     {}\n", stats->events);
    print("durable    up to position {}\n", snapshot.durable().value);
    print("log        {} in {} segments ({} allocated, {} on the disk)\n",
          human_bytes(stats->log_bytes), stats->segments, human_bytes(stats->segment_bytes),
          human_bytes(disk.segments));
    print("indexes    {}: {} active, {} sealed ({} on the disk)\n", human_bytes(stats->index_bytes),
          human_bytes(stats->active_index_bytes), human_bytes(stats->sealed_index_bytes),
          human_bytes(disk.indexes));
    print("others     {} manifest, {} consumers, {} dropped, {} else\n",
          human_bytes(stats->manifest_bytes), human_bytes(stats->consumer_bytes),
          human_bytes(stats->dropped_bytes), human_bytes(stats->other_bytes));
    print("files      {}, {} in all ({} on the disk)\n", stats->files, human_bytes(bytes),
          human_bytes(disk.all()));
    print("opened     {}\n", how(store.opening().how));
    return kOk;
}

int run_export(const ExportArguments& arguments) {
    const bool to_file = arguments.file != "-";
    if (arguments.json && !to_file) {
        complain("--json describes what was exported: it needs a FILE");
        return kUsage;
    }
    const Store store = open_to_read(arguments.store);
    const Snapshot snapshot = snapshot_of(store);
    std::FILE* out = to_file ? std::fopen(arguments.file.c_str(), "wbx") : nullptr;
    if (to_file && out == nullptr) {
        complain("cannot create {}: {}", arguments.file, std::strerror(errno));
        return kRefused;
    }
    ProgressBar progress("export", snapshot.published().value);
    std::optional<DefinitionLines> definitions;
    if (!arguments.events_only) definitions.emplace(snapshot);
    std::string buffer;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    int wrong = 0;  // errno of the first write to the file that failed
    const auto hand_on = [&] {
        bytes += buffer.size();
        if (!to_file) put(buffer);
        if (to_file && wrong == 0 &&
            std::fwrite(buffer.data(), 1, buffer.size(), out) != buffer.size())
            wrong = errno;
        buffer.clear();
    };
    auto seen = snapshot.read(Source::all()).for_each([&](const EventView& event) {
        if (wrong != 0) return;
        if (definitions) definitions->write_before(event.position, buffer);
        write_line(event, buffer);
        ++events;
        if (buffer.size() < (256 << 10)) return;
        hand_on();
        progress.show(event.position.value, events, "events");
    });
    if (definitions && seen) definitions->write_rest(buffer);
    hand_on();
    if (to_file && std::fclose(out) != 0 && wrong == 0) wrong = errno;
    progress.finish();
    if (wrong != 0) {
        complain("cannot write {}: {}", arguments.file, std::strerror(wrong));
        return kDamaged;
    }
    if (!seen) throw Failed(seen.error());
    const std::uint64_t defined = definitions ? definitions->definitions() : 0;
    if (arguments.json)
        print("{{\"events\":{},\"definitions\":{},\"bytes\":{}}}\n", events, defined, bytes);
    else if (to_file)
        print("exported {} events{}, {}\n", events,
              defined > 0 ? fmt::format(" and {} definitions", defined) : "", human_bytes(bytes));
    return kOk;
}

}  // namespace varve::cli
