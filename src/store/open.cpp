// The main story of opening: what stands there · create or load · lock · hand over to the writer or
// the reader side.
#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/engine.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

namespace {

Result<void> check_options(const OpenOptions& options, const std::string& path) noexcept {
    const auto refuse = [](const char* why) { return failure(ErrorCode::invalid_argument, why); };
    if (path.empty()) return refuse("the path of the store is empty");
    if (options.segment_size_first < (64ULL << 10))
        return refuse("segment_size_first is below 64 KiB");
    if (options.segment_size_max > (1ULL << 30)) return refuse("segment_size_max is above 1 GiB");
    if (options.segment_size_first > options.segment_size_max)
        return refuse("segment_size_first is above segment_size_max");
    if ((options.file_mode & 0600U) != 0600U || options.file_mode > 0777U)
        return refuse("file_mode must let its owner read and write");
    if (options.interval_ms == 0 || options.interval_bytes == 0) return refuse("an interval of 0");
    if (options.hash_bits < 1 || options.hash_bits > 64)
        return refuse("hash_bits is not within 1 to 64");
    return {};
}

Result<void> check_file_system(os::Env& env, const OpenOptions& options,
                               const std::string& path) noexcept {
    auto kind = env.file_system(path);
    if (!kind) return std::move(kind).error();
    if (*kind != os::FileSystemKind::unsupported || options.force_filesystem) return {};
    return failure(
        ErrorCode::unsupported_filesystem,
        "this file system cannot keep the promises (network and user-space ones cannot); "
        "put the store on ext4, xfs, btrfs or tmpfs",
        path);
}

Result<file::StoreFile> load_store_file(const Meta& meta) noexcept {
    auto file = meta.env->open(meta.in("varve"), os::OpenMode::read);
    if (!file) return std::move(file).error();
    std::vector<std::byte> bytes(file::kStoreFileSize + 1);
    auto read = (*file)->read_at(0, bytes);
    if (!read) return std::move(read).error();
    return file::decode_store_file(base::Bytes{bytes}.first(*read), meta.in("varve"));
}

void adopt(Meta& meta, const file::StoreFile& content) noexcept {
    meta.file = content;
    meta.hasher = index::Hasher(content.secret, static_cast<std::uint8_t>(content.hash_bits));
}

/// True if every byte of the file is zero, or there is none.
Result<bool> is_blank(const Meta& meta, const std::string& path) noexcept {
    auto file = meta.env->open(path, os::OpenMode::read);
    if (!file && file.error().code == ErrorCode::not_found) return true;
    if (!file) return std::move(file).error();
    std::vector<std::byte> bytes(64 << 10);
    for (std::uint64_t at = 0;; at += bytes.size()) {
        auto read = (*file)->read_at(at, bytes);
        if (!read) return std::move(read).error();
        if (!base::all_zero(base::Bytes{bytes}.first(*read))) return false;
        if (*read < bytes.size()) return true;
    }
}

/// True if nothing was ever stored: manifest and segments are blank. The first append makes
/// everything durable and leaves an entry in the manifest before it places anything.
Result<bool> was_never_used(const Meta& meta) noexcept {
    auto blank = is_blank(meta, meta.in("manifest"));
    if (!blank || !*blank) return blank;
    auto numbers = list_segments(meta);
    if (!numbers) return std::move(numbers).error();
    for (const std::uint64_t number : *numbers) {
        blank = is_blank(meta, meta.segment_path(number));
        if (!blank || !*blank) return blank;
    }
    return true;
}

/// True if the file `varve` can be what a power cut left of ours: not longer, and its magic word is
/// ours or not written yet.
Result<bool> is_torn_store_file(const Meta& meta) noexcept {
    auto file = meta.env->open(meta.in("varve"), os::OpenMode::read);
    if (!file) return std::move(file).error();
    std::array<std::byte, file::kStoreFileSize + 1> bytes{};
    auto read = (*file)->read_at(0, bytes);
    if (!read) return std::move(read).error();
    const auto magic = base::load<std::uint64_t>(bytes.data());
    return *read <= file::kStoreFileSize && (magic == 0 || magic == file::kStoreMagic);
}

/// A store that is not whole, found before anything is touched: may it be made again? Only if all
/// that stands there is ours and nothing was ever stored. Otherwise the answer is `why`.
Result<void> may_be_made_again(const Meta& meta, Error why) noexcept {
    auto only_ours = holds_only_ours(*meta.env, meta.path);
    if (!only_ours) return std::move(only_ours).error();
    auto unused = was_never_used(meta);
    if (!unused) return std::move(unused).error();
    if (*only_ours && *unused) return {};
    return why;
}

struct Prepared {
    std::unique_ptr<os::ForkGuard> lock;
    bool created = false;
};

/// A store file that does not verify: a torn one of a store that was never used may be replaced.
Result<void> check_store_file(Meta& meta) noexcept {
    auto content = load_store_file(meta);
    if (content) {
        adopt(meta, *content);
        return {};
    }
    if (content.error().code != ErrorCode::corrupt) return std::move(content).error();
    auto torn = is_torn_store_file(meta);
    if (!torn) return std::move(torn).error();
    auto only_ours = holds_only_ours(*meta.env, meta.path);
    if (!only_ours) return std::move(only_ours).error();
    if (!*torn && !*only_ours) {
        return failure(ErrorCode::not_a_store,
                       "the directory holds something else, and a file `varve` that is none of "
                       "ours; it was left untouched",
                       meta.path);
    }
    if (!*torn) return std::move(content).error();
    return may_be_made_again(meta, std::move(content).error());
}

/// Files of ours without a store file: half made, or it was lost.
Result<void> check_remains(const Meta& meta, Ground ground) noexcept {
    if (ground != Ground::half_made) return {};
    return may_be_made_again(
        meta, failure(ErrorCode::corrupt,
                      "the file `varve` is missing beside a log that holds data; nothing was "
                      "touched: put the file back from a copy of this store",
                      meta.in("varve")));
}

/// For writers: takes the lock, creates the store if there is none. Leaves `meta` complete.
Result<Prepared> prepare_to_write(Meta& meta, Ground ground) noexcept {
    const OpenOptions& options = meta.options;
    const bool exists = ground == Ground::store;
    if (!exists && options.create == Create::never) {
        return failure(ErrorCode::not_found, "there is no store here", meta.path);
    }
    if (exists && options.create == Create::must) {
        return failure(ErrorCode::invalid_argument, "there is a store already", meta.path);
    }
    if (ground == Ground::missing)
        VARVE_TRY(meta.env->make_directory(meta.path, meta.directory_mode()));
    VARVE_TRY(exists ? check_store_file(meta) : check_remains(meta, ground));
    auto lock = take_lock(meta);
    if (!lock) return std::move(lock).error();
    // Somebody may have finished it while we waited for the lock.
    auto again = look_at_ground(*meta.env, meta.path);
    if (!again) return std::move(again).error();
    if (*again == Ground::store) {
        auto content = load_store_file(meta);
        if (content) {
            adopt(meta, *content);
            return Prepared{std::move(*lock), false};
        }
        VARVE_TRY(check_store_file(meta));
        VARVE_TRY(meta.env->remove(meta.in("varve")));
    }
    auto made = create_store(meta, options.durability == Durability::disk);
    if (!made) return std::move(made).error();
    adopt(meta, *made);
    return Prepared{std::move(*lock), true};
}

Result<void> prepare_to_read(Meta& meta, Ground ground) noexcept {
    if (ground != Ground::store)
        return failure(ErrorCode::not_found, "there is no store here", meta.path);
    auto content = load_store_file(meta);
    if (!content) return std::move(content).error();
    adopt(meta, *content);
    return {};
}

/// Checks the call and what stands at the path.
Result<std::shared_ptr<Meta>> look(const std::string& path, const OpenOptions& options,
                                   Ground& ground) {
    VARVE_TRY(check_options(options, path));
    auto meta = std::make_shared<Meta>();
    meta->env = options.env != nullptr ? options.env : &os::posix_env();
    meta->path = path;
    meta->options = options;
    while (meta->path.size() > 1 && meta->path.back() == '/') meta->path.pop_back();
    auto found = look_at_ground(*meta->env, meta->path);
    if (!found) return std::move(found).error();
    ground = *found;
    if (ground == Ground::foreign) {
        return failure(ErrorCode::not_a_store,
                       "the directory holds something else; it was left untouched", meta->path);
    }
    VARVE_TRY(check_file_system(*meta->env, options, meta->path));
    return meta;
}

}  // namespace

