// Completion scripts for shells, made from the same definition as --help.
//
// Main thread.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace varve::cli {

/// A script for `shell` ("bash" or "zsh") that completes the commands, options and words of `app`,
/// and paths everywhere else.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace varve::cli
