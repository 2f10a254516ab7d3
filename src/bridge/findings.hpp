// Tells what is found, and counts it. One thread.
#pragma once

#include <functional>
#include <string>

#include "varve/nes_import.hpp"

namespace varve::bridge {

class Findings {
public:
    Findings(const std::function<void(const nes::Found&)>& tell, nes::ImportReport& report) noexcept
        : tell_(tell), report_(report) {}

    void add(nes::Finding finding, std::string what, std::string file = {},
             std::uint64_t offset = 0, std::uint64_t number = 0) {
        ++report_.found[static_cast<std::size_t>(finding)];
        if (tell_) tell_({finding, std::move(what), std::move(file), offset, number});
    }

private:
    const std::function<void(const nes::Found&)>& tell_;
    nes::ImportReport& report_;
};

}  // namespace varve::bridge
