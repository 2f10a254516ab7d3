#include "consumer/checkpoint_file.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

namespace {

constexpr std::string_view kLane = "lane~";  // how the names of lanes' files begin

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string how_to_reset(const std::string& path) {
    const std::string name = name_of(path);
    return "; the file stays as it is until `varve consumers STORE reset " +
           (name.starts_with(kLane) ? "GROUP" : name) + "`";
}

Result<bool> read_whole(os::File& file, std::uint64_t offset, base::MutableBytes into) noexcept {
    auto read = file.read_at(offset, into);
    if (!read) return std::move(read).error();
    return *read == into.size();
}

/// False if the slot cannot be read.
Result<bool> read_slot(os::File& file, std::size_t n, const FileContent& content, const Uuid& uuid,
                       Saved& saved) {
    std::array<std::byte, kPage> page{};
    auto read = read_whole(file, slot_offset(n), page);
    if (!read || !*read) return read;
    if (!decode_slot(n, uuid, page, saved.slot)) return false;
    const Slot& slot = saved.slot;
    saved.state.resize(slot.state_length);
    const base::MutableBytes state{reinterpret_cast<std::byte*>(saved.state.data()),
                                   saved.state.size()};
    if (slot.state_offset == 0) {
        const std::size_t length = std::min(state.size(), kInlineState);
        if (length > 0) std::memcpy(state.data(), page.data() + kSlotHeadSize, length);
        return true;
    }
    if (slot.state_offset != state_offset(n, state.size(), content.header.selector_length))
        return false;
    read = read_whole(file, slot.state_offset, state);
    if (!read || !*read) return read;
    return base::crc32c(0, state) == slot.state_crc ||
           base::seeded(base::SeededBug::slot_unchecked);
}

Error damaged(const std::string& path, const std::string& what, std::uint64_t offset = 0) {
    return failure(ErrorCode::corrupt, title_of(path) + " is damaged: " + what + how_to_reset(path),
                   path, offset);
}

Result<void> read_header(os::File& file, const std::string& path, const Uuid& uuid,
                         FileContent& content) {
    std::array<std::byte, kHeaderSize> raw{};
    auto read = read_whole(file, 0, raw);
    if (!read) return std::move(read).error();
    FileHeader& header = content.header;
    header = base::load<FileHeader>(raw.data());
    if (header.magic == kMagic && header.format > kGroupFormat) {
        content.error = failure(ErrorCode::unsupported_version,
                                "the consumer was written by a newer version of varve", path);
        return {};
    }
    std::string selector;
    if (header.selector_length <= Selector::kMaxBytes) selector.resize(header.selector_length);
    read = read_whole(file, kSelectorOffset,
                      {reinterpret_cast<std::byte*>(selector.data()), selector.size()});
    if (!read) return std::move(read).error();
    if (const char* wrong = check_header(header, selector)) {
        content.error = damaged(path, wrong);
        return {};
    }
    auto decoded = Selector::decode(selector);
    if (!decoded) {
        content.error = damaged(path, "what it follows cannot be read", kSelectorOffset);
        return {};
    }
    content.selector = std::move(*decoded);
    if (header.uuid != uuid)
        content.error =
            failure(ErrorCode::stale,
                    title_of(path) + " belongs to another store" + how_to_reset(path), path);
    return {};
}

Result<FileContent> read_content(os::File& file, const std::string& path, const Uuid& uuid) {
    FileContent content;
    VARVE_TRY(read_header(file, path, uuid, content));
    if (content.error) return content;
    for (std::size_t n = 0; n < 2; ++n) {
        Saved saved;
        auto read = read_slot(file, n, content, uuid, saved);
        if (!read) return std::move(read).error();
        if (!*read) continue;
        const bool newer = content.newest < 0 || content.saved().slot.number < saved.slot.number;
        content.slots[n] = std::move(saved);
        if (newer) content.newest = static_cast<int>(n);
    }
    if (content.newest < 0)
        content.error =
            damaged(path, "neither of its two checkpoints holds its checksum", slot_offset(0));
    return content;
}

}  // namespace

