#include "os/sim_env.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace os {

using base::failure;

namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

void unmap(std::byte* data, std::size_t) noexcept { --SimMemory::mappings(data); }

}  // namespace

class SimWatch final : public Watch {
public:
    SimWatch(SimEnv& env, std::shared_ptr<SimInode> inode) noexcept
        : env_(env), inode_(std::move(inode)), seen_(inode_->changes) {}
    bool wait(std::uint64_t timeout_us) noexcept override {
        return env_.wait_for_change(*inode_, seen_, timeout_us);
    }

private:
    SimEnv& env_;
    std::shared_ptr<SimInode> inode_;
    std::uint64_t seen_;
};

/// An open file of the simulation. Lives no longer than its SimEnv.
class SimFile final : public File {
public:
    SimFile(SimEnv& env, std::shared_ptr<SimInode> inode, std::string path) noexcept
        : env_(env), inode_(std::move(inode)), path_(std::move(path)) {}
    SimFile(const SimFile&) = delete;
    SimFile& operator=(const SimFile&) = delete;
    ~SimFile() override { SimFile::unlock(); }

    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) noexcept override {
        if (offset >= inode_->size() || into.empty()) return std::size_t{0};
        const auto length = std::min<std::uint64_t>(into.size(), inode_->size() - offset);
        std::memcpy(into.data(), inode_->cache() + offset, length);
        return static_cast<std::size_t>(length);
    }
    Result<void> write_at(std::uint64_t offset, Bytes bytes) noexcept override {
        VARVE_TRY(env_.step(path_));
        if (!bytes.empty()) {
            inode_->grow(offset + bytes.size());
            std::memcpy(inode_->cache() + offset, bytes.data(), bytes.size());
            inode_->note(offset, bytes.size());
        }
        ++inode_->changes;
        env_.after_step();
        return {};
    }
    Result<void> allocate(std::uint64_t size) noexcept override {
        VARVE_TRY(env_.step(path_));
        const std::uint64_t more = size > inode_->size() ? size - inode_->size() : 0;
        if (env_.used_space() + more > env_.space_)
            return failure(ErrorCode::no_space, "the simulated disk is full", path_);
        inode_->grow(size);
        ++inode_->changes;
        env_.after_step();
        return {};
    }
    Result<void> reserve(std::uint64_t size) noexcept override {
        VARVE_TRY(env_.step(path_));
        const std::uint64_t more = size > inode_->size() ? size - inode_->size() : 0;
        if (env_.used_space() + more > env_.space_)
            return failure(ErrorCode::no_space, "the simulated disk is full", path_);
        env_.after_step();
        return {};
    }
    Result<void> shorten(std::uint64_t size) noexcept override {
        VARVE_TRY(env_.step(path_));
        inode_->shorten(size);
        ++inode_->changes;
        env_.after_step();
        return {};
    }
    Result<void> touch() noexcept override {
        VARVE_TRY(env_.step(path_));
        ++inode_->changes;
        env_.after_step();
        return {};
    }
    Result<std::uint64_t> size() noexcept override { return inode_->size(); }
    /// The simulated disk knows no holes.
    Result<std::uint64_t> disk_size() noexcept override {
        return base::align_up(inode_->size(), kSimPage);
    }
    /// As a file system that knows of each page whether it was written.
    Result<std::uint64_t> zeros_from() noexcept override {
        const base::Bytes all{inode_->cache(), inode_->size()};
        std::uint64_t end = all.size();
        while (end > 0) {
            const std::uint64_t begin = base::align_down(end - 1, kSimPage);
            if (!base::all_zero(all.subspan(begin, end - begin))) break;
            end = begin;
        }
        return end;
    }
    Result<Mapping> map(std::size_t size, MapAccess) noexcept override {
        VARVE_TRY(env_.step(path_));
        VARVE_ASSERT(size > 0 && size <= inode_->size());
        ++SimMemory::mappings(inode_->cache());
        return Mapping(inode_->cache(), size, &unmap);
    }
    Result<Mapping> map_ahead(std::size_t size, MapAccess) noexcept override {
        VARVE_TRY(env_.step(path_));
        inode_->make_room(size);
        ++SimMemory::mappings(inode_->cache());
        return Mapping(inode_->cache(), size, &unmap);
    }
    Result<void> sync_range(const Mapping&, std::uint64_t offset,
                            std::uint64_t length) noexcept override {
        const std::uint64_t begin = base::align_down(offset, kSimPage);
        return sync_bytes(begin, base::align_up(offset + length, kSimPage) - begin);
    }
    Result<void> sync() noexcept override { return sync_bytes(0, inode_->size()); }
    Result<void> punch(std::uint64_t offset, std::uint64_t length) noexcept override {
        VARVE_TRY(env_.step(path_));
        const std::uint64_t begin = base::align_up(offset, kSimPage);
        const std::uint64_t end =
            base::align_down(std::min(offset + length, inode_->size()), kSimPage);
        if (begin < end) {
            std::memset(inode_->cache() + begin, 0, end - begin);
            inode_->note(begin, end - begin);
        }
        env_.after_step();
        return {};
    }
    Result<bool> try_lock() noexcept override {
        if (locked_by_others()) return false;
        inode_->lock_holder = this;
        return true;
    }
    void unlock() noexcept override {
        if (inode_->lock_holder == this) inode_->lock_holder = nullptr;
        std::erase_if(inode_->byte_locks, [&](const auto& lock) { return lock.second == this; });
    }
    Result<bool> is_locked() noexcept override { return locked_by_others(); }
    Result<bool> try_lock_byte(std::uint64_t offset) noexcept override {
        if (byte_locked_by_others(offset)) return false;
        inode_->byte_locks[offset] = this;
        return true;
    }
    Result<bool> is_byte_locked(std::uint64_t offset) noexcept override {
        return byte_locked_by_others(offset);
    }
    Result<FileIdentity> identity() noexcept override {
        return FileIdentity{1, inode_->number(), inode_->birth_ns(), env_.mount_};
    }
    Result<std::unique_ptr<Watch>> watch() noexcept override {
        return std::unique_ptr<Watch>(std::make_unique<SimWatch>(env_, inode_));
    }

