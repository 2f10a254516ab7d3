// Turns the history of a git repository and Debian changelogs into events, one NDJSON line each.
//
//   varve-history [--repo PATH] [--changelogs DIRECTORY]  >  events.ndjson
//
// A commit becomes an event of stream "repo/<name>"; each file it touched one of stream
// "file/<path>". An entry of a changelog becomes one of stream "package-<name>". Types, tags and
// times come from the history itself.
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') out += '\\';
        if (byte >= 0x20 && byte < 0x7F)
            out += c;
        else if (byte >= 0x80)
            out += '?';  // changelogs come in many encodings; names stay ASCII
        else
            out += ' ';
    }
    return out + "\"";
}

std::string cut(std::string text, std::size_t length) {
    if (text.size() > length) text.resize(length);
    return text;
}

/// One event as a line. Tags that are empty are left out.
void emit(const std::string& stream, const std::string& type, const std::vector<std::string>& tags,
          const std::string& time, const std::string& data) {
    std::string line = "{\"stream\":" + json_text(cut(stream, 1000)) +
                       ",\"type\":" + json_text(type) + ",\"tags\":[";
    for (const std::string& tag : tags) {
        if (tag.empty()) continue;
        if (line.back() != '[') line += ',';
        line += json_text(cut(tag, 1000));
    }
    line += "]" + (time.empty() ? "" : ",\"time\":" + time) + ",\"data\":" + data + "}\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
}