Result<FileContent> read_file(os::File& file, const std::string& path, const Uuid& uuid) noexcept {
    try {
        // Whoever has it may be writing one slot, and then the other one, while we read.
        constexpr int kTries = 3;
        auto content = read_content(file, path, uuid);
        for (int n = 1; n < kTries && content && content->selector && content->newest < 0; ++n)
            content = read_content(file, path, uuid);
        return content;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to read a checkpoint", path);
    }
}

namespace {

/// Writes and syncs a file that nobody else can see yet.
Result<void> fill_file(const Place& place, const std::string& path, std::string_view selector,
                       Saved& first, FileHeader header) noexcept {
    auto file = place.env->open(path, os::OpenMode::create, place.permissions);
    if (!file) return std::move(file).error();
    const std::uint64_t size = file_size(first.state.size(), selector.size());
    VARVE_TRY((*file)->allocate(size));
    std::array<std::byte, kPage> page{};
    header.uuid = place.uuid;
    header.created_us = place.env->now_us();
    base::store(page.data(), make_header(header, selector));
    VARVE_TRY((*file)->write_at(0, page));
    if (!selector.empty()) VARVE_TRY((*file)->write_at(kSelectorOffset, base::as_bytes(selector)));
    const std::uint64_t state_at = state_offset(0, first.state.size(), selector.size());
    if (state_at != 0) VARVE_TRY((*file)->write_at(state_at, base::as_bytes(first.state)));
    page = {};
    static_cast<void>(encode_slot(0, place.uuid, first, state_at, page));
    VARVE_TRY((*file)->write_at(slot_offset(0), page));
    return (*file)->sync();
}

/// The store does not make it: whoever only reads the store may still have consumers, where
/// somebody has given them a directory to write to.
Result<void> have_directory(const Place& place) noexcept {
    auto there = place.env->exists(place.directory);
    if (!there) return std::move(there).error();
    if (*there) return {};
    VARVE_TRY(place.env->make_directory(place.directory, place.directory_permissions));
    return place.env->sync_directory(place.parent);
}

std::uint64_t random_number(os::Env& env) noexcept {
    std::array<std::byte, 8> random{};
    env.random(random);
    return base::load<std::uint64_t>(random.data());
}

std::string fresh_path(const Place& place, std::string_view name) {
    return place.file_of(name) + kBeside + "new-" + std::to_string(random_number(*place.env));
}

/// The files of all lanes of a group. Nothing names them before the group's own file is there.
Result<void> fill_lanes(const Place& place, std::string_view selector, const Saved& first,
                        const FileHeader& group) {
    if (group.lanes == 0) return {};
    for (std::uint32_t n = 0; n < group.lanes; ++n) {
        FileHeader header = group;
        header.id = random_number(*place.env);
        header.group = group.id;
        header.lane = n;
        Saved own = first;
        const std::string path = place.file_of(lane_name(group.id, n));
        VARVE_TRY(fill_file(place, path, selector, own, header));
    }
    return place.env->sync_directory(place.directory);
}

}  // namespace

void remove_lanes(const Place& place, std::uint64_t group, std::uint32_t count) {
    for (std::uint32_t n = 0; n < count; ++n)
        static_cast<void>(place.env->remove(place.file_of(lane_name(group, n))));
}

std::string title_of(const std::string& path) {
    const std::string name = name_of(path);
    if (!name.starts_with(kLane)) return "consumer " + name;
    return "lane " + name.substr(name.rfind('-') + 1) + " of a consumer group";
}

std::string lane_name(std::uint64_t group, std::uint32_t lane) {
    return std::string(kLane) + std::to_string(group) + "-" + std::to_string(lane);
}

