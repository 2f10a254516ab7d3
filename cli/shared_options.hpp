// Options that several commands have, and checks of what is given.
//
// Main thread only.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "commands.hpp"

namespace varve::cli {

/// Checks that a number has no sign: "-1" would become a very large one.
extern const CLI::Validator kWhole;
/// Checks that a name is not empty: an empty one would mean "all".
extern const CLI::Validator kName;
/// Checks that --expected is a word we know or a number.
extern const CLI::Validator kExpected;
/// Checks that an id is one.
extern const CLI::Validator kId;
/// Checks that a query or selector can be asked.
extern const CLI::Validator kQuestion;

/// What is imported, from which kind of source.
void add_import(CLI::App& command, ImportArguments& import);
void add_match(CLI::App& command, std::string& match);
/// What reads choose events by.
void add_source(CLI::App& command, SourceArguments& source);
/// What queries, explanations and definitions choose events by. `needed`: at least one of them.
void add_asked(CLI::App& command, AskedArguments& asked, bool needed = true);
/// Which part of those events, and how.
void add_range(CLI::App& command, RangeArguments& range);

}  // namespace varve::cli
