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

/// Loads the store's file. False if there is none yet and one may be made; what must not be touched
/// is an error.
Result<bool> load(Meta& meta, Ground ground) noexcept {
    if (ground == Ground::missing || ground == Ground::empty) return false;
    auto content = ground == Ground::store ? load_store_file(meta) : file::StoreFile{};
    if (content && ground == Ground::store) {
        adopt(meta, *content);
        return true;
    }
    if (!content && content.error().code != ErrorCode::corrupt) return std::move(content).error();
    auto remains = check_remains(meta);
    if (remains) return false;
    const bool ours = remains.error().code == ErrorCode::corrupt;
    return ours && !content ? std::move(content).error() : std::move(remains).error();
}

struct Prepared {
    std::unique_ptr<os::ForkGuard> lock;
    bool created = false;
};

/// For writers: takes the lock, creates the store if there is none. Leaves `meta` complete.
Result<Prepared> prepare_to_write(Meta& meta, Ground ground) noexcept {
    const OpenOptions& options = meta.options;
    // Looked at before anything is made: not even a lock goes into a directory of somebody else's.
    auto loaded = load(meta, ground);
    if (!loaded) return std::move(loaded).error();
    const bool exists = ground == Ground::store;
    auto backup = meta.env->exists(meta.in("backup"));
    if (!backup) return std::move(backup).error();
    if (*backup) {
        return failure(ErrorCode::invalid_argument,
                       "this is a backup: open it read-only, or restore it to get a store",
                       meta.path);
    }
    if (!exists && options.create == Create::never) {
        return failure(ErrorCode::not_found, "there is no store here", meta.path);
    }
    if (exists && options.create == Create::must) {
        return failure(ErrorCode::invalid_argument, "there is a store already", meta.path);
    }
    if (ground == Ground::missing)
        VARVE_TRY(meta.env->make_directory(meta.path, meta.directory_mode()));
    auto lock = take_lock(meta);
    if (!lock) return std::move(lock).error();
    // Somebody may have finished it while we waited for the lock.
    auto again = look_at_ground(*meta.env, meta.path);
    if (!again) return std::move(again).error();
    loaded = load(meta, *again);
    if (!loaded) return std::move(loaded).error();
    if (*loaded) return Prepared{std::move(*lock), false};
    if (*again == Ground::store) VARVE_TRY(meta.env->remove(meta.in("varve")));
    auto made = create_store(meta, options.durability == Durability::disk);
    if (!made) return std::move(made).error();
    adopt(meta, *made);
    return Prepared{std::move(*lock), true};
}

Result<void> prepare_to_read(Meta& meta, Ground ground) noexcept {
    auto loaded = load(meta, ground);
    if (!loaded) return std::move(loaded).error();
    if (*loaded) return {};
    return ground == Ground::store
               ? failure(ErrorCode::corrupt, "the making of this store was interrupted", meta.path)
               : failure(ErrorCode::not_found, "there is no store here", meta.path);
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
    static_cast<void>(watcher_.release());
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
            engine->watcher_ = std::make_unique<Watcher>(*engine);
            return engine;
        }
        auto prepared = prepare_to_write(*meta, ground);
        if (!prepared) return std::move(prepared).error();
        auto start = open_for_writing(*meta, std::move(prepared->lock), opening);
        if (!start) return std::move(start).error();
        const bool resync = start->sync_now;
        const bool rebuild = start->rebuild;
        if (prepared->created) opening.how = Opening::How::created;
        auto engine = std::make_shared<Engine>(meta, opening);
        engine->writer_ = std::make_unique<Writer>(meta, std::move(*start));
        engine->watcher_ = std::make_unique<Watcher>(*engine);
        if (resync) VARVE_TRY(engine->writer_->sync());
        engine->writer_->resume_erasure();
        if (rebuild) engine->writer_->begin_rebuild();
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
    const std::uint32_t damage = meta_->index_damage->load(std::memory_order_relaxed);
    if (damage != damage_seen_.exchange(damage, std::memory_order_relaxed)) [[unlikely]]
        writer_->heal();
    return writer_->view();
}

