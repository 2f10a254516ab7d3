// Making a store: names first, the file `varve` last, because it makes the directory a store.
#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/engine.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

bool is_our_name(const std::string& name) noexcept {
    constexpr std::string_view kOurs[] = {"varve",
                                          "varve.new",
                                          "lock",
                                          "control",
                                          "control.new",
                                          "manifest",
                                          "manifest.new",
                                          "log",
                                          "index",
                                          "consumers",
                                          "dropped",
                                          "verify.state",
                                          "verify.state.new",
                                          "attached"};
    return std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs);
}

namespace {

Result<void> directory(const Meta& meta, const std::string& path) noexcept {
    auto there = meta.env->exists(path);
    if (!there) return std::move(there).error();
    return *there ? Result<void>{} : meta.env->make_directory(path, meta.directory_mode());
}

/// Removes what an interrupted creation has left, so that it can be made again.
Result<void> remove_if_there(const Meta& meta, const char* name) noexcept {
    auto there = meta.env->exists(meta.in(name));
    if (!there) return std::move(there).error();
    return *there ? meta.env->remove(meta.in(name)) : Result<void>{};
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

/// The first append makes everything durable and leaves an entry in the manifest before it places
/// anything: while there is neither, nothing was ever stored.
Result<bool> was_never_used(const Meta& meta) noexcept {
    auto blank = is_blank(meta, meta.in("manifest"));
    if (!blank || !*blank) return blank;
    auto numbers = list_segments(meta);
    if (!numbers) return std::move(numbers).error();
    for (const std::uint64_t number : *numbers) {
        blank = is_blank(meta, meta.segment_path(number));
        if (!blank || !*blank) return blank;
    }
    for (const char* name : {"consumers", "dropped", "attached"}) {
        auto kept = meta.env->list(meta.in(name));
        if (kept && !kept->empty()) return false;
        if (!kept && kept.error().code != ErrorCode::not_found) return std::move(kept).error();
    }
    return true;
}

/// True if there is no such file, or it could be one of ours that a power cut has torn: short, and
/// its first word zero or ours.
Result<bool> could_be_ours(const Meta& meta, const char* name, std::uint64_t magic,
                           std::uint64_t size) noexcept {
    auto file = meta.env->open(meta.in(name), os::OpenMode::read);
    if (!file && file.error().code == ErrorCode::not_found) return true;
    if (!file) return std::move(file).error();
    auto found = (*file)->size();
    if (!found) return std::move(found).error();
    std::array<std::byte, 8> word{};
    auto read = (*file)->read_at(0, word);
    if (!read) return std::move(read).error();
    const auto first = base::load<std::uint64_t>(word.data());
    return *found <= size && (first == 0 || first == magic);
}

/// True if something in the directory is not ours.
Result<bool> holds_foreign(const Meta& meta) noexcept {
    auto names = meta.env->list(meta.path);
    if (!names) return std::move(names).error();
    if (!std::all_of(names->begin(), names->end(), is_our_name)) return true;
    struct Small {
        const char* name;
        std::uint64_t magic;
        std::uint64_t size;
    };
    constexpr Small kSmall[] = {{"varve", file::kStoreMagic, file::kStoreFileSize},
                                {"varve.new", file::kStoreMagic, file::kStoreFileSize},
                                {"control", file::kControlMagic, file::kControlSize},
                                {"control.new", file::kControlMagic, file::kControlSize}};
    for (const Small& one : kSmall) {
        auto ours = could_be_ours(meta, one.name, one.magic, one.size);
        if (!ours) return std::move(ours).error();
        if (!*ours) return true;
    }
    auto segments = meta.env->list(meta.log_directory());
    if (!segments && segments.error().code == ErrorCode::not_found) return false;
    if (!segments) return std::move(segments).error();
    return !std::all_of(segments->begin(), segments->end(),
                        [](const std::string& name) { return segment_number(name) != 0; });
}

}  // namespace

Result<void> check_remains(const Meta& meta) noexcept {
    auto foreign = holds_foreign(meta);
    if (!foreign) return std::move(foreign).error();
    auto numbers = list_segments(meta);
    if (!numbers) return std::move(numbers).error();
    if (*foreign && numbers->empty()) {
        return failure(ErrorCode::not_a_store,
                       "the directory holds something else; it was left untouched", meta.path);
    }
    auto unused = was_never_used(meta);
    if (!unused) return std::move(unused).error();
    if (*unused && !*foreign) return {};
    return failure(ErrorCode::corrupt,
                   "the file `varve` is missing or damaged beside a log that holds data; nothing "
                   "was touched: put the file back from a copy of this store",
                   meta.in("varve"));
}

Result<Ground> look_at_ground(os::Env& env, const std::string& path) noexcept {
    auto there = env.exists(path);
    if (!there) return std::move(there).error();
    if (!*there) return Ground::missing;
    auto names = env.list(path);
    if (!names) return std::move(names).error();
    if (names->empty()) return Ground::empty;
    if (std::find(names->begin(), names->end(), "varve") != names->end()) return Ground::store;
    return std::all_of(names->begin(), names->end(), is_our_name) ? Ground::half_made
                                                                  : Ground::foreign;
}

Result<file::StoreFile> create_store(const Meta& meta, bool durable) noexcept {
    os::Env& env = *meta.env;
    VARVE_TRY(directory(meta, meta.log_directory()));
    VARVE_TRY(directory(meta, meta.index_directory()));
    for (const char* name : {"manifest", "manifest.new", "control", "control.new", "varve.new"}) {
        VARVE_TRY(remove_if_there(meta, name));
    }
    VARVE_TRY(file::Manifest::create(env, meta.path, meta.options.file_mode, durable));

    file::StoreFile content;
    env.random(content.uuid);
    std::array<std::byte, 8> secret{};
    env.random(secret);
    content.secret = base::load<std::uint64_t>(secret.data());
    content.hash_bits = meta.options.hash_bits;
    content.segment_size_first = base::align_up(meta.options.segment_size_first, 4096);
    content.segment_size_max = base::align_up(meta.options.segment_size_max, 4096);
    content.created_us = env.now_us();
    std::array<std::byte, file::kStoreFileSize> bytes;
    file::encode_store_file(bytes, content);
    auto file = env.open(meta.in("varve.new"), os::OpenMode::create, meta.options.file_mode);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->write_at(0, bytes));
    if (durable) VARVE_TRY((*file)->sync());
    VARVE_TRY(env.rename(meta.in("varve.new"), meta.in("varve")));
    if (durable) VARVE_TRY(sync_names(env, meta.path));
    return content;
}

