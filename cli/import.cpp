// `varve import`: a parser thread turns lines into batches, this thread appends them.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "commands.hpp"
#include "control_lines.hpp"
#include "json_events.hpp"
#include "line_source.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

constexpr std::size_t kEventsPerCommit = 512;
constexpr std::size_t kDefinitionsPerCommit = 1024;
constexpr std::size_t kQueued = 8;  // blocks between the two threads: bounds the memory

/// Lines and the events that point into them.
struct Block {
    std::vector<char> lines;
    Batch batch;
    std::vector<ControlLine> controls;  ///< between the events, in their order
    std::uint64_t bytes_done = 0;
    std::string failure;  ///< why the parser stopped behind these events
    int exit_code = kOk;  ///< what the failure stands for
    std::uint64_t invalid = 0;
    std::uint64_t stored = 0;
    std::uint64_t duplicates = 0;  ///< events whose ids are in the store already
    std::uint64_t definitions = 0;

    void fail(std::string why, int code) {
        failure = std::move(why);
        exit_code = code;
    }
};

/// What an import that goes on leaves out: as many events as the store holds, and it makes sure
/// that the last of them is the store's last one.
class Resumed {
public:
    Resumed() = default;
    explicit Resumed(const Snapshot& snapshot) {
        // Counted, because not every position holds an event: the store has records of its own.
        Position last;
        auto counted = snapshot.read(Source::all(), {.verify = Verify::trusted})
                           .for_each([&](const EventView& event) {
                               ++left_;
                               last = event.position;
                           });
        if (!counted) throw Failed(counted.error());
        if (left_ == 0) return;
        auto event = snapshot.at(last);
        if (!event) throw Failed(event.error());
        stream_ = event->stream;
        type_ = event->type;
        data_ = event->data;
        erased_ = event->erased;
    }
    [[nodiscard]] bool skipping() const { return left_ > 0; }
    [[nodiscard]] std::uint64_t left() const { return left_; }
    /// Takes note of the next event of the file. False: it should have been the store's last one.
    [[nodiscard]] bool skip(const NewEvent& event) {
        if (--left_ > 0) return true;
        return event.stream == stream_ && event.type == type_ && (erased_ || event.data == data_);
    }

private:
    std::uint64_t left_ = 0;
    std::string stream_, type_, data_;
    bool erased_ = false;  ///< so its data cannot be compared
};

/// Hands blocks from one thread to the other and back, so that their memory is used again.
class Queue {
public:
    std::unique_ptr<Block> empty() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !free_.empty() || made_ < kQueued || stopped_; });
        if (free_.empty()) {
            ++made_;
            return std::make_unique<Block>();
        }
        auto block = std::move(free_.back());
        free_.pop_back();
        return block;
    }
    void put(std::unique_ptr<Block> block) {
        const std::lock_guard lock(mutex_);
        full_.push_back(std::move(block));
        changed_.notify_all();
    }
    void end() {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        changed_.notify_all();
    }
    std::unique_ptr<Block> take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !full_.empty() || ended_; });
        if (full_.empty()) return nullptr;
        auto block = std::move(full_.front());
        full_.pop_front();
        return block;
    }
    void give_back(std::unique_ptr<Block> block) {
        const std::lock_guard lock(mutex_);
        free_.push_back(std::move(block));
        changed_.notify_all();
    }
    void stop() {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    bool stopped() {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::unique_ptr<Block>> full_;
    std::vector<std::unique_ptr<Block>> free_;
    std::size_t made_ = 0;
    bool ended_ = false;
    bool stopped_ = false;
};

/// The parser thread: from the bytes of the file to blocks of events.
class Reader {
public:
    Reader(const ImportArguments& arguments, LineSource lines, const std::uint64_t* done,
           Resumed resumed, Queue& queue)
        : arguments_(arguments),
          lines_(std::move(lines)),
          done_(done),
          resumed_(std::move(resumed)),
          queue_(queue),
          parser_(arguments.ignore_unknown) {}

    void run() {
        bool more = true;
        while (more && !queue_.stopped()) {
            auto block = queue_.empty();
            block->batch.clear();
            block->fail({}, kOk);
            block->controls.clear();
            block->invalid = block->stored = block->duplicates = block->definitions = 0;
            std::size_t length = 0;
            try {
                more = lines_.next_block(block->lines, length);
                if (more) parse_lines({block->lines.data(), length}, *block);
                if (!more && resumed_.skipping())
                    block->fail("it has " + std::to_string(resumed_.left()) +
                                    " events less than the store: --resume continues the import "
                                    "that filled the store",
                                kRefused);
            } catch (const std::runtime_error& broken) {
                block->fail(broken.what(), kDamaged);
            }
            block->bytes_done = *done_;
            more = more && block->failure.empty();
            queue_.put(std::move(block));
        }
        queue_.end();
    }

private:
    void parse_lines(std::string_view rest, Block& block) {
        while (!rest.empty() && block.failure.empty()) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(rest.size(), line.size() + 1));
            ++line_number_;
            if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
            const bool control = is_control_line(line);
            const std::string wrong = control ? parse_control(line, block)
                                              : parser_.parse(line, line_number_, block.batch);
            if (wrong.empty()) {
                if (!control && resumed_.skipping()) skip_last(block);
            } else if (arguments_.skip_invalid) {
                ++block.invalid;
            } else {
                block.fail("line " + std::to_string(line_number_) + ": " + wrong, kRefused);
            }
        }
    }
    /// What stands before an event that is skipped is in the store as that one is.
    std::string parse_control(std::string_view line, Block& block) {
        ControlLine control;
        std::string wrong = parse_control_line(line, arguments_.ignore_unknown, control);
        if (!wrong.empty() || resumed_.skipping() || arguments_.events_only) return wrong;
        control.line_number = line_number_;
        control.before = block.batch.count;
        block.controls.push_back(std::move(control));
        return {};
    }
    void skip_last(Block& block) {
        Batch& batch = block.batch;
        if (!resumed_.skip(batch.events[batch.count - 1]))
            block.fail("line " + std::to_string(line_number_) +
                           ": this is not the last event of the store: --resume continues the "
                           "import that filled the store",
                       kRefused);
        batch.clear();  // nothing else is in it as long as events are skipped
    }

    const ImportArguments& arguments_;
    LineSource lines_;
    const std::uint64_t* done_;
    Resumed resumed_;
    Queue& queue_;
    Parser parser_;
    std::uint64_t line_number_ = 0;
};

