// Appends what was read while more is being read.
//
// One thread gives, a thread of its own appends, in the order in which it was given. Invariant: at
// most kWaiting appends wait, so memory is bounded; after an error nothing more is appended.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "varve/event.hpp"
#include "varve/store.hpp"

namespace varve::bridge {

/// Events of one append, and the texts that some of their views point into. The others point into
/// the source.
struct Load {
    std::vector<NewEvent> events;  ///< beyond `count`, memory to be used again
    std::size_t count = 0;
    std::list<std::string> texts;
};

class Appender {
public:
    struct Done {
        std::uint64_t imported = 0;
        std::uint64_t present = 0;
    };

    explicit Appender(Store& target);
    Appender(const Appender&) = delete;
    Appender& operator=(const Appender&) = delete;
    /// Ends without what still waits, unless `finish` was called.
    ~Appender();

    /// Takes the load over; waits while too many are waiting. Returns an empty one, or the error of
    /// an earlier append.
    [[nodiscard]] Result<std::unique_ptr<Load>> give(std::unique_ptr<Load> load);
    /// Returns when everything given is appended.
    [[nodiscard]] Result<void> drain();
    /// The same, and nothing more can be given.
    [[nodiscard]] Result<Done> finish();

private:
    void run() noexcept;
    [[nodiscard]] Result<void> append_or_fail(const Load& load) noexcept;
    [[nodiscard]] Result<void> append(const Load& load);
    [[nodiscard]] Result<void> append_unknown(std::span<const NewEvent> events);
    void end();

    Store& target_;
    Done done_;  ///< of the thread, until it was joined
    std::mutex mutex_;
    std::condition_variable changed_;
    // Under the mutex.
    std::deque<std::unique_ptr<Load>> waiting_;
    std::vector<std::unique_ptr<Load>> empty_;
    std::optional<Error> error_;
    bool busy_ = false;  ///< with one that it has taken
    bool ending_ = false;
    bool dropping_ = false;
    std::thread thread_;
};

}  // namespace varve::bridge