Result<std::shared_ptr<const Meta>> meta_for_reading(const std::string& path,
                                                     const OpenOptions& options) {
    Ground ground{};
    auto meta = look(path, options, ground);
    if (!meta) return std::move(meta).error();
    VARVE_TRY(prepare_to_read(**meta, ground));
    return std::shared_ptr<const Meta>(std::move(*meta));
}

Engine::Engine(std::shared_ptr<const Meta> meta, Opening opening) noexcept
    : meta_(std::move(meta)), opening_(opening) {}

Engine::~Engine() {
    if (os::fork_generation() == generation_) return;
    // A forked child: the helper thread and whoever held a lock exist only in the parent. Nothing
    // of it may be touched.
    static_cast<void>(writer_.release());
    static_cast<void>(reader_.release());
}

Result<std::shared_ptr<Engine>> Engine::open(const std::string& path,
                                             const OpenOptions& options) noexcept {
    try {
        Ground ground{};
        auto looked = look(path, options, ground);
        if (!looked) return std::move(looked).error();
        const std::shared_ptr<Meta> meta = std::move(*looked);
        Opening opening;
        if (options.access == Access::read_only) {
            VARVE_TRY(prepare_to_read(*meta, ground));
            auto reader = std::make_unique<ReaderSide>(meta);
            VARVE_TRY(reader->open(opening));
            auto engine = std::make_shared<Engine>(meta, opening);
            engine->reader_ = std::move(reader);
            return engine;
        }
        auto prepared = prepare_to_write(*meta, ground);
        if (!prepared) return std::move(prepared).error();
        auto start = open_for_writing(*meta, std::move(prepared->lock), opening);
        if (!start) return std::move(start).error();
        const bool resync = start->sync_now;
        if (prepared->created) opening.how = Opening::How::created;
        auto engine = std::make_shared<Engine>(meta, opening);
        engine->writer_ = std::make_unique<Writer>(meta, std::move(*start));
        if (resync) VARVE_TRY(engine->writer_->sync());
        return engine;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to open the store", path);
    }
}