/// Counts what was appended, or was there already.
void count(const Appended& done, Block& block) {
    const std::uint64_t events = done.last.value - done.first.value + 1;
    (done.duplicate ? block.duplicates : block.stored) += events;
}

/// Appends a run of which some events are there, in other commits than the file is cut into now:
/// the others are appended.
void append_unknown(Store& store, std::span<const NewEvent> run, Block& block) {
    const Snapshot snapshot = snapshot_of(store);
    std::vector<NewEvent> unknown;
    for (const NewEvent& event : run) {
        bool known = false;
        if (event.id) {
            auto found = snapshot.find(*event.id, Verify::trusted);
            known = found.has_value();
            if (!known && found.error().code != ErrorCode::not_found) throw Failed(found.error());
        }
        if (known)
            ++block.duplicates;
        else
            unknown.push_back(event);
    }
    if (unknown.empty()) return;
    auto done = store.append(unknown);
    if (!done) throw Failed(done.error());
    count(*done, block);
}

/// Appends one event of a commit that was refused. False if the import ends here.
bool append_alone(Store& store, const ImportArguments& arguments, Block& block,
                  const NewEvent& event, std::uint64_t line_number) {
    auto done = store.append({&event, 1});
    if (done) return count(*done, block), true;
    // Its id is that of an event within some commit, perhaps of one earlier in this file.
    if (done.error().code == ErrorCode::id_conflict) {
        ++block.duplicates;
    } else if (arguments.skip_invalid && done.error().code != ErrorCode::io) {
        ++block.invalid;
    } else {
        block.fail("line " + std::to_string(line_number) + ": " + done.error().message, kRefused);
        return false;
    }
    return true;
}

/// Appends some of a block's events as one commit. One that is refused is tried event by event: the
/// ones before the bad one stay. False if the import ends here.
bool append_run(Store& store, const ImportArguments& arguments, Block& block, std::size_t at,
                std::size_t count_of) {
    const auto run = std::span<const NewEvent>(block.batch.events).subspan(at, count_of);
    auto done = store.append(run);
    if (done) return count(*done, block), true;
    if (done.error().code == ErrorCode::id_conflict) {
        append_unknown(store, run, block);
        return true;
    }
    const bool refused = done.error().code == ErrorCode::invalid_argument ||
                         done.error().code == ErrorCode::too_large;
    if (!refused) throw Failed(done.error());
    for (std::size_t n = 0; n < run.size(); ++n) {
        if (!append_alone(store, arguments, block, run[n], block.batch.line_numbers[at + n]))
            return false;
    }
    return true;
}

/// Makes or closes what one line says. False if the import ends here.
bool apply_alone(Store& store, const ImportArguments& arguments, Block& block,
                 const ControlLine& line) {
    Result<void> done;
    if (line.closes)
        done = store.close_definition(line.name);
    else if (auto defined = store.define(line.definition()); !defined)
        done = std::move(defined).error();
    if (done) {
        block.definitions += line.closes ? 0 : 1;
        return true;
    }
    const ErrorCode code = done.error().code;
    const bool refused = code == ErrorCode::invalid_argument || code == ErrorCode::too_large ||
                         code == ErrorCode::not_found;
    if (!refused) throw Failed(done.error());
    if (arguments.skip_invalid) return ++block.invalid, true;
    block.fail("line " + std::to_string(line.line_number) + ": " + done.error().message, kRefused);
    return false;
}

