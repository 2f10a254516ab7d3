#!/usr/bin/env python3
"""The parts of the documentation that are printed from the code, and the links and paths in all of it.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. `--check` prints one line per part that is
not what the code says, per link that leads nowhere and per path in backticks that does not exist, and exits 1 if there
is one; `--write` brings the parts up to date; `--self-test` proves that each check can fail.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import textwrap

import tidy

ROOT = pathlib.Path(__file__).resolve().parent.parent
PART = re.compile(r'(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)', re.S)
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
PATH = re.compile(r'`((?:src|include|tests|cli|bench|examples|scripts|docs)/[\w./-]*)(?::\w+)?`')
EXPECTED = {"docs/architecture.md": {"layers", "diagram"}, "docs/errors.md": {"errors"}, "docs/consumers.md": {"matched"},
            "README.md": {"quickstart", "figures"}}


def layers():
    return subprocess.run([sys.executable, str(ROOT / "scripts/tidy.py"), "--layers"],
                          check=True, capture_output=True, text=True).stdout


def rank(layer):
    """0 for a layer that includes nothing; else one more than the highest of those it may include."""
    return max((1 + rank(below) for below in tidy.LAYERS[layer]), default=0)


def diagram():
    """One line per rank, the users of the public headers on top; layers without a folder are marked."""
    def name(layer):
        return layer if (ROOT / "src" / layer).is_dir() else f"({layer})"

    users = " · ".join(user for user in ("cli", "bench", "examples") if (ROOT / user).is_dir())
    lines = [users, "include/varve"]
    for level in range(max(map(rank, tidy.LAYERS)), -1, -1):
        lines.append(" · ".join(name(layer) for layer in tidy.LAYERS if rank(layer) == level))
    width = max(map(len, lines)) + 2
    rule = "+" + "-" * width + "+"
    drawn = [rule]
    for line in lines:
        drawn += ["|" + line.center(width) + "|", rule]
    return "```\n" + "\n".join(drawn) + "\n```\n"


def errors():
    """Codes and meanings from the enumeration, the spelling from `to_string`, retry from `failure`."""
    header = (ROOT / "include/varve/result.hpp").read_text()
    names = (ROOT / "src/base/error_code.cpp").read_text()
    retry = set(re.findall(r'code == ErrorCode::(\w+)', (ROOT / "src/base/error.cpp").read_text()))
    body = re.search(r'enum class ErrorCode[^{]*\{(.*?)\n\};', header, re.S)[1]
    rows = []
    for code, meaning in re.findall(r'^\s*(\w+),\s*///< (.*(?:\n\s*///< .*)*)', body, re.M):
        spelling = re.search(rf'case ErrorCode::{code}: return "(\w+)";', names)[1]
        meaning = re.sub(r'\s*\n\s*///< ', ' ', meaning)
        rows.append(f"| `{spelling}` | {meaning} | {'yes' if code in retry else ''} |")
    return "| code | meaning | try again |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def quickstart():
    return "```cpp\n" + (ROOT / "examples/quickstart/quickstart.cpp").read_text() + "```\n"


def matched():
    """The lines of the test between its two marks, moved to the left."""
    test = (ROOT / "tests/unit/consumer/matched_test.cpp").read_text()
    lines = re.search(r'// \[matched\]\n(.*?)^ *// \[/matched\]', test, re.S | re.M)[1]
    return "```cpp\n" + textwrap.dedent(lines) + "```\n"


def figures():
    """The README shows the table of docs/performance.md."""
    page = (ROOT / "docs/performance.md").read_text()
    return re.search(r'<!-- figures -->\n(.*?)<!-- /figures -->', page, re.S)[1].replace("](../", "](")


PARTS = {"layers": layers, "diagram": diagram, "errors": errors, "quickstart": quickstart, "matched": matched,
         "figures": figures}


def pages():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted(ROOT / name for name in listed.stdout.split("\n") if name and (ROOT / name).is_file())
    return sorted(path for path in ROOT.rglob("*.md") if "build" not in path.relative_to(ROOT).parts)


def check_page(rel, text):
    found = []
    parts = {match[2]: match[3] for match in PART.finditer(text)}
    for name in sorted(EXPECTED.get(str(rel), set()) | set(parts)):
        if name not in PARTS or name not in parts:
            found.append(f"{rel}: the part '{name}' is unknown or missing")
        elif parts[name] != PARTS[name]():
            found.append(f"{rel}: the part '{name}' is not what the code says; run scripts/docs.py --write")
    prose = PART.sub("", text)
    for number, line in enumerate(prose.split("\n"), 1):
        for target in LINK.findall(line):
            if re.match(r'[a-z]+:', target) or target.startswith("#"):
                continue
            if not (ROOT / rel.parent / target.split("#")[0]).exists():
                found.append(f"{rel}:{number}: a link leads nowhere: {target}")
        for path in PATH.findall(line):
            if not (ROOT / path).exists():
                found.append(f"{rel}:{number}: no such file: {path}")
    special = SPECIAL.get(str(rel))
    return found + (special(rel, text) if special else [])


def check_promises(rel, text):
    """Each promise names a rig; paths are looked at elsewhere."""
    promised = text.split("## Not promised")[0]
    parts = re.split(r'\n\*\*(P\d+) ', promised)
    return [f"{rel}: {name} names no rig" for name, words in zip(parts[1::2], parts[2::2])
            if "*Rig*" not in words or not PATH.search(words.split("*Rig*")[1])]


def check_defects(rel, text):
    """The table of deliberate defects has exactly those that the code has."""
    code = re.search(r'enum class SeededBug[^{]*\{(.*?)\};', (ROOT / "src/base/seeded_bug.hpp").read_text(), re.S)[1]
    defects = [name for name in re.findall(r'^\s*(\w+),', code, re.M) if name != "none"]
    table = re.findall(r'^\| `(\w+)` \|', text.split("## Seeded bugs")[-1].split("\n## ")[0], re.M)
    return [] if table == defects else [f"{rel}: the defects are {', '.join(defects)}; the page says {', '.join(table)}"]


SPECIAL = {"docs/guarantees.md": check_promises, "docs/testing.md": check_defects}


def check():
    return [line for page in pages() for line in check_page(page.relative_to(ROOT), page.read_text())]


def write():
    for page in pages():
        text = page.read_text()
        fresh = PART.sub(lambda part: part[1] + PARTS[part[2]]() + part[4], text)
        if fresh != text:
            page.write_text(fresh)
            print(f"written: {page.relative_to(ROOT)}")


def self_test():
    """Every doctored page must be refused."""
    architecture = (ROOT / "docs/architecture.md").read_text()
    readme = (ROOT / "README.md").read_text()
    table = (ROOT / "docs/errors.md").read_text()
    guarantees = (ROOT / "docs/guarantees.md").read_text()
    testing = (ROOT / "docs/testing.md").read_text()
    consumers = (ROOT / "docs/consumers.md").read_text()
    cases = [
        ("docs/consumers.md", consumers.replace("varve::Matcher::compile(", "varve::Matcher::make(", 1)),
        ("docs/guarantees.md", re.sub(r'(\*\*P2 .*?)\*Rig\*.*?\n\n', r'\1\n', guarantees, count=1, flags=re.S)),
        ("docs/guarantees.md", re.sub(r'(\*\*P1 .*?\n\n)', lambda part: part[1].replace("`", ""), guarantees, count=1, flags=re.S)),
        ("docs/testing.md", testing.replace("| `epoch_ignored` |", "| `era_ignored` |")),
        ("docs/testing.md", re.sub(r'\| `chain_unchecked`.*?\n', '', testing)),
        ("docs/architecture.md", architecture.replace("| `base` | – |\n", "")),
        ("docs/architecture.md", architecture.replace("`base`, `os` |", "`os` |", 1)),
        ("docs/architecture.md", architecture.replace("include/varve ", "include/other ", 1)),
        ("docs/architecture.md", architecture.replace("<!-- generated: diagram -->", "")),
        ("docs/errors.md", table.replace("| `poisoned` |", "| `broken` |")),
        ("README.md", readme.replace("varve::Store::open(", "varve::Store::make(", 1)),
        ("README.md", readme.replace("| scan, checked / trusted |", "| scan |", 1)),
        ("docs/x.md", "# x\n[y](nowhere.md)\n"),
        ("docs/x.md", "# x\n`src/nowhere.cpp`\n"),
        ("docs/x.md", "# x\n<!-- generated: nothing -->\n<!-- end -->\n"),
    ]
    failed = 0
    for number, (name, text) in enumerate(cases, 1):
        if not check_page(pathlib.Path(name), text):
            print(f"self-test: page {number}, {name}, should have been refused")
            failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.write:
        write()
    if arguments.self_test:
        return 1 if self_test() else 0
    found = check()
    print("\n".join(found) if found else "docs: nothing to report")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