Result<void> Engine::open_here() const noexcept {
    if (closed_.load(std::memory_order_acquire) || os::fork_generation() != generation_) {
        return failure(ErrorCode::closed, "the store is closed", meta_->path);
    }
    return {};
}

Result<View> Engine::view() noexcept {
    VARVE_TRY(open_here());
    if (reader_ != nullptr) return reader_->view();
    const file::Control& page = writer_->control();
    View view;
    // Partner: the release store in Writer::publish. The list is read afterwards, so it covers the
    // position.
    view.published = page.published.load(std::memory_order_acquire);
    view.segments = writer_->segments();
    view.durable = std::min(view.published, page.durable.load(std::memory_order_acquire));
    view.epoch = writer_->epoch();
    return view;
}

Result<void> Engine::syncs_go_on() const noexcept {
    if (writer_ != nullptr) return writer_->usable();
    const std::shared_ptr<os::Mapping> page = reader_->control();
    const bool failed =
        page != nullptr && static_cast<file::WriterState>(file::control_of(*page).state.load(
                               std::memory_order_acquire)) == file::WriterState::failed;
    if (!failed) return {};
    return failure(ErrorCode::poisoned,
                   "a sync of the writer failed: nothing more becomes durable until it reopens the "
                   "store",
                   meta_->path);
}

Result<void> Engine::close() noexcept {
    VARVE_TRY(open_here());
    if (closed_.exchange(true))
        return failure(ErrorCode::closed, "the store is closed already", meta_->path);
    return writer_ != nullptr ? writer_->close() : Result<void>{};
}

std::uint32_t Engine::change_word() noexcept {
    if (writer_ != nullptr) return writer_->control().wake.load(std::memory_order_acquire);
    const std::shared_ptr<os::Mapping> page = reader_->control();
    return page == nullptr ? 0 : file::control_of(*page).wake.load(std::memory_order_acquire);
}

Result<void> Engine::wait_for_change(std::uint32_t word, std::uint64_t timeout_us) noexcept {
    constexpr std::uint64_t kLookAgainUs =
        1'000'000;  // a writer that came or went without a wake-up is noticed then
    const std::uint64_t sleep_us = std::min(timeout_us, kLookAgainUs);
    if (writer_ != nullptr) {
        meta_->env->wait_on(writer_->control().wake, word, sleep_us);
        return open_here();
    }
    const std::shared_ptr<os::Mapping> page = reader_->control();
    if (page == nullptr) {
        std::atomic<std::uint32_t> nobody{0};
        meta_->env->wait_on(nobody, 0, std::min<std::uint64_t>(sleep_us, 100'000));
        return reader_->look_again();
    }
    const auto& control = file::control_of(*page);
    const bool woken = meta_->env->wait_on(control.wake, word, sleep_us);
    const auto state =
        static_cast<file::WriterState>(control.state.load(std::memory_order_acquire));
    if (!woken || state == file::WriterState::superseded) VARVE_TRY(reader_->look_again());
    return open_here();
}

}  // namespace store
}  // namespace v0
}  // namespace varve
