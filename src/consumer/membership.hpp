// Being a member of a group: a lock of one byte of the group's file, which ends with its holder.
//
// One thread at a time, except for `words`. Invariants: a member holds exactly one of the bytes of
// a file that bears the group's name; whoever holds the lock of the whole file is alone with the
// group.
#pragma once

#include "consumer/checkpoint_file.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

/// How many lanes the member before whom `rank` others stand may hold. Over all members these add
/// up to all lanes, and they differ by at most one.
[[nodiscard]] constexpr std::uint32_t fair_share(std::uint32_t lanes, std::uint32_t members,
                                                 std::uint32_t rank) noexcept {
    return lanes / members + (rank < lanes % members ? 1U : 0U);
}

/// How many members a group has now. `file`: its own file.
[[nodiscard]] Result<std::uint32_t> count_members(os::File& file) noexcept;

/// Says that members or lanes changed hands, and wakes the members.
void tell_moves(os::Env& env, SharedWords& words) noexcept;

class Membership {
public:
    /// Joins the group. `not_found`; `invalid_argument` if the consumer is no group; `locked` if
    /// somebody is alone with it or there are too many members; or what is wrong with the file.
    [[nodiscard]] static Result<std::unique_ptr<Membership>> join(const Place& place,
                                                                  std::string_view name);
    /// Leaves.
    ~Membership();
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

    [[nodiscard]] const FileHeader& header() const noexcept { return content_.header; }
    [[nodiscard]] const Selector& selector() const noexcept { return *content_.selector; }
    [[nodiscard]] SharedWords& words() const noexcept { return words_.get(); }
    void tell() noexcept { tell_moves(env_, words()); }

    struct Standing {
        std::uint32_t members = 1;
        std::uint32_t rank = 0;  ///< so many of them come before this one
    };
    /// Who is there now, as the locks say. `closed` in a forked child.
    [[nodiscard]] Result<Standing> look() noexcept;

private:
    explicit Membership(os::Env& env) noexcept : env_(env) {}
    [[nodiscard]] Result<bool> take_byte(os::File& file) noexcept;

    os::Env& env_;
    std::unique_ptr<os::ForkGuard> file_;
    FileContent content_;
    Words words_;
    std::uint32_t byte_ = 0;  ///< number of the one whose lock is ours
};

}  // namespace consumer
}  // namespace v0
}  // namespace varve