private:
    [[nodiscard]] bool whole_locked_by_others() const noexcept {
        return inode_->lock_holder != nullptr && inode_->lock_holder != this;
    }
    [[nodiscard]] bool byte_locked_by_others(std::uint64_t offset) const noexcept {
        const auto found = inode_->byte_locks.find(offset);
        const bool taken = found != inode_->byte_locks.end() && found->second != this;
        return taken || whole_locked_by_others();
    }
    [[nodiscard]] bool locked_by_others() const noexcept {
        for (const auto& [offset, holder] : inode_->byte_locks)
            if (holder != this) return true;
        return whole_locked_by_others();
    }
    Result<void> sync_bytes(std::uint64_t offset, std::uint64_t length) noexcept {
        if (auto failed = env_.step(path_, true); !failed) {
            inode_->lose(offset, length, env_.random_);
            return failed;
        }
        inode_->sync(offset, length);
        env_.after_step();
        return {};
    }

    SimEnv& env_;
    std::shared_ptr<SimInode> inode_;
    std::string path_;
};

SimEnv::SimEnv(std::uint64_t seed) : random_(seed) {}
SimEnv::~SimEnv() = default;

void SimEnv::fail_call(std::uint64_t n, ErrorCode code, bool for_ever) noexcept {
    fail_at_ = n;
    fail_with_ = code;
    fail_for_ever_ = for_ever;
}

Result<void> SimEnv::step(const std::string& path, bool sync) noexcept {
    ++calls_;
    if (hook_) hook_();
    const bool counts = fail_for_ == FailFor::all || sync == (fail_for_ == FailFor::syncs);
    if (fail_at_ == 0 || !counts) return {};
    if (fail_at_ > 1) {
        --fail_at_;
        return {};
    }
    if (!fail_for_ever_) fail_at_ = 0;
    ++failed_calls_;
    return failure(fail_with_, "a failure was asked for", path);
}

