// node-event-storage as the peer of seed-index and seed-storage: the package from npm, installed
// into the build tree at first use, driven through pipes by bench/seed.js.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "seed.hpp"

namespace varve::bench {

namespace {

constexpr const char* kPackage = "event-storage@0.8.0";

void complain(const std::string& what) {
    std::fprintf(stderr, "varve-bench: peer node is missing: %s\n", what.c_str());
}

/// Runs a command in `directory` with its output thrown away; its exit code, 127 if it is not
/// there.
int run_quietly(const std::vector<std::string>& command, const std::string& directory) {
    static_cast<void>(std::fflush(nullptr));
    const pid_t child = ::fork();
    if (child == 0) {
        std::vector<char*> words;
        for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        const int nothing = ::open("/dev/null", O_RDWR);
        ::dup2(nothing, STDIN_FILENO);
        ::dup2(nothing, STDOUT_FILENO);
        ::dup2(nothing, STDERR_FILENO);
        if (::chdir(directory.c_str()) == 0) ::execvp(words[0], words.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

bool installed(const std::string& directory) {
    if (run_quietly({"node", "--version"}, "/") != 0) {
        complain("needs node");
        return false;
    }
    if (!std::filesystem::exists(VARVE_BENCH_NODE_SCRIPT)) {
        complain("its script is not where this was built");
        return false;
    }
    std::error_code failed;
    if (std::filesystem::exists(directory + "/node_modules/event-storage/package.json", failed))
        return true;
    std::filesystem::create_directories(directory, failed);
    if (run_quietly({"npm", "install", "--prefix", directory, "--no-audit", "--no-fund",
                     "--ignore-scripts", kPackage},
                    directory) == 0)
        return true;
    complain(std::string("npm cannot install ") + kPackage);
    return false;
}

}  // namespace

std::unique_ptr<NodePeer> NodePeer::start() {
    const std::string directory = VARVE_BENCH_NODE_DIRECTORY;
    if (!installed(directory)) return nullptr;
    int to[2];
    int from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) return nullptr;
    static_cast<void>(std::fflush(nullptr));
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(to[0], STDIN_FILENO);
        ::dup2(from[1], STDOUT_FILENO);
        ::setenv("NODE_PATH", (directory + "/node_modules").c_str(), 1);
        ::execlp("node", "node", VARVE_BENCH_NODE_SCRIPT, nullptr);
        ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    ::signal(SIGPIPE, SIG_IGN);  // its death is told by the answer that does not come
    return std::unique_ptr<NodePeer>(new NodePeer(child, to[1], from[0]));
}

NodePeer::~NodePeer() {
    ::close(to_);
    ::close(from_);
    ::waitpid(child_, nullptr, 0);
}

SeedRound NodePeer::round(const Parameters& parameters, const std::string& directory,
                          double budget_s, bool syncs) {
    std::ostringstream line;
    line << parameters.scenario << '\t' << parameters.readers << '\t'
         << std::filesystem::absolute(directory).string() << '\t' << budget_s << '\t'
         << (syncs ? "as-is" : "no-sync") << '\n';
    const std::string words = line.str();
    bool alive = ::write(to_, words.data(), words.size()) == static_cast<ssize_t>(words.size());
    std::string answer;
    while (alive && !answer.ends_with('\n')) {
        char piece[256];
        const ssize_t got = ::read(from_, piece, sizeof piece);
        alive = got > 0;
        if (alive) answer.append(piece, static_cast<std::size_t>(got));
    }
    SeedRound round;
    std::istringstream numbers(answer);
    for (Taken* taken : {&round.cycles, &round.steady})
        numbers >> taken->operations >> taken->seconds >> taken->cpu_seconds;
    if (!alive || !numbers)
        must_do(Error{.message = "the process of the peer has ended; see above"}, "node");
    return round;
}

}  // namespace varve::bench
