#include "log/define.hpp"

#include <cstring>

namespace varve::log {

namespace {

constexpr std::size_t kMaxText = 1 << 20;  // as much as the longest selector has

std::string_view take(std::string_view& texts, std::uint32_t length) noexcept {
    const std::string_view text = texts.substr(0, length);
    texts.remove_prefix(text.size());
    return text;
}

}  // namespace

std::vector<std::byte> encode_define(const Define& define) {
    DefineHeader header;
    header.control = static_cast<std::uint32_t>(ControlKind::define);
    header.action = static_cast<std::uint32_t>(define.action);
    header.defines =
        define.action == DefineAction::define ? static_cast<std::uint32_t>(define.defines) : 0;
    header.number = define.number;
    const std::string_view texts[] = {define.name, define.selector, define.matcher, define.field,
                                      define.prefix};
    std::uint32_t* const lengths[] = {&header.name_length, &header.selector_length,
                                      &header.matcher_length, &header.field_length,
                                      &header.prefix_length};
    std::size_t bytes = sizeof header;
    for (std::size_t n = 0; n < std::size(texts); ++n) {
        *lengths[n] = static_cast<std::uint32_t>(texts[n].size());
        bytes += texts[n].size();
    }
    std::vector<std::byte> data(bytes);
    base::store(data.data(), header);
    std::size_t at = sizeof header;
    for (const std::string_view text : texts) {
        if (!text.empty()) std::memcpy(data.data() + at, text.data(), text.size());
        at += text.size();
    }
    return data;
}

std::optional<Define> decode_define(const RecordView& record) noexcept {
    if (record.header.kind != static_cast<std::uint8_t>(RecordKind::control)) return std::nullopt;
    const std::string_view data = record.data();
    if (data.size() < sizeof(DefineHeader)) return std::nullopt;
    const auto header = base::load<DefineHeader>(reinterpret_cast<const std::byte*>(data.data()));
    const bool known = header.control == static_cast<std::uint32_t>(ControlKind::define) &&
                       header.version == 1 && header.reserved == 0;
    const bool defining = header.action == static_cast<std::uint32_t>(DefineAction::define);
    if (!known || header.action < 1 || header.action > 3) return std::nullopt;
    if (defining ? header.defines < 1 || header.defines > 3 : header.defines != 0)
        return std::nullopt;
    std::uint64_t bytes = sizeof header;
    for (const std::uint32_t length :
         {header.name_length, header.selector_length, header.matcher_length, header.field_length,
          header.prefix_length}) {
        if (length > kMaxText) return std::nullopt;
        bytes += length;
    }
    if (bytes != data.size()) return std::nullopt;
    std::string_view texts = data.substr(sizeof header);
    Define define;
    define.action = static_cast<DefineAction>(header.action);
    define.defines = static_cast<Defines>(header.defines);
    define.number = header.number;
    define.name = take(texts, header.name_length);
    define.selector = take(texts, header.selector_length);
    define.matcher = take(texts, header.matcher_length);
    define.field = take(texts, header.field_length);
    define.prefix = take(texts, header.prefix_length);
    return define;
}

}  // namespace varve::log
