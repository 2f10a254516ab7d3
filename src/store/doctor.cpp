// In what state the files of a store are: `Store::doctor`. Looks at names, file `varve`, manifest,
// control page, locks, the whole log and the indexes; changes nothing.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "file/backup_file.hpp"
#include "store/engine.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr const char* kRepair =
    "after `varve salvage`: `varve repair` makes it writable again, and drops every event from the "
    "first damaged one on";

/// One examination. `found_` is the answer.
class Examination {
public:
    Examination(const std::string& path, const OpenOptions& options, const Progress& progress)
        : path_(path), options_(options), progress_(progress) {
        options_.access = Access::read_only;
        options_.force_filesystem = true;
        env_ = options.env != nullptr ? options.env : &os::posix_env();
        while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
    }

    Result<Diagnosis> run();

private:
    /// The control page as it is found.
    struct Page {
        bool there = false;
        bool same_file = false;  ///< where it was made: not a copy
        bool same_boot = false;
        file::WriterState state = file::WriterState::none;
        std::uint64_t published = 0;
    };

    void say(const char* state, std::string cause, std::vector<std::string> safe,
             std::vector<std::string> unsafe = {});
    [[nodiscard]] Result<void> without_store_file(Ground ground);
    void store_file_refused(const Error& error, const Meta& raw);
    [[nodiscard]] Result<void> examine();
    [[nodiscard]] bool runs();
    void look_at_page();
    [[nodiscard]] bool ends_short(const file::ManifestContent& manifest, const Files& files) const;
    void judge(const VerifyReport& report, const file::ManifestContent& manifest,
               const Files& files);
    void judge_whole(const file::ManifestContent& manifest, const Files& files);
    void list_foreign();
    void check_index_files(const VerifyReport& report, const Files& files);
    [[nodiscard]] bool index_is_damaged(const OpenedSegment& one);

    std::string path_;
    OpenOptions options_;
    const Progress& progress_;
    os::Env* env_ = nullptr;
    std::shared_ptr<const Meta> meta_;
    Page page_;
    Diagnosis found_;
};

void Examination::say(const char* state, std::string cause, std::vector<std::string> safe,
                      std::vector<std::string> unsafe) {
    found_.state = state;
    found_.cause = std::move(cause);
    found_.safe = std::move(safe);
    found_.unsafe = std::move(unsafe);
}

/// No file `varve`: an unfinished store, or none.
Result<void> Examination::without_store_file(Ground ground) {
    auto backup = env_->exists(path_ + "/backup");
    if (!backup) return std::move(backup).error();
    auto begun = env_->exists(path_ + "/varve.new");
    if (!begun) return std::move(begun).error();
    Meta raw;
    raw.env = env_;
    raw.path = path_;
    raw.options = options_;
    auto numbers = list_segments(raw);
    const bool has_log = numbers && !numbers->empty();
    if (*backup) {
        say("half-made", "the run that made this backup was interrupted",
            {"run `varve backup` into it again: it goes on", "remove the directory"});
    } else if (ground == Ground::empty) {
        say("empty", "the directory is empty", {"open it for writing: a store is made in it"});
    } else if (ground == Ground::foreign && !has_log) {
        say("foreign directory", "there is no file `varve`, and files that are none of ours",
            {"leave it alone; name another directory"}, {"making a store in it is refused"});
    } else if (check_remains(raw)) {
        say("half-made", "the making of this store was interrupted before anything was stored",
            {"open it for writing: it is made again", "remove the directory"});
    } else if (*begun) {
        say("half-made",
            "a restore or salvage into this directory was interrupted: the file `varve.new` has "
            "not got its last name",
            {"remove the directory and run the command again"});
    } else {
        found_.damaged = true;
        say("damaged store file", "the file `varve` is missing beside a log that holds data",
            {"put the file back from a copy or backup of this very store"},
            {"making a store here would give the log up; it is refused"});
    }
    return {};
}