void SimEnv::note(const std::byte* at, std::size_t length) noexcept {
    const auto found = [&]() -> SimInode* {
        for (const auto& [path, entry] : names_) {
            if (entry.inode != nullptr && entry.inode->contains(at)) return entry.inode.get();
        }
        for (const auto& inode : orphans_) {
            if (inode->contains(at)) return inode.get();
        }
        return nullptr;
    }();
    VARVE_ASSERT(found != nullptr);
    found->note(static_cast<std::uint64_t>(at - found->cache()), length);
    after_step();
}

std::uint64_t SimEnv::used_space() const noexcept {
    std::uint64_t used = 0;
    for (const auto& [path, entry] : names_)
        used += entry.inode != nullptr ? entry.inode->size() : 0;
    return used;
}

std::uint64_t SimEnv::dirty_pages() const noexcept {
    std::uint64_t pages = 0;
    for (const auto& [path, entry] : names_)
        pages += entry.inode != nullptr ? entry.inode->dirty_pages() : 0;
    return pages;
}

void SimEnv::apply(Names& names, const NameChange& change) {
    if (!change.removed.empty()) names.erase(change.removed);
    if (!change.added.empty()) names[change.added] = {change.inode, change.is_directory};
}

bool SimEnv::directory_exists(const std::string& path) const {
    if (path.empty() || path == "/" || path == ".") return true;
    const auto found = names_.find(path);
    return found != names_.end() && found->second.is_directory;
}

Result<std::unique_ptr<File>> SimEnv::open(const std::string& path, OpenMode mode,
                                           std::uint32_t) noexcept {
    const auto found = names_.find(path);
    if (mode != OpenMode::create) {
        if (found == names_.end()) return failure(ErrorCode::not_found, "no such file", path);
        if (found->second.is_directory) return failure(ErrorCode::io, "not a regular file", path);
        return std::unique_ptr<File>(std::make_unique<SimFile>(*this, found->second.inode, path));
    }
    VARVE_TRY(step(path));
    if (found != names_.end()) return failure(ErrorCode::io, "it exists already", path);
    if (!directory_exists(parent_of(path)))
        return failure(ErrorCode::not_found, "no such directory", path);
    auto inode =
        std::make_shared<SimInode>(next_inode_++, static_cast<std::int64_t>(clock_us_ * 1000));
    const NameChange change{"", path, inode, false};
    apply(names_, change);
    changes_.push_back(change);
    after_step();
    return std::unique_ptr<File>(std::make_unique<SimFile>(*this, std::move(inode), path));
}

Result<void> SimEnv::make_directory(const std::string& path, std::uint32_t) noexcept {
    VARVE_TRY(step(path));
    if (names_.contains(path)) return {};
    if (!directory_exists(parent_of(path)))
        return failure(ErrorCode::not_found, "no such directory", path);
    const NameChange change{"", path, nullptr, true};
    apply(names_, change);
    changes_.push_back(change);
    after_step();
    return {};
}

Result<bool> SimEnv::make_new_directory(const std::string& path,
                                        std::uint32_t permissions) noexcept {
    if (names_.contains(path)) return false;
    VARVE_TRY(make_directory(path, permissions));
    return true;
}

Result<std::vector<std::string>> SimEnv::list(const std::string& path) noexcept {
    if (!directory_exists(path)) return failure(ErrorCode::not_found, "no such directory", path);
    std::vector<std::string> names;
    const std::string prefix = path + "/";
    for (auto at = names_.lower_bound(prefix); at != names_.end() && at->first.starts_with(prefix);
         ++at) {
        const std::string name = at->first.substr(prefix.size());
        if (name.find('/') == std::string::npos) names.push_back(name);
    }
    return names;
}

