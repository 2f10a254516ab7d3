#include "processes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace varve::bench {

namespace {

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "varve-bench: %s\n", what);
    std::exit(3);
}

struct Child {
    pid_t pid = 0;
    int from = -1;  ///< reads what the child writes
};

/// Forks; the child runs `work` with the end to write to and never returns.
Child begin(const std::function<void(int out)>& work) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) give_up("cannot make a pipe");
    static_cast<void>(std::fflush(nullptr));  // or the child would print it again
    const pid_t pid = ::fork();
    if (pid < 0) give_up("cannot start a child process");
    if (pid == 0) {
        ::close(ends[0]);
        work(ends[1]);
        ::_exit(0);
    }
    ::close(ends[1]);
    return {pid, ends[0]};
}

double number_in(const char* path, const std::string& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key)) return std::stod(line.substr(key.size()));
    }
    return 0;
}

double bytes_read() { return number_in("/proc/self/io", "read_bytes: "); }

double faults_so_far() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_majflt);
}

}  // namespace

std::vector<double> in_child(const std::function<std::vector<double>()>& work) {
    const Child child = begin([&](int out) {
        const std::vector<double> values = work();
        const auto size = static_cast<ssize_t>(values.size() * sizeof(double));
        // Few enough for one write to a pipe.
        if (::write(out, values.data(), static_cast<std::size_t>(size)) != size) ::_exit(3);
    });
    std::vector<double> values;
    double value = 0;
    while (::read(child.from, &value, sizeof value) == static_cast<ssize_t>(sizeof value))
        values.push_back(value);
    ::close(child.from);
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) give_up("a measuring process failed");
    return values;
}

void kill_in_child(const std::function<void(const std::function<void()>& ready)>& work) {
    const Child child = begin([&](int out) {
        work([out] {
            if (::write(out, "r", 1) != 1) ::_exit(3);
        });
        ::_exit(3);
    });
    char letter = 0;
    const bool ready = ::read(child.from, &letter, 1) == 1;
    if (ready) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::kill(child.pid, SIGKILL);
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    ::close(child.from);
    if (!ready || !WIFSIGNALED(status)) give_up("the process to be killed ended by itself");
}

void drop_cache(const std::string& directory) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        ::fdatasync(file);
        ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
}

double anonymous_mb() { return number_in("/proc/self/status", "RssAnon:") / 1024; }

DiskReads::DiskReads() : bytes_before_(bytes_read()), faults_before_(faults_so_far()) {}
double DiskReads::bytes() const { return bytes_read() - bytes_before_; }
double DiskReads::major_faults() const { return faults_so_far() - faults_before_; }

double bytes_on_disk(const std::string& directory) {
    double bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        struct stat status {};
        if (::lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
            bytes += static_cast<double>(status.st_blocks) * 512;
    }
    return bytes;
}

IndexFiles index_files(const std::string& store) {
    IndexFiles found;
    for (const auto& entry : std::filesystem::directory_iterator(store + "/index")) {
        const std::string name = entry.path().filename().string();
        const std::size_t dash = name.find('-');
        if (entry.path().extension() != ".idx" || dash == std::string::npos) continue;
        const std::uint64_t first = std::stoull(name);
        const std::uint64_t last = std::stoull(name.substr(dash + 1));
        for (std::uint64_t number = first; number <= last; ++number) found.sealed.insert(number);
        ++(first == last ? found.sealed_files : found.merged_files);
        std::error_code gone;  // a merge may have replaced it meanwhile
        const auto size = entry.file_size(gone);
        if (!gone) found.sealed_bytes += static_cast<double>(size);
    }
    return found;
}

double bytes_without_index(const std::string& store, const IndexFiles& before,
                           const IndexFiles& after) {
    double bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(store + "/log")) {
        const std::uint64_t number = std::strtoull(entry.path().filename().c_str(), nullptr, 10);
        if (!before.sealed.contains(number) || after.sealed.contains(number)) continue;
        struct stat status {};
        if (::lstat(entry.path().c_str(), &status) == 0)
            bytes += static_cast<double>(status.st_blocks) * 512;
    }
    return bytes;
}

void show_progress(const char* what, std::uint64_t done, std::uint64_t total) {
    if (::isatty(STDERR_FILENO) == 0) return;
    const unsigned percent = static_cast<unsigned>(done >= total ? 100 : done * 100 / total);
    std::fprintf(stderr, "\r%s %u %%%s", what, percent, done >= total ? "\r\033[K" : "");
}

}  // namespace varve::bench