void Examination::store_file_refused(const Error& error, const Meta& raw) {
    if (error.code == ErrorCode::unsupported_version) {
        say("newer format", error.message, {"use a newer varve"},
            {"nothing of it may be changed by this version"});
    } else if (check_remains(raw)) {
        say("half-made", "the making of this store was interrupted before anything was stored",
            {"open it for writing: it is made again", "remove the directory"});
    } else {
        found_.damaged = true;
        say("damaged store file", error.message,
            {"put the file `varve` back from a copy or backup of this very store"},
            {"making a store here would give the log up; it is refused"});
    }
}

void Examination::list_foreign() {
    const auto look = [&](const std::string& folder, const auto& is_ours) {
        auto names = env_->list(folder.empty() ? path_ : path_ + "/" + folder);
        if (!names) return;
        for (const std::string& name : *names) {
            if (!is_ours(name))
                found_.foreign.push_back(folder.empty() ? name : folder + "/" + name);
        }
    };
    look("", [](const std::string& name) {
        return is_our_name(name) || name == "backup" || name == "backup.new";
    });
    const auto segment = [](const std::string& name) {
        const bool fresh = name.ends_with(".new");
        return segment_number(fresh ? name.substr(0, name.size() - 4) : name) != 0;
    };
    look("log", segment);
    look("dropped", [&](const std::string& name) {
        return segment(name) || name.ends_with(".cut") || name.ends_with(".cut.new");
    });
    look("index", [](const std::string& name) {
        return name.find(".act") != std::string::npos || name.find(".idx") != std::string::npos ||
               name.find(".past") != std::string::npos || name.starts_with(kScratchName);
    });
    std::sort(found_.foreign.begin(), found_.foreign.end());
}

/// True if a writer has the store open.
bool Examination::runs() {
    auto lock = env_->open(meta_->in("lock"), os::OpenMode::read);
    if (!lock) return false;
    auto held = (*lock)->is_locked();
    if (!held || !*held) return false;
    found_.open = true;
    std::array<std::byte, 256> note{};
    auto read = (*lock)->read_at(0, note);
    std::string holder(read ? base::as_text(base::Bytes{note}.first(*read)) : std::string_view{});
    holder = holder.substr(0, holder.find('\0'));
    if (page_.there && page_.state == file::WriterState::failed) {
        say("failed sync", "a sync of the writer failed; it is still open: " + holder,
            {"close the writer and open the store again: what is still there is made durable"},
            {"a power cut before that loses what is not durable"});
    } else {
        say("running", "a writer has it open: " + holder,
            {"read it, follow it, back it up with `varve backup`"},
            {"copying the directory with other programs gives a copy that may be damaged"});
    }
    return true;
}

void Examination::look_at_page() {
    auto file = env_->open(meta_->in("control"), os::OpenMode::read);
    if (!file) return;
    std::array<std::byte, sizeof(file::Control)> raw{};
    auto read = (*file)->read_at(0, raw);
    auto expected = file::expected_identity(*env_, **file, meta_->file.uuid);
    if (!read || *read < raw.size() || !expected) return;
    const auto identity = base::load<file::ControlIdentity>(raw.data());
    if (identity.magic != file::kControlMagic || identity.uuid != meta_->file.uuid) return;
    page_.there = true;
    page_.same_file = identity.inode == expected->identity.inode &&
                      identity.birth_ns == expected->identity.birth_ns;
    page_.same_boot = page_.same_file && identity == expected->identity;
    page_.state = static_cast<file::WriterState>(
        base::load<std::uint32_t>(raw.data() + offsetof(file::Control, state)));
    page_.published = base::load<std::uint64_t>(raw.data() + offsetof(file::Control, published));
}

/// True if what is missing is the end of what was durable: the newest file is shorter than its
/// header says, or gone.
bool Examination::ends_short(const file::ManifestContent& manifest, const Files& files) const {
    const file::ManifestEntry* vouched = manifest.last_point();
    std::uint64_t newest = 0;
    const OpenedSegment* last = nullptr;
    for (const OpenedSegment& one : files.opened) {
        if (one.image.state == log::HeaderState::unused) continue;
        newest = std::max(newest, one.segment->number());
        last = &one;
    }
    if (vouched != nullptr && vouched->segment > newest) return true;
    if (last == nullptr) return false;
    const log::SegmentImage& image = last->image;
    return image.bytes.size() < log::kSegmentHeaderSize ||
           (image.state == log::HeaderState::damaged && image.header.capacity > image.bytes.size());
}

