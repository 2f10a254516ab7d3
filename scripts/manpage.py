#!/usr/bin/env python3
"""The man page of varve, made from what `varve --help` says and the prose in cli/varve.1.in.

`manpage.py VARVE` writes cli/varve.1; `manpage.py VARVE --check` exits 1 if the page and the command line say different things.
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "cli" / "varve.1.in"
PAGE = ROOT / "cli" / "varve.1"


def help_of(varve, *command):
    return subprocess.run([varve, *command, "--help"], check=True, capture_output=True, text=True).stdout


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def entries(text):
    """(name, what) of every indented line of two columns; a longer name has its text on the next line."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        both = re.match(r"^\s{2,4}(\S.*?)(?:\s{2,}(\S.*))?$", line)
        if not both or both[1].endswith(":"):
            continue
        what = both[2]
        if what is None:
            below = lines[number + 1] if number + 1 < len(lines) else ""
            what = below.strip() if re.match(r"^\s{20,}\S", below) else None
        if what:
            yield both[1], what


def commands(varve):
    listed = help_of(varve).split("Subcommands:\n")[1].split("\n\n")[0]
    return [name for name, _ in entries(listed)]


def command_section(varve, name):
    text = help_of(varve, name).split("\nExit codes:")[0]
    first, usage = text.split("\n")[:2]
    out = [f".SS {roff(usage.removeprefix('Usage: '))}", roff(first.strip()[:1].upper() + first.strip()[1:] + ".")]
    for option, what in entries(text.split("\n", 2)[2]):
        if option.startswith("-h,"):
            continue
        out += [".TP", f".B {roff(option)}", roff(what)]
    return "\n".join(out)


def page(varve):
    version = subprocess.run([varve, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    sections = "\n".join(command_section(varve, name) for name in commands(varve))
    return TEMPLATE.read_text().replace("@VERSION@", version).replace("@COMMANDS@", sections)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("varve")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    wanted = page(arguments.varve)
    if not arguments.check:
        PAGE.write_text(wanted)
        return 0
    if PAGE.exists() and PAGE.read_text() == wanted:
        return 0
    print("cli/varve.1 is not what --help says; run scripts/manpage.py build/release/bin/varve")
    return 1


if __name__ == "__main__":
    sys.exit(main())