Result<void> create_file(const Place& place, std::string_view name, const Selector& selector,
                         Saved first, bool replace, const Lanes& lanes) noexcept {
    try {
        os::Env& env = *place.env;
        VARVE_TRY(have_directory(place));
        const std::string path = fresh_path(place, name);
        first.slot.number = 1;
        FileHeader header;
        header.id = random_number(env);
        header.lanes = lanes.count;
        header.tag_length =
            static_cast<std::uint32_t>(lanes.tag.copy(header.tag.data(), kMaxLaneTag));
        const std::string_view follows = selector.encoded();
        auto filled = fill_lanes(place, follows, first, header);
        if (filled) filled = fill_file(place, path, follows, first, header);
        // It gets its name when it is whole; a name that is taken stays with who has it.
        if (filled)
            filled = replace ? env.rename(path, place.file_of(name))
                             : env.link(path, place.file_of(name));
        if (!filled || !replace) static_cast<void>(env.remove(path));
        if (!filled) {
            remove_lanes(place, header.id, lanes.count);
            auto taken = env.exists(place.file_of(name));
            if (taken && *taken && !replace)
                return failure(ErrorCode::invalid_argument,
                               "there is a consumer of this name already", place.file_of(name));
            return filled;
        }
        return env.sync_directory(place.directory);
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to make a consumer");
    }
}

Result<Words> Words::map(os::File& file, os::MapAccess access) noexcept {
    auto mapping = file.map(kPage, access);
    if (!mapping) return std::move(mapping).error();
    Words words;
    words.mapping_ = std::move(*mapping);
    return words;
}

std::optional<Words> Words::find(os::File& file) noexcept {
    auto size = file.size();
    if (!size || *size < kSelectorOffset) return std::nullopt;
    auto words = map(file, os::MapAccess::read);
    if (!words) return std::nullopt;
    return std::move(*words);
}

std::string Words::holder() const {
    const std::string_view holder(get().holder, kHolderSize);
    return std::string(holder.substr(0, holder.find('\0')));
}

void tell(os::Env& env, SharedWords& words) noexcept {
    if (base::seeded(base::SeededBug::consumer_wake_lost)) return;
    words.wake.fetch_add(1, std::memory_order_release);
    env.wake_all(words.wake);
}

namespace {

/// A deliberate defect: nobody is dead because of a time.
bool seems_dead(const Place& place, os::File& file, const std::string& path) {
    if (!base::seeded(base::SeededBug::takeover_by_time_out)) return false;
    constexpr std::int64_t kSecondUs = 1'000'000;
    auto content = read_file(file, path, place.uuid);
    return content && content->newest >= 0 &&
           place.env->now_us() - content->saved().slot.time_us > kSecondUs;
}

}  // namespace

Result<std::unique_ptr<CheckpointFile>> CheckpointFile::open(const Place& place,
                                                             std::string_view name) noexcept {
    try {
        const std::string path = place.file_of(name);
        auto file = place.env->open(path, os::OpenMode::read_write);
        if (!file) return std::move(file).error();
        std::unique_ptr<CheckpointFile> opened(new CheckpointFile(*place.env, path, place.uuid));
        auto locked = (*file)->try_lock();
        if (!locked) return std::move(locked).error();
        auto size = (*file)->size();
        if (!size) return std::move(size).error();
        if (*size < kSelectorOffset) return damaged(path, "it is too short");
        auto words = Words::map(**file, os::MapAccess::read_write);
        if (!words) return std::move(words).error();
        if (!*locked && !seems_dead(place, **file, path)) {
            return failure(ErrorCode::locked, title_of(path) + " is in use by " + words->holder(),
                           path);
        }
        opened->size_ = *size;
        opened->file_ = std::make_unique<os::ForkGuard>(std::move(*file));
        opened->words_ = std::move(*words);
        // Its name may belong to another file by now: one that was put aside is nobody's.
        auto named = place.env->identity_of(path);
        auto ours = opened->file_->file()->identity();
        if (!ours) return std::move(ours).error();
        if (!named || named->inode != ours->inode)
            return failure(ErrorCode::locked, "the consumer is being made anew; try again", path);
        auto content = read_file(*opened->file_->file(), path, place.uuid);
        if (!content) return std::move(content).error();
        if (content->error) return std::move(*content->error);
        opened->content_ = std::move(*content);
        opened->ours_ = true;
        const std::string self = place.env->self();
        std::array<char, kHolderSize> holder{};
        self.copy(holder.data(), holder.size() - 1);
        std::memcpy(opened->words().holder, holder.data(), holder.size());
        return opened;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to open a consumer");
    }
}

