#!/usr/bin/env python3
"""The house rules as a test: layer table, sizes, unbuilt tests, banned calls, Markdown titles.

Prints one line per violation (file:line: what) and exits 1 if there is one. `--self-test` proves that each rule can fail.
`--layers` prints the layer table as Markdown for the architecture page.
"""
import argparse
import pathlib
import re
import sys
import tempfile

# layer -> layers it may include. include/varve is open to all of src.
LAYERS = {
    "base": set(),
    "os": {"base"},
    "file": {"base", "os"},
    "log": {"base", "file"},
    "match": {"base"},
    "index": {"base", "file", "match", "log"},
    "query": {"base", "match", "index", "log"},
    "store": {"base", "os", "file", "log", "match", "index", "query"},
    "consumer": {"base", "os", "file", "store"},
    "nes": {"base", "os"},
    "bridge": {"base", "os", "nes"},  # and the store, by its public headers
}
OUTSIDE = {"cli", "bench", "bindings", "server", "examples"}  # see include/varve only
FILE_LINES = 600
FUNCTION_LINES = 60
COLUMNS = 120
KERNEL_HEADER = re.compile(r'#include <(sys/|linux/|asm/|fcntl\.h|unistd\.h|poll\.h)')
KERNEL_ALLOWED = {"src/base/crc32c_accelerated.cpp"}  # asks the CPU what it can do, on aarch64 through auxv
BANNED = [
    (re.compile(r'\b(printf|fprintf|puts)\s*\('), "the library does not print; return an Error", ("src/", "include/")),
    (re.compile(r'\bstd::(cout|cerr)\b'), "the library does not print; return an Error", ("src/", "include/")),
    (re.compile(r'\b(abort|exit|_exit)\s*\(\s*'), "the library does not end the process; return an Error", ("src/", "include/")),
    (re.compile(r'\bthrow\b(?!\()'), "errors are values; return an Error", ("src/", "include/")),
    (re.compile(r'\bstrcpy\s*\(|\bsprintf\s*\(|\bgets\s*\('), "unbounded copy; use spans", ("",)),
    (re.compile(r'\b(TODO|FIXME|XXX)\b'), "finish it or write it down in an issue", ("src/", "include/", "cli/", "bench/")),
]
SOURCES = {".cpp", ".hpp", ".h"}


def strip(line):
    """The line without string contents and line comments, so that words in them do not count."""
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def check_source(rel, text, say):
    lines = text.split("\n")
    if len(lines) > FILE_LINES:
        say(rel, len(lines), f"{len(lines)} lines, limit {FILE_LINES}")
    top = rel.parts[0]
    layer = rel.parts[1] if top == "src" and len(rel.parts) > 2 else None
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            say(rel, number, f"{len(line)} columns, limit {COLUMNS}")
        include = re.match(r'\s*#include "([a-z_]+)/', line)
        if include and layer and include[1] != "varve" and include[1] != layer:
            if include[1] not in LAYERS.get(layer, set()):
                say(rel, number, f"layer {layer} may not include {include[1]}")
        if include and top in OUTSIDE and include[1] in LAYERS:
            say(rel, number, f"{top} sees include/varve only")
        if top in ("src", "include") and layer != "os" and str(rel) not in KERNEL_ALLOWED and KERNEL_HEADER.match(line):
            say(rel, number, "the kernel has one door: only src/os includes system headers")
        code = strip(line)
        for pattern, why, where in BANNED:
            if pattern.search(line if "TODO" in pattern.pattern else code) and any(str(rel).startswith(w) for w in where):
                say(rel, number, why)
    if layer and layer not in LAYERS:
        say(rel, 1, f"layer {layer} is not in the table")
    check_functions(rel, lines, say)
    if rel.suffix == ".hpp":
        if "#pragma once" not in text:
            say(rel, 1, "header without #pragma once")
        if not text.startswith("//"):
            say(rel, 1, "a header starts with one sentence that says what it is for")


