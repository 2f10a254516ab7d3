// Watching a file through inotify. One thread at a time per watch.
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <new>

#include "base/error.hpp"
#include "os/posix_error.hpp"
#include "os/posix_file.hpp"

namespace varve {
inline namespace v0 {
namespace os {

namespace {

constexpr std::uint64_t kUsPerSecond = 1'000'000;

class PosixWatch final : public Watch {
public:
    explicit PosixWatch(int queue) noexcept : queue_(queue) {}
    PosixWatch(const PosixWatch&) = delete;
    PosixWatch& operator=(const PosixWatch&) = delete;
    ~PosixWatch() override { ::close(queue_); }

    bool wait(std::uint64_t timeout_us) noexcept override {
        timespec timeout{};
        timeout.tv_sec = static_cast<time_t>(timeout_us / kUsPerSecond);
        timeout.tv_nsec = static_cast<long>(timeout_us % kUsPerSecond * 1000);
        pollfd queue{queue_, POLLIN, 0};
        const int ready = ::ppoll(&queue, 1, &timeout, nullptr);
        if (ready == 0) return false;
        // What happened does not matter, only that it did. Read to the end, or the next call would
        // not sleep.
        alignas(inotify_event) char events[4096];
        while (::read(queue_, events, sizeof events) > 0) continue;
        return true;
    }

private:
    int queue_;
};

}  // namespace

/// By the descriptor and not by the path, under which another file may lie by now.
Result<std::unique_ptr<Watch>> posix_watch(int descriptor, const std::string& path) noexcept {
    const int queue = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (queue < 0) return posix_error(errno, "cannot watch", path);
    std::unique_ptr<Watch> watch(new (std::nothrow) PosixWatch(queue));
    if (watch == nullptr) {
        ::close(queue);
        return base::failure(ErrorCode::out_of_memory, "no memory to watch a file", path);
    }
    const std::string name = "/proc/self/fd/" + std::to_string(descriptor);
    if (::inotify_add_watch(queue, name.c_str(), IN_MODIFY | IN_ATTRIB) < 0)
        return posix_error(errno, "cannot watch", path);
    return watch;
}

}  // namespace os
}  // namespace v0
}  // namespace varve