Result<void> make_names_durable(os::Env& env, const std::string& path) noexcept {
    const std::string directory = path.substr(0, path.rfind('/'));
    VARVE_TRY(env.sync_directory(directory));
    return env.sync_directory(directory.substr(0, directory.rfind('/')));
}

CheckpointFile::~CheckpointFile() {
    if (file_ == nullptr || file_->file() == nullptr) return;
    // The lock goes first: whoever wakes up now gets it.
    file_.reset();
    if (ours_ && words_.mapping().data() != nullptr) tell(env_, words());
}

Result<void> CheckpointFile::usable() const noexcept {
    if (failed_)
        return failure(ErrorCode::poisoned,
                       "a sync of the checkpoint has failed; open the consumer again", path_);
    if (file_->file() == nullptr)
        return failure(ErrorCode::closed, "the consumer belongs to the parent process", path_);
    return {};
}

/// Writes slot `n`, and its state where that lies elsewhere.
Result<void> CheckpointFile::put(std::size_t n, Saved& saved) noexcept {
    os::File& file = *file_->file();
    const std::uint64_t state_at =
        state_offset(n, saved.state.size(), content_.header.selector_length);
    if (state_at != 0) VARVE_TRY(file.write_at(state_at, base::as_bytes(saved.state)));
    std::array<std::byte, kPage> page;
    const std::size_t length = encode_slot(n, uuid_, saved, state_at, page);
    return file.write_at(slot_offset(n), Bytes{page}.first(length));
}

/// What an earlier holder has left may not be on the disk, and after a failed sync its pages count
/// as clean: the newest slot is stored once more as it is, and synced. The other one is untouched.
/// Whoever made the file may have died before its name was durable; for a lane the member did that
/// when it joined.
Result<void> CheckpointFile::settle() noexcept {
    if (durable_ >= 0) return {};
    if (content_.header.group == 0) VARVE_TRY(make_names_durable(env_, path_));
    VARVE_TRY(put(static_cast<std::size_t>(content_.newest), *content_.slot(content_.newest)));
    return sync_newest();
}

Result<void> CheckpointFile::grow(std::uint64_t bytes) noexcept {
    if (size_ >= bytes) return {};
    os::File& file = *file_->file();
    // A simulated file cannot grow under a mapping; where there are threads, one may wait on it.
    if (!env_.has_threads()) words_.unmap();
    auto allocated = file.allocate(bytes);
    if (allocated) size_ = bytes;
    if (env_.has_threads()) return allocated;
    auto words = Words::map(file, os::MapAccess::read_write);
    if (!words) {
        failed_ = true;  // nobody could be told anything any more
        return std::move(words).error();
    }
    words_ = std::move(*words);
    return allocated;
}

Result<void> CheckpointFile::write(Saved saved) noexcept {
    VARVE_TRY(reserve(saved.state.size()));
    VARVE_TRY(settle());
    // A slot is replaced in one piece as long as it fits into its page. A state elsewhere does not:
    // it must not be written over the newest one.
    if (saved.state.size() > kInlineState && unsynced()) VARVE_TRY(sync());
    int into = 1 - durable_;
    if (base::seeded(base::SeededBug::single_slot)) into = content_.newest;
    saved.slot.number = content_.saved().slot.number + 1;
    auto written = put(static_cast<std::size_t>(into), saved);
    failed_ = !written;  // what stands there now is not known
    if (!written) return written;
    content_.slot(into) = std::move(saved);
    content_.newest = into;
    tell(env_, words());
    return {};
}

Result<void> CheckpointFile::sync() noexcept {
    VARVE_TRY(usable());
    VARVE_TRY(settle());
    return unsynced() ? sync_newest() : Result<void>{};
}

Result<void> CheckpointFile::sync_newest() noexcept {
    auto synced = file_->file()->sync();
    // Asked again, the kernel would say yes without having written anything.
    failed_ = !synced;
    if (synced) durable_ = content_.newest;
    return synced;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
