#include "store/log_copy.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "file/backup_file.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

namespace {

constexpr std::size_t kWindow = 4 << 20;  ///< bytes read at a time, unless a commit is larger

Error broken(const std::string& path, const log::LogPoint& at, log::Fault fault) noexcept {
    return failure(log::is_newer(fault) ? ErrorCode::unsupported_version : ErrorCode::corrupt,
                   "the commit behind position " + std::to_string(at.position) +
                       " cannot be copied: " + (fault != nullptr ? fault : "it is not there"),
                   path, at.offset);
}

/// Length that the header at the start of `bytes` claims; 0 if it looks like none.
std::uint64_t claimed_length(base::Bytes bytes, const log::SegmentKeys& keys) noexcept {
    if (bytes.size() < sizeof(log::CommitHeader)) return 0;
    const auto header = base::load<log::CommitHeader>(bytes.data());
    return header.magic == keys.magic ? std::uint64_t{header.length8} * 8 : 0;
}

}  // namespace

Result<log::LogPoint> copy_commits(const CopySource& from, log::LogPoint at, std::uint64_t until,
                                   os::File* to, Meter& meter) {
    auto size = from.file.size();
    if (!size) return std::move(size).error();
    std::vector<std::byte> window(std::min<std::uint64_t>(kWindow, *size));
    while (at.position < until && !meter.cancelled()) {
        auto read = from.file.read_at(at.offset, window);
        if (!read) return std::move(read).error();
        const base::Bytes bytes = base::Bytes{window}.first(*read);
        log::LogPoint local = at;
        local.offset = 0;
        const log::Walk walk =
            log::walk_commits(bytes, from.keys, local, until, {true, from.erased});
        const std::uint64_t length = walk.end.offset;
        if (length == 0) {
            // A commit larger than the window, or none.
            const std::uint64_t claimed = claimed_length(bytes, from.keys);
            const bool larger = claimed > window.size() && base::fits(at.offset, claimed, *size);
            if (!larger) return broken(from.path, at, walk.fault);
            window.resize(static_cast<std::size_t>(claimed));
            continue;
        }
        if (to != nullptr) VARVE_TRY(to->write_at(at.offset, bytes.first(length)));
        const std::uint64_t offset = at.offset + length;
        at = walk.end;
        at.offset = offset;
        meter.add(length);
    }
    return at;
}

std::size_t LogEnds::count() const noexcept {
    const auto begins_later = [&](const SegmentPtr& one) { return one->first() > end.position; };
    const auto later = std::find_if(list.items.begin(), list.items.end(), begins_later);
    return static_cast<std::size_t>(later - list.items.begin());
}

std::uint64_t LogEnds::last_position(std::size_t n) const noexcept {
    return n + 1 < count() ? list.items[n + 1]->first() - 1 : end.position;
}

std::uint64_t LogEnds::size_of(std::size_t n) const noexcept {
    return n + 1 < count() ? list.items[n]->log().size() : end.offset;
}

Result<void> LogEnds::check_end(std::size_t n, const log::LogPoint& found) const noexcept {
    VARVE_ASSERT(n < count());
    const Segment& segment = *list.items[n];
    const bool last = n + 1 == count();
    const std::uint32_t chain = last ? end.chain : list.items[n + 1]->header.prev_chain;
    const bool placed = !last || (found.offset == end.offset && segment.number() == end.segment);
    if (found.position == last_position(n) && found.chain == chain && placed) return {};
    return broken(meta.segment_path(segment.number()), found,
                  "what follows does not continue the chain");
}

Result<void> check_log(const LogEnds& log, Meter& meter) {
    for (std::size_t n = 0; n < log.count(); ++n) {
        Segment& segment = *log.list.items[n];
        const std::string path = log.meta.segment_path(segment.number());
        const CopySource from{segment.file(), segment.keys, path, log.erased};
        auto end = copy_commits(from, first_point(segment), log.last_position(n), nullptr, meter);
        if (!end) return std::move(end).error();
        if (meter.cancelled()) return {};
        VARVE_TRY(log.check_end(n, *end));
    }
    return {};
}

