#include "file/verify_file.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/error.hpp"
#include "file/backup_file.hpp"

namespace varve::file {

namespace {

constexpr std::size_t kCrcFrom = offsetof(VerifyHeader, uuid);

void add_text(std::vector<std::byte>& bytes, const std::string& text) {
    const base::Bytes raw = base::as_bytes(text);
    bytes.insert(bytes.end(), raw.begin(), raw.end());
}

template <class T>
void add_struct(std::vector<std::byte>& bytes, const T& value) {
    bytes.resize(bytes.size() + sizeof(T));
    base::store(&bytes[bytes.size() - sizeof(T)], value);
}

/// Takes the damaged places apart. False if they do not fill `rest` exactly.
bool decode_damage(base::Bytes rest, std::uint32_t count, std::vector<Damage>& into) {
    for (std::uint32_t n = 0; n < count; ++n) {
        if (rest.size() < sizeof(VerifyDamage)) return false;
        const auto one = base::load<VerifyDamage>(rest.data());
        rest = rest.subspan(sizeof(VerifyDamage));
        if (rest.size() < std::uint64_t{one.file_length} + one.what_length) return false;
        into.push_back(
            {std::string(base::as_text(rest.first(one.file_length))), one.offset, one.length,
             Position{one.first}, Position{one.last},
             std::string(base::as_text(rest.subspan(one.file_length, one.what_length)))});
        rest = rest.subspan(std::size_t{one.file_length} + one.what_length);
    }
    return rest.empty();
}

}  // namespace

Result<void> write_verify_state(os::Env& env, const std::string& path, std::uint32_t permissions,
                                const VerifyState& state) {
    std::vector<std::byte> bytes;
    VerifyHeader header = state.header;
    header.damaged = static_cast<std::uint32_t>(state.damaged.size());
    add_struct(bytes, header);
    for (const Damage& one : state.damaged) {
        add_struct(bytes, VerifyDamage{one.offset, one.length, one.first.value, one.last.value,
                                       static_cast<std::uint32_t>(one.file.size()),
                                       static_cast<std::uint32_t>(one.what.size())});
        add_text(bytes, one.file);
        add_text(bytes, one.what);
    }
    if (bytes.size() > kMaxVerifyFileSize)
        return base::failure(ErrorCode::too_large, "too many damaged places to keep", path);
    base::store(&bytes[offsetof(VerifyHeader, crc)],
                base::crc32c(0, base::Bytes{bytes}.subspan(kCrcFrom)));
    return put_file(env, path, permissions, bytes);
}

Result<VerifyState> read_verify_state(os::Env& env, const std::string& path) {
    auto file = env.open(path, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto size = (*file)->size();
    if (!size) return std::move(size).error();
    const auto damaged = [&] {
        return base::failure(ErrorCode::corrupt, "what an earlier verification left is damaged",
                             path);
    };
    if (*size < sizeof(VerifyHeader) || *size > kMaxVerifyFileSize) return damaged();
    std::vector<std::byte> bytes(*size);
    auto read = (*file)->read_at(0, bytes);
    if (!read) return std::move(read).error();
    VerifyState state;
    state.header = base::load<VerifyHeader>(bytes.data());
    const bool whole = *read == bytes.size() && state.header.magic == kVerifyMagic &&
                       state.header.format == kVerifyFormat &&
                       state.header.crc == base::crc32c(0, base::Bytes{bytes}.subspan(kCrcFrom)) &&
                       decode_damage(base::Bytes{bytes}.subspan(sizeof(VerifyHeader)),
                                     state.header.damaged, state.damaged);
    if (!whole) return damaged();
    return state;
}

}  // namespace varve::file
