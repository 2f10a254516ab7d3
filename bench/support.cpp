#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "bench.hpp"

namespace varve::bench {

Metrics Side::medians() const {
    Metrics result;
    if (rounds.empty()) return result;
    for (const auto& [name, ignored] : rounds.front()) {
        std::vector<double> values;
        for (const Metrics& round : rounds) {
            if (const auto found = round.find(name); found != round.end())
                values.push_back(found->second);
        }
        std::sort(values.begin(), values.end());
        result[name] = values[values.size() / 2];
    }
    return result;
}

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

double cpu_seconds_now() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void Latencies::add(std::uint64_t ns) {
    const auto width = static_cast<std::uint64_t>(std::bit_width(ns | 8));
    const std::uint64_t bucket = (width - 4) * 8 + (ns >> (width - 4) & 7U);
    ++buckets_[std::min<std::uint64_t>(bucket, buckets_.size() - 1)];
    ++count_;
    sum_ += ns;
    max_ = std::max(max_, ns);
}

void Latencies::add(const Latencies& other) {
    for (std::size_t n = 0; n < buckets_.size(); ++n) buckets_[n] += other.buckets_[n];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
}

double Latencies::percentile(double part) const {
    const double goal = part * static_cast<double>(count_);
    double seen = 0;
    for (std::size_t n = 0; n < buckets_.size(); ++n) {
        seen += static_cast<double>(buckets_[n]);
        if (seen < goal || buckets_[n] == 0) continue;
        const std::uint64_t shift = n / 8;
        return static_cast<double>((8 + n % 8) << shift);
    }
    return static_cast<double>(max_);
}

Scratch::Scratch(const std::string& beside) {
    std::string pattern = (beside.empty() ? "." : beside) + "/varve-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        std::fprintf(stderr, "varve-bench: cannot make a directory in '%s'\n", beside.c_str());
        std::exit(3);
    }
    path_ = pattern;
}