Result<void> copy_segment(const LogEnds& log, std::size_t n, const std::string& path,
                          std::uint64_t allocate, std::uint32_t permissions, Meter& meter) {
    os::Env& env = *log.meta.env;
    Segment& segment = *log.list.items[n];
    const std::string source = log.meta.segment_path(segment.number());
    const std::string fresh = path + ".new";
    auto stale = env.exists(fresh);
    if (!stale) return std::move(stale).error();
    if (*stale) VARVE_TRY(env.remove(fresh));
    std::array<std::byte, log::kSegmentHeaderSize> page;
    auto read = segment.file().read_at(0, page);
    if (!read) return std::move(read).error();
    log::SegmentHeader header;
    if (*read != page.size() ||
        log::decode_segment_header(page.data(), header) != log::HeaderState::valid)
        return broken(source, first_point(segment), "the segment's header fails its checksum");
    auto file = env.open(fresh, os::OpenMode::create, permissions);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->allocate(allocate));
    VARVE_TRY((*file)->write_at(0, page));
    const CopySource from{segment.file(), segment.keys, source, log.erased};
    auto end = copy_commits(from, first_point(segment), log.last_position(n), file->get(), meter);
    if (!end) return std::move(end).error();
    if (meter.cancelled()) return {};
    VARVE_TRY(log.check_end(n, *end));
    // The length that the header names, without space for what no commit uses.
    constexpr std::array<std::byte, 8> kZero{};
    if (end->offset + kZero.size() <= header.capacity && allocate < header.capacity)
        VARVE_TRY((*file)->write_at(header.capacity - kZero.size(), kZero));
    VARVE_TRY((*file)->sync());
    return env.rename(fresh, path);
}

Result<std::vector<SmallFile>> read_small_files(const Meta& from, const char* name,
                                                std::uint64_t largest) {
    std::vector<SmallFile> files;
    auto names = from.env->list(from.in(name));
    if (!names && names.error().code == ErrorCode::not_found) return files;
    if (!names) return std::move(names).error();
    for (const std::string& one : *names) {
        const std::string path = from.in(name) + "/" + one;
        auto file = from.env->open(path, os::OpenMode::read);
        if (!file) return std::move(file).error();
        auto size = (*file)->size();
        if (!size) return std::move(size).error();
        if (*size > largest)
            return failure(ErrorCode::too_large, "the file is larger than any of ours", path);
        SmallFile& read_into = files.emplace_back(one, std::vector<std::byte>(*size));
        auto read = (*file)->read_at(0, read_into.bytes);
        if (!read) return std::move(read).error();
        read_into.bytes.resize(*read);
    }
    return files;
}

Result<void> put_small_files(const Meta& to, const char* name, std::span<const SmallFile> files) {
    if (files.empty()) return {};
    VARVE_TRY(make_directory_if_missing(to, to.in(name)));
    for (const SmallFile& one : files) {
        VARVE_TRY(
            file::put_file(*to.env, to.in(name) + "/" + one.name, to.options.file_mode, one.bytes));
    }
    VARVE_TRY(sync_names(*to.env, to.in(name)));
    return sync_names(*to.env, to.path);
}

Result<void> make_directory_if_missing(const Meta& meta, const std::string& path) noexcept {
    auto there = meta.env->exists(path);
    if (!there) return std::move(there).error();
    return *there ? Result<void>{} : meta.env->make_directory(path, meta.directory_mode());
}

void remove_unfinished(const Meta& meta) noexcept {
    os::Env& env = *meta.env;
    const auto remove_all = [&](const std::string& directory, const auto& is_ours) {
        auto names = env.list(directory);
        if (!names) return;
        for (const std::string& name : *names) {
            if (is_ours(name)) static_cast<void>(env.remove(directory + "/" + name).has_value());
        }
    };
    const auto ends_with_ours = [](const std::string& name) {
        return name.find(".seg") != std::string::npos || name.find(".act") != std::string::npos ||
               name.find(".idx") != std::string::npos || name.find(".past") != std::string::npos;
    };
    remove_all(meta.log_directory(), ends_with_ours);
    remove_all(meta.index_directory(), ends_with_ours);
    remove_all(meta.in("consumers"), [](const std::string&) { return true; });
    remove_all(meta.in("attached"), [](const std::string&) { return true; });
    for (const std::string& one :
         {meta.log_directory(), meta.index_directory(), meta.in("consumers"), meta.in("attached")})
        static_cast<void>(env.remove_directory(one).has_value());
    for (const char* name :
         {"varve", "varve.new", "manifest", "manifest.new", "control", "control.new", "lock"})
        static_cast<void>(env.remove(meta.in(name)).has_value());
    static_cast<void>(env.remove_directory(meta.path).has_value());
}

Result<void> check_vacant(os::Env& env, const std::string& path) noexcept {
    if (path.empty()) return failure(ErrorCode::invalid_argument, "the path is empty");
    auto there = env.exists(path);
    if (!there) return std::move(there).error();
    if (!*there) return {};
    auto names = env.list(path);
    if (!names) return std::move(names).error();
    if (names->empty()) return {};
    return failure(ErrorCode::invalid_argument,
                   "the directory holds something already; nothing was changed: name one that is "
                   "missing or empty",
                   path);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