def check_functions(rel, lines, say):
    """A function here is a block opened at the end of a line that closes a parameter list, at any nesting."""
    opened = []
    depth = 0
    for number, line in enumerate(lines, 1):
        code = re.sub(r"'(\\.|[^'\\])'", "' '", strip(line))
        starts = re.search(r'\)[^;(){}]*\{\s*$', code) and not re.match(r'\s*(\} )?(if|for|while|switch|else|do|catch)\b', code)
        for char in code:
            if char == "{":
                depth += 1
            elif char == "}":
                depth -= 1
                if opened and depth < opened[-1][1]:
                    begin, _ = opened.pop()
                    if number - begin > FUNCTION_LINES:
                        say(rel, begin, f"function of {number - begin} lines, limit {FUNCTION_LINES}")
        if starts:
            opened.append((number, depth))


def check_tests_are_built(root, say):
    listed = "\n".join(p.read_text() for p in root.rglob("CMakeLists.txt") if "build" not in p.relative_to(root).parts)
    globs = re.findall(r'GLOB_RECURSE \w+ CONFIGURE_DEPENDS ([\w/]+)/\*_test\.cpp', listed)
    for path in sorted((root / "tests").rglob("*_test.cpp")):
        rel = path.relative_to(root / "tests")
        if str(rel) not in listed and not any(str(rel).startswith(g + "/") for g in globs) and path.name not in listed:
            say(path.relative_to(root), 1, "a test that no target builds is not a test")


def check_markdown(rel, text, say):
    titles = [line for line in re.sub(r'```.*?```', '', text, flags=re.S).split("\n") if line.startswith("# ")]
    if len(titles) != 1:
        say(rel, 1, f"one title per page, found {len(titles)}")
    if rel.name == "README.md" and rel.parts[0] == "src" and text.count("\n") > 30:
        say(rel, 31, "a layer's README has at most 30 lines")


def run(root):
    found = []

    def say(rel, line, what):
        found.append(f"{rel}:{line}: {what}")

    skip = {"build", ".git", "node_modules"}
    for path in sorted(root.rglob("*")):
        rel = path.relative_to(root)
        if not path.is_file() or rel.parts[0] in skip:
            continue
        if path.suffix in SOURCES:
            check_source(rel, path.read_text(), say)
        elif path.suffix == ".md":
            check_markdown(rel, path.read_text(), say)
    if (root / "tests").is_dir():
        check_tests_are_built(root, say)
    return found


def self_test():
    long_function = "void f() {\n" + "    g();\n" * 70 + "}\n"
    cases = {
        "src/base/a.hpp": ("// a\n#pragma once\n#include \"store/open.hpp\"\n", "may not include"),
        "src/log/a.cpp": ("#include <sys/mman.h>\n", "one door"),
        "src/log/b.cpp": ("void f() { printf(\"x\"); }\n", "does not print"),
        "src/log/c.cpp": (long_function, "function of"),
        "src/log/d.cpp": ("\n" * 700, "limit 600"),
        "src/log/e.hpp": ("// e\nint f();\n", "pragma once"),
        "src/new/f.cpp": ("int x;\n", "not in the table"),
        "cli/g.cpp": ("#include \"log/record.hpp\"\n", "include/varve only"),
        "tests/unit/h_test.cpp": ("int x;\n", "no target builds"),
        "docs/i.md": ("# a\n# b\n", "one title"),
    }
    failed = 0
    for name, (text, expected) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(text)
            if not any(expected in line for line in run(root)):
                print(f"self-test: {name} should have been refused: {expected}")
                failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--layers", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return 1 if self_test() else 0
    if arguments.layers:
        print("| layer | may include |\n|---|---|")
        for layer, below in LAYERS.items():
            print(f"| `{layer}` | {', '.join(f'`{b}`' for b in LAYERS if b in below) or '–'} |")
        return 0
    found = run(arguments.root)
    print("\n".join(found) if found else "tidy: nothing to report")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