std::vector<std::string> split(const std::string& line, char separator) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    while (begin <= line.size()) {
        const std::size_t end = std::min(line.find(separator, begin), line.size());
        parts.push_back(line.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

std::string shell_word(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

/// Commits oldest first, each followed by its files. Returns how many commits there were.
std::size_t emit_repository(const std::string& path) {
    const std::string name = std::filesystem::canonical(path).filename().string();
    const std::string command = "git -C " + shell_word(path) +
                                " -c core.quotePath=false log --reverse --no-renames --name-status "
                                "--format='%x01%H%x02%ae%x02%ct%x02%s' 2>/dev/null";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> log(::popen(command.c_str(), "r"),
                                                              &::pclose);
    if (log == nullptr) return 0;
    char* raw = nullptr;
    std::size_t capacity = 0;
    std::string commit, author, time;
    std::size_t commits = 0;
    for (ssize_t length = 0; (length = ::getline(&raw, &capacity, log.get())) > 0;) {
        std::string line(raw, static_cast<std::size_t>(length));
        if (line.back() == '\n') line.pop_back();
        if (line.starts_with('\x01')) {
            const auto parts = split(line.substr(1), '\x02');
            if (parts.size() < 4) continue;
            commit = parts[0].substr(0, 12);
            author = parts[1];
            time = parts[2] + "000";
            ++commits;
            emit("repo/" + name, "CommitMade", {"author/" + author, "commit/" + commit}, time,
                 "{\"sha\":" + json_text(parts[0]) + ",\"subject\":" + json_text(parts[3]) + "}");
        } else if (line.size() > 2 && line[1] == '\t') {
            const std::string file = line.substr(2);
            const char* const type = line[0] == 'A'   ? "FileAdded"
                                     : line[0] == 'D' ? "FileDeleted"
                                                      : "FileChanged";
            const std::size_t slash = file.find('/');
            emit("file/" + file, type,
                 {"author/" + author, "commit/" + commit,
                  "folder/" + (slash == std::string::npos ? "." : file.substr(0, slash))},
                 time, "{\"path\":" + json_text(file) + "}");
        }
    }
    std::free(raw);
    return commits;
}

std::string read_gzip(const std::filesystem::path& path) {
    std::string text;
    gzFile file = gzopen(path.c_str(), "rb");
    if (file == nullptr) return text;
    char buffer[64 << 10];
    for (int got = 0; (got = gzread(file, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    gzclose(file);
    return text;
}

/// Milliseconds since 1970 of a date such as "Mon, 30 Dec 1996 10:00:00 +0100"; empty if it is
/// none.
std::string date_to_ms(const std::string& date) {
    const std::size_t begin = date.find_first_not_of(' ');
    if (begin == std::string::npos) return {};
    std::tm parts{};
    if (::strptime(date.c_str() + begin, "%a, %d %b %Y %H:%M:%S %z", &parts) == nullptr) return {};
    const long offset_s = parts.tm_gmtoff;
    return std::to_string((::timegm(&parts) - offset_s) * 1000);
}

/// One release of a package, as its changelog tells it.
struct Release {
    std::string package, version, distribution, urgency, changes, maintainer, date;
};

/// An entry begins with "name (version) distribution; urgency=…" and ends with " -- Maintainer
/// <mail>  date". Newest first, as it is written.
std::vector<Release> read_changelog(const std::string& text) {
    std::vector<Release> releases;
    Release one;
    for (const std::string& line : split(text, '\n')) {
        const std::size_t open = line.find(" (");
        const std::size_t close = line.find(") ");
        if (!line.empty() && line[0] != ' ' && open != std::string::npos &&
            close != std::string::npos && close > open) {
            one = Release{};
            one.package = line.substr(0, open);
            one.version = line.substr(open + 2, close - open - 2);
            one.distribution = line.substr(close + 2, line.find(';', close) - close - 2);
            const std::size_t at = line.find("urgency=");
            if (at != std::string::npos)
                one.urgency = line.substr(at + 8, line.find_first_of(", ", at) - at - 8);
        } else if (line.starts_with(" -- ") && !one.package.empty()) {
            const std::size_t mail = line.find('<');
            const std::size_t end = line.find('>');
            if (mail < end && end != std::string::npos)
                one.maintainer = line.substr(mail + 1, end - mail - 1);
            const std::size_t date =
                end == std::string::npos ? end : line.find_first_not_of(' ', end + 1);
            if (date != std::string::npos) one.date = line.substr(date);
            releases.push_back(std::exchange(one, Release{}));
        } else if (line.starts_with("  ") && one.changes.size() < 4000) {
            one.changes += line.substr(2) + " ";
        }
    }
    return releases;
}

/// The releases of all changelogs below `folder`, package by package, oldest first. Packages made
/// from one source share a changelog: each release is told once.
std::size_t emit_changelogs(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& package : std::filesystem::directory_iterator(folder)) {
        const auto file = package.path() / "changelog.Debian.gz";
        if (std::filesystem::exists(file)) files.push_back(file);
    }
    std::sort(files.begin(), files.end());
    std::set<std::pair<std::string, std::string>> told;
    for (const auto& file : files) {
        std::vector<Release> releases = read_changelog(read_gzip(file));
        std::reverse(releases.begin(), releases.end());
        for (const Release& one : releases) {
            if (!told.emplace(one.package, one.version).second) continue;
            emit("package-" + one.package, "PackageReleased",
                 {one.urgency.empty() ? "" : "urgency/" + one.urgency,
                  "distribution/" + one.distribution,
                  one.maintainer.empty() ? "" : "maintainer/" + one.maintainer},
                 date_to_ms(one.date),
                 "{\"version\":" + json_text(one.version) + ",\"date\":" + json_text(one.date) +
                     ",\"changes\":" + json_text(cut(one.changes, 2000)) + "}");
        }
    }
    return told.size();
}

}  // namespace

int main(int count, char** values) {
    std::string repository;
    std::string changelogs;
    for (int n = 1; n < count; n += 2) {
        const bool known = n + 1 < count && (std::strcmp(values[n], "--repo") == 0 ||
                                             std::strcmp(values[n], "--changelogs") == 0);
        if (!known) {
            std::fprintf(
                stderr,
                "usage: varve-history [--repo PATH] [--changelogs DIRECTORY]  > events.ndjson\n");
            return 2;
        }
        (std::strcmp(values[n], "--repo") == 0 ? repository : changelogs) = values[n + 1];
    }
    std::size_t commits = 0;
    std::size_t releases = 0;
    try {
        if (!repository.empty() && (commits = emit_repository(repository)) == 0)
            std::fprintf(stderr, "git finds no commits in %s\n", repository.c_str());
        if (!changelogs.empty() && std::filesystem::is_directory(changelogs))
            releases = emit_changelogs(changelogs);
    } catch (const std::exception& broken) {
        std::fprintf(stderr, "varve-history: %s\n", broken.what());
        return 3;
    }
    std::fprintf(stderr, "%zu commits, %zu releases of packages\n", commits, releases);
    return commits + releases > 0 ? 0 : 1;
}