Scratch::~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void Scratch::spread() const {
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    int flags = 0;
    if (::ioctl(descriptor, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_TOPDIR_FL;
        ::ioctl(descriptor, FS_IOC_SETFLAGS, &flags);
    }
    ::close(descriptor);
}

Workload::Workload(bool wide, std::size_t data_size) : wide_(wide), data_(data_size, 'd') {
    for (int n = 0; n < (wide ? 100'000 : 1'000); ++n)
        streams_.push_back("account-" + std::to_string(n));
    for (int n = 0; n < 12; ++n) types_.push_back("SomethingHappened" + std::to_string(n));
    for (int n = 0; n < (wide ? 1'000'000 : 10'000); ++n)
        tags_.push_back("customer/" + std::to_string(n));
    // Zipf with exponent 1 by its inverse, tabulated: rank r gets a share of 1/r.
    double harmonic = 0;
    for (int n = 1; n <= 10'000; ++n) harmonic += 1.0 / n;
    double sum = 0;
    std::uint32_t rank = 0;
    for (std::uint32_t n = 0; n < 1U << 16; ++n) {
        while (rank < 9'999 && sum + 1.0 / (rank + 1) < harmonic * n / (1 << 16))
            sum += 1.0 / ++rank;
        skew_.push_back(rank);
    }
}

std::uint64_t Workload::random() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return state_ >> 33;
}

std::size_t Workload::pick(std::size_t count) {
    if (wide_) return random() % count;
    return skew_[random() & 0xFFFF] % count;
}

std::string_view Workload::written(const std::string& name) {
    const std::size_t begin = text_.size();
    text_ += name;
    return {text_.data() + begin, name.size()};
}

void Workload::fill(std::vector<NewEvent>& events) {
    constexpr std::size_t kNames = 4 * 24;  // bytes of names per event, at most
    text_.clear();
    text_.reserve(events.size() * kNames);
    for (NewEvent& event : events) {
        event.stream = written(streams_[pick(streams_.size())]);
        event.type = written(types_[random() % types_.size()]);
        event.tags.clear();
        event.tags.push_back(written(tags_[pick(tags_.size())]));
        event.tags.push_back(written(tags_[random() % tags_.size()]));
        event.data = data_;
    }
}

namespace {

std::string file_system(const std::string& path) {
    struct statfs status {};
    if (::statfs(path.empty() ? "." : path.c_str(), &status) != 0) return "?";
    switch (status.f_type) {
        case 0xEF53: return "ext4";
        case 0x58465342: return "xfs";
        case 0x01021994: return "tmpfs";
        case 0x794C7630: return "overlayfs";
        default: return fmt::format("{:#x}", status.f_type);
    }
}

std::string processor() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    }
    return "?";
}

std::string json_of(const Metrics& metrics) {
    std::string values;
    for (const auto& [name, value] : metrics)
        values += fmt::format("{}\"{}\":{:.6g}", values.empty() ? "" : ",", name, value);
    return values;
}

/// For a line of ratios: whose, and beside whom.
struct Beside {
    std::string of, peer;
};

void print_line(const Parameters& parameters, const std::string& variant, const Metrics& metrics,
                const Beside& beside = {}) {
    if (!parameters.json) {
        const std::string scenario = parameters.variant.empty()
                                         ? parameters.scenario
                                         : parameters.scenario + " " + parameters.variant;
        std::string whose = variant;
        for (const std::string& word : {beside.of, beside.peer})
            if (!word.empty()) whose += " " + word;
        fmt::print("{:<16} {:<8}", scenario, whose);
        for (const auto& [name, value] : metrics)
            fmt::print("  {} {:.{}f}", name, value, value < 10 ? 3 : value < 1000 ? 1 : 0);
        fmt::print("\n");
        return;
    }
    utsname system{};
    ::uname(&system);
    const auto words = [](const char* name, const std::string& word) {
        return word.empty() ? "" : fmt::format("\"{}\":\"{}\",", name, word);
    };
    fmt::print(
        "{{\"scenario\":\"{}\",\"variant\":\"{}\",{}\"params\":{{\"events\":{},\"threads\":{},"
        "\"batch\":{},\"size\":{},\"readers\":{},\"variant\":\"{}\",\"cold\":{},"
        "\"conditional\":{},\"workload\":\"{}\",\"rounds\":{},\"repeat\":{}}},\"metrics\":{{{}}},"
        "\"environment\":{{"
        "\"fs\":\"{}\",\"kernel\":\"{}\","
        "\"cpu\":\"{}\",\"level\":\"{}\",\"verify\":\"{}\"}}}}\n",
        parameters.scenario, variant, words("of", beside.of) + words("peer", beside.peer),
        parameters.events, parameters.threads, parameters.batch, parameters.size,
        parameters.readers, parameters.variant, parameters.cold, parameters.conditional,
        parameters.workload, parameters.rounds, parameters.repeat, json_of(metrics),
        file_system(parameters.directory), system.release, processor(), parameters.level,
        parameters.verify);
}

bool ends_with_one_of(const std::string& name, std::initializer_list<const char*> ends) {
    return std::any_of(ends.begin(), ends.end(),
                       [&](const char* end) { return name.ends_with(end); });
}

bool is_rate(const std::string& name) { return name.find("_per_s") != std::string::npos; }
bool is_time(const std::string& name) {
    return name.find("ns_per") != std::string::npos || name.find("ms_per") != std::string::npos ||
           ends_with_one_of(name, {"_ns", "_us", "_ms"});
}

/// Above 1: ours is faster, for times and for rates.
Metrics ratios(const Metrics& ours, const Metrics& theirs) {
    Metrics ratio;
    for (const auto& [name, their] : theirs) {
        const auto own = ours.find(name);
        if (own == ours.end() || own->second == 0 || their == 0) continue;
        if (is_rate(name)) ratio[name] = own->second / their;
        if (is_time(name)) ratio[name] = their / own->second;
    }
    return ratio;
}

}  // namespace

void report(const Parameters& parameters, const std::vector<Side>& sides) {
    for (const Side& side : sides) print_line(parameters, side.variant, side.medians());
    const Metrics ours = sides.front().medians();
    for (auto side = sides.begin() + 1; side != sides.end(); ++side)
        print_line(parameters, "ratio", ratios(ours, side->medians()), {"", side->variant});
}

void report_all(const Parameters& parameters, const std::vector<Side>& ours,
                const std::vector<Side>& theirs) {
    for (const auto* sides : {&ours, &theirs})
        for (const Side& side : *sides) print_line(parameters, side.variant, side.medians());
    for (const Side& side : theirs)
        for (const Side& own : ours)
            print_line(parameters, "ratio", ratios(own.medians(), side.medians()),
                       {own.variant, side.variant});
}

}  // namespace varve::bench