/// Definitions that follow each other are one commit, which is a sync. False if the import ends
/// here.
bool apply_lines(Store& store, const ImportArguments& arguments, Block& block,
                 std::span<const ControlLine> lines) {
    for (std::size_t at = 0; at < lines.size();) {
        std::vector<NewDefinition> together;
        while (at + together.size() < lines.size() && together.size() < kDefinitionsPerCommit &&
               !lines[at + together.size()].closes)
            together.push_back(lines[at + together.size()].definition());
        const std::size_t done = std::max<std::size_t>(together.size(), 1);
        if (together.size() > 1 && store.define(together)) {
            block.definitions += done;
        } else {
            for (const ControlLine& line : lines.subspan(at, done))
                if (!apply_alone(store, arguments, block, line)) return false;
        }
        at += done;
    }
    return true;
}

/// Appends the events of a block, and makes the definitions that stand between them.
void append_block(Store& store, const ImportArguments& arguments, Block& block) {
    const std::span<const ControlLine> controls = block.controls;
    std::size_t control = 0;
    for (std::size_t at = 0; at < block.batch.count || control < controls.size();) {
        const std::size_t until =
            control < controls.size() ? controls[control].before : block.batch.count;
        if (at < until) {
            const std::size_t run = std::min(kEventsPerCommit, until - at);
            if (!append_run(store, arguments, block, at, run)) return;
            at += run;
            continue;
        }
        std::size_t end = control;
        while (end < controls.size() && controls[end].before == at) ++end;
        if (!apply_lines(store, arguments, block, controls.subspan(control, end - control))) return;
        control = end;
    }
}

/// What all blocks came to.
struct Imported {
    std::uint64_t events = 0, duplicates = 0, definitions = 0, invalid = 0;

    void add(const Block& block) {
        events += block.stored;
        duplicates += block.duplicates;
        definitions += block.definitions;
        invalid += block.invalid;
    }
    [[nodiscard]] std::uint64_t there() const { return events + duplicates; }
};

void say_imported(const ImportArguments& arguments, const Imported& done, std::uint64_t skipped) {
    if (arguments.json) {
        print(
            "{{\"events\":{},\"duplicates\":{},\"skipped\":{},\"definitions\":{},"
            "\"invalid_lines\":{}}}\n",
            done.events, done.duplicates, skipped, done.definitions, done.invalid);
        return;
    }
    print("imported {} events{}{}{}\n", done.events,
          done.definitions > 0 ? fmt::format(" and {} definitions", done.definitions) : "",
          done.duplicates > 0 ? fmt::format(", {} were there already", done.duplicates) : "",
          done.invalid > 0 ? fmt::format(", {} lines were not valid", done.invalid) : "");
}

std::string name_of(const std::string& file) { return file == "-" ? "standard input" : file; }

}  // namespace

int run_import(const ImportArguments& arguments) {
    std::uint64_t size = 0;
    const std::uint64_t* done = nullptr;
    // The file comes first: a store is not made for an import that cannot begin.
    LineSource lines(open_source(arguments.file, size, done), Parser::kPadding);
    OpenOptions options;
    options.durability = Durability::os;  // one sync at the end
    Store store = open_or_fail(arguments.store, options);
    const Resumed resumed = arguments.resume ? Resumed(snapshot_of(store)) : Resumed();

    Queue queue;
    ProgressBar progress("import", size);
    Reader reader(arguments, std::move(lines), done, resumed, queue);
    std::thread parser([&] { reader.run(); });
    Imported imported;
    std::string failure;
    int exit_code = kOk;
    std::exception_ptr broken;
    try {
        while (auto block = queue.take()) {
            if (failure.empty()) append_block(store, arguments, *block);
            imported.add(*block);
            if (failure.empty()) {
                failure = block->failure;
                exit_code = block->exit_code;
            }
            progress.show(block->bytes_done, imported.there(), "events");
            if (!failure.empty()) queue.stop();
            queue.give_back(std::move(block));
        }
    } catch (...) {
        broken = std::current_exception();
        queue.stop();
        while (auto block = queue.take()) queue.give_back(std::move(block));
    }
    parser.join();
    progress.finish();
    if (broken) std::rethrow_exception(broken);
    if (imported.definitions > 0)
        if (auto listed = store.list_past(); !listed) throw Failed(listed.error());
    auto synced = store.close();
    if (!synced) throw Failed(synced.error());
    say_imported(arguments, imported, resumed.left());
    flush_output();
    if (exit_code != kOk)
        complain("{}: {}; the {} events before it are stored", name_of(arguments.file), failure,
                 imported.there());
    return exit_code;
}

}  // namespace varve::cli
