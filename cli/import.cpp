// `varve import`: a parser thread turns lines into batches, this thread appends them.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "commands.hpp"
#include "json_events.hpp"
#include "line_source.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

constexpr std::size_t kEventsPerCommit = 512;
constexpr std::size_t kQueued = 8;  // blocks between the two threads: bounds the memory

/// Lines and the events that point into them.
struct Block {
    std::vector<char> lines;
    Batch batch;
    std::uint64_t bytes_done = 0;
    std::string failure;  ///< why the parser stopped behind these events
    std::uint64_t failed_line = 0;
    std::uint64_t invalid = 0;
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

/// The parser thread. `skip`: lines that are in the store already.
void parse_all(const ImportArguments& arguments, LineSource lines, const std::uint64_t* done,
               std::uint64_t skip, Queue& queue) {
    Parser parser(arguments.ignore_unknown);
    std::uint64_t line_number = 0;
    while (!queue.stopped()) {
        auto block = queue.empty();
        block->batch.clear();
        block->failure.clear();
        block->invalid = 0;
        std::size_t length = 0;
        try {
            if (!lines.next_block(block->lines, length)) break;
        } catch (const std::exception& broken) {
            block->failure = broken.what();
            queue.put(std::move(block));
            break;
        }
        const char* at = block->lines.data();
        const char* const end = at + length;
        while (at < end && block->failure.empty()) {
            const char* stop =
                static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
            if (stop == nullptr) stop = end;
            const std::string_view line(at, static_cast<std::size_t>(stop - at));
            at = stop + 1;
            ++line_number;
            if (line_number <= skip || line.find_first_not_of(" \t\r") == std::string_view::npos)
                continue;
            std::string wrong = parser.parse(line, line_number, block->batch);
            if (wrong.empty()) continue;
            if (arguments.skip_invalid) {
                ++block->invalid;
                continue;
            }
            block->failure = "line " + std::to_string(line_number) + ": " + wrong;
            block->failed_line = line_number;
        }
        block->bytes_done = *done;
        const bool failed = !block->failure.empty();
        queue.put(std::move(block));
        if (failed) break;
    }
    queue.end();
}

/// Appends the events of a block. A commit that is refused is tried event by event: the ones before
/// the bad one stay.
std::string append_block(Store& store, const ImportArguments& arguments, Block& block,
                         std::uint64_t& events) {
    const std::span<const NewEvent> all(block.batch.events.data(), block.batch.count);
    for (std::size_t at = 0; at < all.size(); at += kEventsPerCommit) {
        const auto run = all.subspan(at, std::min(kEventsPerCommit, all.size() - at));
        auto done = store.append(run);
        if (done) {
            events += run.size();
            continue;
        }
        const bool refused = done.error().code == ErrorCode::invalid_argument ||
                             done.error().code == ErrorCode::too_large;
        if (!refused) throw Failed(done.error());
        for (std::size_t n = 0; n < run.size(); ++n) {
            auto one = store.append(run.subspan(n, 1));
            if (one) {
                ++events;
            } else if (arguments.skip_invalid && one.error().code != ErrorCode::io) {
                ++block.invalid;
            } else {
                return "line " + std::to_string(block.batch.line_numbers[at + n]) + ": " +
                       one.error().message;
            }
        }
    }
    return block.failure;
}

}  // namespace

int run_import(const ImportArguments& arguments) {
    OpenOptions options;
    options.durability = Durability::os;  // one sync at the end
    Store store = open_or_fail(arguments.store, options);
    auto before = store.snapshot();
    if (!before) throw Failed(before.error());
    const std::uint64_t skip = arguments.resume ? before->published().value : 0;
    std::uint64_t size = 0;
    const std::uint64_t* done = nullptr;
    LineSource lines(open_source(arguments.file, size, done), Parser::kPadding);

    Queue queue;
    ProgressBar progress("import", size);
    std::thread parser([&] { parse_all(arguments, std::move(lines), done, skip, queue); });
    std::uint64_t events = 0;
    std::uint64_t invalid = 0;
    std::string failure;
    std::exception_ptr broken;
    try {
        while (auto block = queue.take()) {
            if (failure.empty()) failure = append_block(store, arguments, *block, events);
            invalid += block->invalid;
            progress.show(block->bytes_done, events, "events");
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
    auto synced = store.close();
    if (!synced) throw Failed(synced.error());
    if (arguments.json) {
        print("{{\"events\":{},\"skipped_lines\":{},\"invalid_lines\":{}}}\n", events, skip,
              invalid);
    } else {
        print("imported {} events{}\n", events,
              invalid > 0 ? fmt::format(", {} lines were not valid", invalid) : "");
    }
    if (failure.empty()) return kOk;
    complain("{}: {}; the {} events before it are stored", arguments.file, failure, events);
    return kRefused;
}

}  // namespace varve::cli