void Examination::judge(const VerifyReport& report, const file::ManifestContent& manifest,
                        const Files& files) {
    const Damage& first = report.damaged.front();
    const std::string where =
        first.file + " offset " + std::to_string(first.offset) + ": " + first.what +
        (report.damaged.size() > 1
             ? " (and " + std::to_string(report.damaged.size() - 1) + " more places)"
             : "");
    const auto newer = std::find_if(report.damaged.begin(), report.damaged.end(),
                                    [](auto& one) { return one.what == log::kWrittenByNewer; });
    if (newer != report.damaged.end()) {
        return say("newer format", newer->file + ": " + newer->what, {"use a newer varve"},
                   {"nothing of it may be changed by this version"});
    }
    found_.damaged = true;
    const std::vector<std::string> safe{"read around it: open the store read-only",
                                        "`varve verify` names every damaged place",
                                        "restore a backup into a new directory",
                                        "`varve salvage` copies what can be read into a new store"};
    const bool copied =
        page_.there && !page_.same_file && page_.state == file::WriterState::running;
    if (copied) {
        say("copied while live",
            "the files were copied while a writer had them open, and do not fit together: " + where,
            safe, {"opening it for writing, where that is not refused, drops what does not fit"});
    } else if (ends_short(manifest, files)) {
        say("cut tail", "the end of what was durable is missing: " + where, safe,
            {kRepair, "removing or cutting files by hand: what can be read may go with them"});
    } else {
        say("damaged middle", where, safe,
            {kRepair, "removing or cutting files by hand: what can be read may go with them"});
    }
}

/// Everything that can be told to be durable is there.
void Examination::judge_whole(const file::ManifestContent& manifest, const Files& files) {
    const log::Recovery end = log::recover(files.images, start_of(manifest));
    const bool unused = end.end.position == 0 && end.tail_is_zero;
    const std::string tail = end.dropped_bytes == 0
                                 ? ""
                                 : "; " + std::to_string(end.dropped_bytes) +
                                       " bytes behind the end were never synced and are cut off";
    const std::vector<std::string> open{"open it for writing: it recovers by itself", "read it"};
    auto backup = env_->exists(meta_->in("backup"));
    if (backup && *backup) {
        say("clean", "a complete backup", {"`varve restore` makes a store of it", "read it"},
            {"opening it for writing is refused"});
    } else if (page_.there && !page_.same_file && page_.state == file::WriterState::running) {
        say("copied while live",
            "the files were copied while a writer had them open; what can be checked is whole" +
                tail,
            {"read it", "`varve backup` of the original makes a copy that is certain"},
            {"the end of it may be missing: what the writer had not yet stored is not there"});
    } else if (page_.there && page_.state == file::WriterState::failed) {
        say("failed sync", "a sync failed, and the writer has gone" + tail, open,
            {"a power cut before it is opened loses what is not durable"});
    } else if (closed_cleanly(manifest, files) || unused) {
        say("clean", unused ? "nothing was ever stored" : "its last writer closed it",
            {"anything"});
    } else if (page_.same_boot) {
        say("crashed", "its last writer ended without closing it; everything it placed is there",
            open);
    } else {
        say("power cut",
            "the machine stopped, or the files were moved, before it was closed" + tail, open);
    }
}

/// Index files of this boot against the log, and what was found of the sealed ones.
void Examination::check_index_files(const VerifyReport& report, const Files& files) {
    const auto relative = [&](const std::string& path) {
        return path.substr(meta_->path.size() + 1);
    };
    for (const Damage& one : report.indexes_damaged) found_.indexes.push_back(relative(one.file));
    for (const std::string& path : report.indexes_missing) found_.missing.push_back(relative(path));
    for (const OpenedSegment& one : files.opened) {
        if (one.image.state != log::HeaderState::valid || !index_is_damaged(one)) continue;
        found_.indexes.push_back(relative(meta_->active_index_path(one.segment->number())));
    }
    if (found_.indexes.empty() || found_.damaged) return;
    say("damaged index",
        "index file " + found_.indexes.front() +
            " is damaged or contradicts the log, which is whole",
        {"close all processes of the store and remove the directory `index`: it is built again"},
        {"answers by name may be short until then"});
}

