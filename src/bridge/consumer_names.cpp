// Names of consumers on both sides.
#include "bridge/consumer_names.hpp"

#include <algorithm>

namespace varve::bridge {

std::string allowed_consumer(std::string name) {
    for (char& c : name) {
        const bool fine = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                          (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!fine) c = '_';
    }
    return name.substr(std::min(name.size(), name.find_first_not_of("._-")));
}

std::string consumer_there(const std::string& name, const std::string& index) {
    const std::string before = allowed_consumer(index) + ".";
    const bool is_put = name.size() > before.size() && name.starts_with(before);
    std::string there = is_put ? name.substr(before.size()) : name;
    std::replace(there.begin(), there.end(), '.', '_');
    return there;
}

}  // namespace varve::bridge
