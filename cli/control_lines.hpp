// Definitions as NDJSON lines, between the events of an export: what the store does by itself goes
// along with what it holds.
//
// One thread per object. Invariant: a line stands behind the events that were there when its
// definition was made or closed, so a store that takes the lines in their order looks at the same
// events.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <varve/varve.hpp>
#include <vector>

namespace varve::cli {

/// As lines and lists say it: stream, tags, type.
[[nodiscard]] const char* kind_name(DefinitionKind kind);

/// A definition to be made or closed, as a line says it.
struct ControlLine {
    bool closes = false;  ///< the definition of this name; the rest says nothing then
    DefinitionKind kind = DefinitionKind::stream;
    std::string name, field, prefix;
    Selector events = Selector::all();
    std::optional<Matcher> matcher;
    std::uint64_t line_number = 0;
    std::size_t before = 0;  ///< how many events of the same block come first

    /// Borrows the texts of this line.
    [[nodiscard]] NewDefinition definition() const;
};

/// Whether the first field of the line's object is `control`: it is no event.
[[nodiscard]] bool is_control_line(std::string_view line);

/// Reads one, behind which Parser::kPadding readable bytes lie. Empty text: fine, else what is
/// wrong.
[[nodiscard]] std::string parse_control_line(std::string_view line, bool ignore_unknown,
                                             ControlLine& into);

/// The definitions of a snapshot as lines, in the order of their positions.
class DefinitionLines {
public:
    /// Throws Failed.
    explicit DefinitionLines(const Snapshot& snapshot);
    /// Appends the lines that stand before the event at `position`.
    void write_before(Position position, std::string& out) {
        while (next_ < lines_.size() && lines_[next_].position < position)
            out += lines_[next_++].text;
    }
    void write_rest(std::string& out) { write_before(Position{~0ULL}, out); }
    [[nodiscard]] std::uint64_t definitions() const { return definitions_; }

private:
    struct Line {
        Position position;
        std::string text;
    };
    std::vector<Line> lines_;
    std::size_t next_ = 0;
    std::uint64_t definitions_ = 0;
};

}  // namespace varve::cli