View Writer::view() const noexcept {
    const file::Control& page = control();
    View view;
    // Before `published` and after it. Partner: the bumps in Writer::publish.
    const std::uint32_t definitions = page.definitions.load(std::memory_order_acquire);
    // Partner: the release store in Writer::publish. The list is read afterwards, so it covers the
    // position.
    view.published = page.published.load(std::memory_order_acquire);
    view.definitions =
        View::definitions_of(definitions, page.definitions.load(std::memory_order_acquire));
    view.segments = segments();
    view.durable = std::min(view.published, page.durable.load(std::memory_order_acquire));
    view.epoch = epoch();
    view.erasures = page.erasures.load(std::memory_order_acquire);
    return view;
}

file::WriterState Engine::page_state() const noexcept {
    const auto state_of = [](const file::Control& page) {
        return static_cast<file::WriterState>(page.state.load(std::memory_order_acquire));
    };
    if (writer_ != nullptr) return state_of(writer_->control());
    const std::shared_ptr<os::Mapping> page = reader_->control();
    return page == nullptr ? file::WriterState::none : state_of(file::control_of(*page));
}

Result<void> Engine::syncs_go_on() const noexcept {
    if (writer_ != nullptr) return writer_->usable();
    if (page_state() != file::WriterState::failed) return {};
    return failure(ErrorCode::poisoned,
                   "a sync of the writer failed: nothing more becomes durable until it reopens the "
                   "store",
                   meta_->path);
}

Result<void> Engine::close() noexcept {
    VARVE_TRY(open_here());
    if (closed_.exchange(true))
        return failure(ErrorCode::closed, "the store is closed already", meta_->path);
    auto closed = writer_ != nullptr ? writer_->close() : Result<void>{};
    watcher_->wake_everybody();
    return closed;
}

std::uint32_t Engine::change_word() noexcept {
    if (writer_ != nullptr) return writer_->control().wake.load(std::memory_order_acquire);
    const std::shared_ptr<os::Mapping> page = reader_->control();
    return page == nullptr ? 0 : file::control_of(*page).wake.load(std::memory_order_acquire);
}

Result<void> Engine::wait_for_change(std::uint32_t word, std::uint64_t timeout_us,
                                     std::span<const os::Watched> others) noexcept {
    constexpr std::uint64_t kLookAgainUs =
        1'000'000;  // a writer that came or went without a wake-up is noticed then
    const std::uint64_t sleep_us = std::min(timeout_us, kLookAgainUs);
    os::Env& env = *meta_->env;
    const auto sleep = [&](const std::atomic<std::uint32_t>& wake, std::uint32_t seen,
                           std::uint64_t most_us) {
        if (others.empty()) return env.wait_on(wake, seen, most_us);
        std::array<os::Watched, os::kMostWatched> words{{{&wake, seen}}};
        VARVE_ASSERT(others.size() < words.size());
        std::copy(others.begin(), others.end(), words.begin() + 1);
        return env.wait_on_any(std::span{words}.first(1 + others.size()), most_us);
    };
    if (writer_ != nullptr) {
        sleep(writer_->control().wake, word, sleep_us);
        return open_here();
    }
    const std::shared_ptr<os::Mapping> page = reader_->control();
    if (page == nullptr) {
        std::atomic<std::uint32_t> nobody{0};
        sleep(nobody, 0, std::min<std::uint64_t>(sleep_us, 100'000));
        return reader_->look_again();
    }
    const auto& control = file::control_of(*page);
    const bool woken = sleep(control.wake, word, sleep_us);
    const auto state =
        static_cast<file::WriterState>(control.state.load(std::memory_order_acquire));
    if (!woken || state == file::WriterState::superseded) VARVE_TRY(reader_->look_again());
    return open_here();
}

Result<void> Engine::wait_for_events(std::uint32_t word, std::uint64_t timeout_us,
                                     const Looked& looked,
                                     std::span<const index::Key> keys) noexcept {
    // So few are woken for every event: sooner than by way of a thread.
    constexpr std::uint32_t kFew = 8;
    const std::uint32_t others = waiting_.fetch_add(1, std::memory_order_relaxed);
    const bool shared =
        others >= kFew && meta_->env->has_threads() && watcher_->wait(looked, keys, timeout_us);
    auto done = shared ? open_here() : wait_for_change(word, timeout_us);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return done;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
