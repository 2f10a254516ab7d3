#include "completion.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>
#include <vector>

namespace varve::cli {

namespace {

/// Every command or option group directly below `app`.
std::vector<const CLI::App*> below(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App*) { return true; });
}

/// Long names of the options of `app` and of its option groups.
void option_names(const CLI::App& app, std::vector<std::string>& names) {
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            const std::string dashed = "--" + name;
            if (std::find(names.begin(), names.end(), dashed) == names.end())
                names.push_back(dashed);
        }
    }
    for (const CLI::App* group : below(app)) option_names(*group, names);
}

/// The words an option allows, from the "{a,b}" that its check adds to the help; empty if any.
std::string allowed_words(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    const std::size_t begin = type.find('{');
    const std::size_t end = type.find('}');
    if (begin == std::string::npos || end == std::string::npos) return {};
    std::string words = type.substr(begin + 1, end - begin - 1);
    std::replace(words.begin(), words.end(), ',', ' ');
    return words;
}

constexpr std::string_view kBegin = R"(_varve() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= word words=
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
)";

constexpr std::string_view kEnd = R"(  if [[ -z $command || $current == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _varve varve
)";

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
    std::string values;
    std::string options;
    std::string commands;
    for (const CLI::App* command : below(app)) {
        const std::string& name = command->get_name();
        if (name.empty()) continue;  // an option group
        commands += name + " ";
        std::vector<std::string> names;
        option_names(*command, names);
        options += fmt::format("    {}) words=\"{}\" ;;\n", name, fmt::join(names, " "));
        for (const CLI::Option* option : command->get_options()) {
            const std::string words = allowed_words(*option);
            if (words.empty()) continue;
            const std::string behind =
                option->get_positional() ? name : "--" + option->get_lnames().at(0);
            values += fmt::format(
                "    \"{} {}\") COMPREPLY=($(compgen -W \"{}\" -- \"$current\")); return ;;\n",
                name, behind, words);
        }
    }
    std::string script;
    if (shell == "zsh")
        script =
            "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n";
    script += kBegin;
    script += "  case \"$command $before\" in\n" + values + "  esac\n";
    script += "  case $command in\n    \"\") words=\"" + commands + "--help --version\" ;;\n" +
              options + "  esac\n";
    script += kEnd;
    return script;
}

}  // namespace varve::cli