Result<std::unique_ptr<os::ForkGuard>> take_lock(const Meta& meta) noexcept {
    const std::string path = meta.in("lock");
    // Who deletes the file while we wait makes us lock an orphan: then the lock is taken again.
    for (int attempt = 0; attempt < 8; ++attempt) {
        auto file = meta.env->open(path, os::OpenMode::read_write);
        if (!file && file.error().code == ErrorCode::not_found) {
            file = meta.env->open(path, os::OpenMode::create, 0600);
            // Somebody else has just made it; or it cannot be made, and then we say why.
            auto there = meta.env->exists(path);
            if (!file && there && *there) continue;
        }
        if (!file) return std::move(file).error();
        auto locked = (*file)->try_lock();
        if (!locked) return std::move(locked).error();
        if (!*locked) {
            std::array<std::byte, 256> note{};
            auto read = (*file)->read_at(0, note);
            std::string holder(read ? base::as_text(base::Bytes{note}.first(*read))
                                    : std::string_view{});
            holder = holder.substr(0, holder.find('\0'));
            return failure(ErrorCode::locked,
                           "another writer has the store open: " +
                               (holder.empty() ? "it did not say who" : holder),
                           path);
        }
        auto here = meta.env->identity_of(path);
        auto ours = (*file)->identity();
        if (!ours) return std::move(ours).error();
        if (!here || !(*here == *ours)) continue;
        std::array<std::byte, 256> note{};
        const std::string self = meta.env->self().substr(0, note.size() - 1);
        std::copy_n(base::as_bytes(self).begin(), self.size(), note.begin());
        VARVE_TRY((*file)->write_at(0, note));
        return std::make_unique<os::ForkGuard>(std::move(*file));
    }
    return failure(ErrorCode::locked, "the lock file keeps being replaced by somebody", path);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
