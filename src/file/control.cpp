#include "file/control.hpp"

namespace varve::file {

Result<ExpectedIdentity> expected_identity(os::Env& env, os::File& file,
                                           const std::array<std::byte, 16>& uuid) noexcept {
    auto found = file.identity();
    if (!found) return std::move(found).error();
    ExpectedIdentity expected;
    expected.identity.uuid = uuid;
    env.boot_id(expected.identity.boot);
    expected.identity.device = found->device;
    expected.identity.inode = found->inode;
    expected.identity.birth_ns = found->birth_ns;
    expected.identity.mount = found->mount;
    const bool boot_known = !base::all_zero(expected.identity.boot);
    expected.known = found->mount != 0 && boot_known;
    expected.known_while_locked = found->mount == 0 && boot_known;
    return expected;
}

}  // namespace varve::file
