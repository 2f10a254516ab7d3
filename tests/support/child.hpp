// Processes of a test: a forked child, and a pipe on which one tells the other that it may go on.
//
// One thread; no other may run when a child is forked.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace varve::test {

/// Runs `body` in a child of its own; its result is the exit code.
class Child {
public:
    explicit Child(const std::function<int()>& body) : pid_(::fork()) {
        if (pid_ == 0) ::_exit(body());
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (pid_ > 0) static_cast<void>(wait());
    }
    int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    void kill() const { ::kill(pid_, SIGKILL); }

private:
    pid_t pid_;
};

struct Pipe {
    Pipe() { EXPECT_EQ(::pipe(ends), 0); }
    ~Pipe() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    void tell() const { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
    void listen() const {
        char byte = 0;
        EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    }
    int ends[2] = {-1, -1};
};

}  // namespace varve::test