bool Examination::index_is_damaged(const OpenedSegment& one) {
    Segment& segment = *one.segment;
    auto file = env_->open(meta_->active_index_path(segment.number()), os::OpenMode::read);
    if (!file) return false;  // missing: built again when it is needed
    std::array<std::byte, sizeof(index::ActHeader)> raw{};
    auto read = (*file)->read_at(0, raw);
    if (!read) return true;
    if (base::all_zero(base::Bytes{raw}) && *read == raw.size()) return false;  // prepared
    const auto header = base::load<index::ActHeader>(raw.data());
    if (*read < raw.size() || header.magic != index::kActMagic) return true;
    std::array<std::byte, 16> boot{};
    env_->boot_id(boot);
    auto identity = (*file)->identity();
    const bool ours = identity && header.boot == boot && header.inode == identity->inode &&
                      header.birth_ns == identity->birth_ns && header.mount == identity->mount;
    if (!ours) return false;  // of another boot: nobody believes it
    if (!attach_index(*meta_, segment, os::MapAccess::read)) return true;
    log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment),
                                segment.first() + segment.index.events() - 1);
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (step != log::SegmentScanner::Step::record) continue;
        const std::uint64_t ordinal = scanner.record().header.position - segment.first();
        if (segment.offset_of(ordinal) != scanner.offset()) return true;
    }
    return false;
}

Result<void> Examination::examine() {
    look_at_page();
    if (runs()) return {};
    auto manifest = file::read_manifest(*env_, meta_->in("manifest"), meta_->manifest_seed());
    if (!manifest && manifest.error().code != ErrorCode::not_found)
        return std::move(manifest).error();
    const file::ManifestContent content = manifest ? std::move(*manifest) : file::ManifestContent{};
    auto files = open_files(*meta_, content, os::MapAccess::read);
    if ((!files && files.error().code == ErrorCode::unsupported_version) || content.newer) {
        say("newer format",
            files ? "the manifest holds entries of a newer version" : files.error().message,
            {"use a newer varve"}, {"nothing of it may be changed by this version"});
        return {};
    }
    if (!files) return std::move(files).error();
    auto report = Store::verify(path_, options_, progress_);
    if (!report) return std::move(report).error();
    if (report->damaged.empty())
        judge_whole(content, *files);
    else
        judge(*report, content, *files);
    check_index_files(*report, *files);
    return {};
}

Result<Diagnosis> Examination::run() {
    auto ground = look_at_ground(*env_, path_);
    if (!ground && ground.error().code == ErrorCode::not_a_store)
        return base::failure(ErrorCode::not_a_store, "this is not a directory", path_);
    if (!ground) return std::move(ground).error();
    if (*ground == Ground::missing)
        return base::failure(ErrorCode::not_found, "there is nothing here", path_);
    if (*ground != Ground::store) {
        list_foreign();
        VARVE_TRY(without_store_file(*ground));
        return std::move(found_);
    }
    list_foreign();
    auto meta = meta_for_reading(path_, options_);
    if (!meta) {
        const ErrorCode code = meta.error().code;
        if (code != ErrorCode::corrupt && code != ErrorCode::unsupported_version &&
            code != ErrorCode::not_a_store)
            return std::move(meta).error();
        Meta raw;
        raw.env = env_;
        raw.path = path_;
        raw.options = options_;
        store_file_refused(meta.error(), raw);
        return std::move(found_);
    }
    meta_ = std::move(*meta);
    VARVE_TRY(examine());
    return std::move(found_);
}

}  // namespace

}  // namespace store

Result<Diagnosis> Store::doctor(const std::string& path, const OpenOptions& options,
                                const Progress& progress) noexcept {
    try {
        return store::Examination(path, options, progress).run();
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to examine the store", path);
    }
}

}  // namespace v0
}  // namespace varve