Result<bool> SimEnv::exists(const std::string& path) noexcept { return names_.contains(path); }

Result<NameKind> SimEnv::name_kind(const std::string& path) noexcept {
    if (directory_exists(path)) return NameKind::directory;
    return names_.contains(path) ? NameKind::file : NameKind::none;
}

Result<void> SimEnv::rename(const std::string& from, const std::string& to) noexcept {
    VARVE_TRY(step(from));
    const auto found = names_.find(from);
    if (found == names_.end()) return failure(ErrorCode::not_found, "no such file", from);
    if (const auto replaced = names_.find(to); replaced != names_.end())
        orphans_.push_back(replaced->second.inode);
    const NameChange change{from, to, found->second.inode, found->second.is_directory};
    apply(names_, change);
    changes_.push_back(change);
    after_step();
    return {};
}

Result<void> SimEnv::remove(const std::string& path) noexcept {
    VARVE_TRY(step(path));
    const auto found = names_.find(path);
    if (found == names_.end()) return failure(ErrorCode::not_found, "no such file", path);
    orphans_.push_back(found->second.inode);
    const NameChange change{path, "", nullptr, false};
    apply(names_, change);
    changes_.push_back(change);
    after_step();
    return {};
}

Result<void> SimEnv::remove_directory(const std::string& path) noexcept {
    auto names = list(path);
    if (!names) return std::move(names).error();
    if (!names->empty()) return failure(ErrorCode::io, "the directory is not empty", path);
    VARVE_TRY(step(path));
    const NameChange change{path, "", nullptr, true};
    apply(names_, change);
    changes_.push_back(change);
    after_step();
    return {};
}

Result<void> SimEnv::link(const std::string& from, const std::string& to) noexcept {
    VARVE_TRY(step(to));
    const auto found = names_.find(from);
    if (found == names_.end() || found->second.is_directory)
        return failure(ErrorCode::not_found, "no such file", from);
    if (names_.contains(to)) return failure(ErrorCode::io, "it exists already", to);
    const NameChange change{"", to, found->second.inode, false};
    apply(names_, change);
    changes_.push_back(change);
    after_step();
    return {};
}

Result<void> SimEnv::sync_directory(const std::string& given) noexcept {
    VARVE_TRY(step(given, true));
    const std::string path = given == "." ? std::string() : given;
    std::vector<NameChange> later;
    for (const NameChange& change : changes_) {
        const bool here = (!change.added.empty() && parent_of(change.added) == path) ||
                          (!change.removed.empty() && parent_of(change.removed) == path);
        if (here)
            apply(durable_names_, change);
        else
            later.push_back(change);
    }
    changes_ = std::move(later);
    after_step();
    return {};
}

Result<FileIdentity> SimEnv::identity_of(const std::string& path) noexcept {
    const auto found = names_.find(path);
    if (found == names_.end()) return failure(ErrorCode::not_found, "no such file", path);
    const InodePtr& inode = found->second.inode;
    if (inode == nullptr) return FileIdentity{1, 0, 0, mount_};
    return FileIdentity{1, inode->number(), inode->birth_ns(), mount_};
}

Result<FileSystemKind> SimEnv::file_system(const std::string&) noexcept {
    return FileSystemKind::mapped;
}

void SimEnv::populate(const Mapping&, std::uint64_t, std::uint64_t) noexcept {}

bool SimEnv::wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::uint64_t timeout_us) noexcept {
    const Watched only{&word, expected};
    return wait_on_any({&only, 1}, timeout_us);
}

bool SimEnv::wait_on_any(std::span<const Watched> words, std::uint64_t timeout_us) noexcept {
    VARVE_ASSERT(!words.empty() && words.size() <= kMostWatched);
    const auto changed = [&] {
        return std::any_of(words.begin(), words.end(), [](const Watched& watched) {
            return watched.word->load() != watched.seen;
        });
    };
    if (wait_hook_) wait_hook_(false);
    if (changed()) return true;
    const std::uint64_t before = wakes_;
    if (wait_hook_) wait_hook_(true);
    if (wakes_ != before && changed()) return true;
    clock_us_ += timeout_us;  // nobody else can change it
    return false;
}

