#include "convert.hpp"

#include <charconv>
#include <cstring>

#include "error.hpp"

namespace varve::node {

namespace {

void set(Napi::Object& object, const char* key, const std::string& text) {
    if (!text.empty()) object.Set(key, text);
}

}  // namespace

void raise(Napi::Env env, const Error& error) {
    Napi::Error made = Napi::Error::New(env, error.message);
    Napi::Object object = made.Value();
    object.Set("code", std::string(to_string(error.code)));
    set(object, "file", error.file);
    if (!error.file.empty()) object.Set("offset", static_cast<double>(error.offset));
    set(object, "stream", error.stream);
    if (error.code == ErrorCode::wrong_expected_version)
        object.Set("version", static_cast<double>(error.version));
    if (error.position.value != 0) {
        object.Set("position", static_cast<double>(error.position.value));
        object.Set("type", error.type);
        Napi::Array tags = Napi::Array::New(env, error.tags.size());
        for (std::uint32_t n = 0; n < error.tags.size(); ++n) tags.Set(n, error.tags[n]);
        object.Set("tags", tags);
    }
    made.ThrowAsJavaScriptException();
}

void raise_argument(Napi::Env env, const char* message) {
    raise(env, error_of(ErrorCode::invalid_argument, message));
}

std::string text_of(napi_env env, napi_value value) {
    std::size_t size = 0;
    if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok) return {};
    std::string text(size, '\0');
    napi_get_value_string_utf8(env, value, text.data(), size + 1, &size);
    return text;
}

std::uint64_t number_of(napi_env env, napi_value value) noexcept {
    double number = 0;
    if (napi_get_value_double(env, value, &number) != napi_ok) return 0;
    constexpr double kMost = 9007199254740991.0;
    return number > 0 && number <= kMost ? static_cast<std::uint64_t>(number) : 0;
}

bool bool_of(napi_env env, napi_value value) noexcept {
    bool truth = false;
    return napi_get_value_bool(env, value, &truth) == napi_ok && truth;
}

bool is_given(napi_env env, napi_value value) noexcept {
    napi_valuetype type = napi_undefined;
    return napi_typeof(env, value, &type) == napi_ok && type != napi_undefined && type != napi_null;
}

std::optional<std::span<char>> room_of(napi_env env, napi_value value) noexcept {
    void* data = nullptr;
    std::size_t size = 0;
    if (napi_get_typedarray_info(env, value, nullptr, &size, &data, nullptr, nullptr) != napi_ok)
        return std::nullopt;
    if (reinterpret_cast<std::uintptr_t>(data) % sizeof(double) != 0) return std::nullopt;
    return std::span<char>(static_cast<char*>(data), size);
}

namespace {

class Stack {
public:
    /// False where the text means nothing or asks for more than there is.
    bool take(std::string_view text) {
        if (text.empty()) return false;
        const std::string_view rest = text.substr(1);
        switch (text[0]) {
            case '*': return push(Selector::all());
            case 's': return push(Selector::stream(rest));
            case 'c': return push(Selector::category(rest));
            case 't': return push(Selector::type(rest));
            case 'g': return push(Selector::tag(rest));
            case 'd': return push(Selector::derived(rest));
            case '|':
            case '&': return join(text[0], rest);
            case '!': return complement();
            default: return false;
        }
    }
    [[nodiscard]] bool is_one() const { return sets_.size() == 1; }
    [[nodiscard]] const Selector& top() const { return sets_.back(); }

private:
    bool push(Selector set) {
        sets_.push_back(std::move(set));
        return true;
    }
    bool join(char op, std::string_view digits) {
        std::size_t count = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), count);
        if (count > sets_.size()) return false;
        const std::span<const Selector> last(sets_.data() + sets_.size() - count, count);
        Selector joined = op == '|' ? Selector::any_of(last) : Selector::all_of(last);
        sets_.resize(sets_.size() - count);
        return push(std::move(joined));
    }
    bool complement() {
        if (sets_.empty()) return false;
        sets_.back() = Selector::none_of(sets_.back());
        return true;
    }
    std::vector<Selector> sets_;
};

}  // namespace

std::optional<Selector> selector_of(napi_env env, napi_value value) {
    std::uint32_t count = 0;
    if (napi_get_array_length(env, value, &count) != napi_ok) return std::nullopt;
    Stack stack;
    for (std::uint32_t n = 0; n < count; ++n) {
        napi_value element = nullptr;
        if (napi_get_element(env, value, n, &element) != napi_ok) return std::nullopt;
        if (!stack.take(text_of(env, element))) return std::nullopt;
    }
    if (!stack.is_one()) return std::nullopt;
    return stack.top();
}

std::optional<Matcher> matcher_of(napi_env env, napi_value json) {
    auto matcher = Matcher::compile(text_of(env, json));
    if (matcher) return *matcher;
    raise(env, matcher.error());
    return std::nullopt;
}

void Texts::copy(napi_env env, napi_value string) {
    constexpr std::size_t kLongest = 4;  // bytes of one character: it is never cut
    while (true) {
        std::size_t written = 0;
        const std::size_t room = bytes_.size() - used_;
        const napi_status status =
            napi_get_value_string_utf8(env, string, bytes_.data() + used_, room, &written);
        if (status != napi_ok) written = 0;
        // What is no string is not given; anything else is the end of the environment.
        if (status != napi_ok && status != napi_string_expected) incomplete_ = true;
        if (written + kLongest < room) {
            used_ += written;
            return;
        }
        bytes_.resize(2 * bytes_.size());
    }
}

std::size_t Texts::add(napi_env env, napi_value string) {
    const std::size_t begin = used_;
    copy(env, string);
    texts_.push_back({begin, used_});
    return texts_.size() - 1;
}

bool Texts::add_lines(napi_env env, napi_value string, std::size_t count) {
    std::size_t begin = used_;
    copy(env, string);
    for (std::size_t n = 1; n < count; ++n) {
        const void* const feed = std::memchr(bytes_.data() + begin, '\n', used_ - begin);
        if (feed == nullptr) return false;
        const auto end = static_cast<std::size_t>(static_cast<const char*>(feed) - bytes_.data());
        texts_.push_back({begin, end});
        begin = end + 1;
    }
    texts_.push_back({begin, used_});
    return true;
}

void Texts::clear() {
    incomplete_ = false;
    used_ = 0;
    texts_.clear();
    if (bytes_.size() > kKept) bytes_ = std::vector<char>(kFirst);
}

}  // namespace varve::node