bool SimEnv::wait_for_change(const SimInode& inode, std::uint64_t& seen,
                             std::uint64_t timeout_us) noexcept {
    for (const bool asleep : {false, true}) {
        if (wait_hook_) wait_hook_(asleep);
        if (inode.changes == seen) continue;
        seen = inode.changes;
        return true;
    }
    clock_us_ += timeout_us;  // nobody else can change it
    return false;
}

void SimEnv::wake_all(const std::atomic<std::uint32_t>&) noexcept { ++wakes_; }

void SimEnv::gap() noexcept {
    if (!gap_hook_) return;
    const std::function<void()> hook = gap_hook_;  // a copy: it may replace itself
    hook();
}

std::int64_t SimEnv::now_us() noexcept { return static_cast<std::int64_t>(clock_us_ += 7); }
std::uint64_t SimEnv::monotonic_us() noexcept { return clock_us_ += 3; }

void SimEnv::random(MutableBytes into) noexcept {
    for (std::byte& byte : into) byte = static_cast<std::byte>(random_.next());
}

void SimEnv::boot_id(std::span<std::byte, 16> into) noexcept {
    std::memset(into.data(), 0x42, into.size());
    base::store(into.data(), boot_);
}

std::unique_ptr<SimEnv> SimEnv::power_cut(std::uint64_t seed, const SimCut& cut) const {
    auto world = std::make_unique<SimEnv>(seed);
    SimRandom choice(seed);
    Names names = durable_names_;
    for (const NameChange& change : changes_) {
        const bool happened = cut.style == SimCut::Style::everything ||
                              cut.style == SimCut::Style::pages ||
                              (cut.style == SimCut::Style::mixed && choice.below(2) == 0);
        if (happened) apply(names, change);
    }
    std::uint64_t page = 0;
    std::map<const SimInode*, InodePtr> made;
    for (const auto& [path, entry] : names) {
        const std::string parent = parent_of(path);
        const bool reachable = parent.empty() || world->directory_exists(parent);
        if (!reachable) continue;  // its directory was not durable
        InodePtr inode;
        if (entry.inode != nullptr) {
            InodePtr& known = made[entry.inode.get()];
            if (known == nullptr) known = entry.inode->after_cut(cut, choice, page);
            inode = known;
        }
        world->names_[path] = {std::move(inode), entry.is_directory};
    }
    world->durable_names_ = world->names_;
    world->next_inode_ = next_inode_;
    world->clock_us_ = clock_us_ + 60'000'000;
    world->boot_ = boot_ + 1;
    world->mount_ = mount_ + 1;
    return world;
}

std::unique_ptr<SimEnv> SimEnv::kill(std::uint64_t seed) const {
    auto world = std::make_unique<SimEnv>(seed);
    std::map<const SimInode*, InodePtr> made;
    const auto twin = [&](const InodePtr& inode) -> InodePtr {
        if (inode == nullptr) return nullptr;
        InodePtr& known = made[inode.get()];
        if (known == nullptr) known = inode->copy();
        return known;
    };
    for (const auto& [path, entry] : names_)
        world->names_[path] = {twin(entry.inode), entry.is_directory};
    for (const auto& [path, entry] : durable_names_)
        world->durable_names_[path] = {twin(entry.inode), entry.is_directory};
    for (const NameChange& change : changes_) {
        world->changes_.push_back(
            {change.removed, change.added, twin(change.inode), change.is_directory});
    }
    world->next_inode_ = next_inode_;
    world->clock_us_ = clock_us_ + 1'000'000;
    world->boot_ = boot_;
    world->mount_ = mount_;
    return world;
}

}  // namespace os
}  // namespace v0
}  // namespace varve
