#!/usr/bin/env python3
"""Goal: the library neither prints nor ends the process of the program that embeds it.

Method: look at what libvarve leaves undefined. `--self-test` compiles a file that breaks the rule and must be noticed.

Two ways to end the process remain, both for bugs in the library, never for input, disk contents or full disks:
- std::terminate: the compiler's own answer when an exception reaches a `noexcept` function.
- __builtin_trap in src/base/assert.cpp: a broken invariant stops the process before it can damage the log. It is an instruction,
  not a symbol, and prints nothing: expression, file and line lie on the stack of the core dump. Nowhere else in src/.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

FORBIDDEN = re.compile(
    r"^(abort|_?exit|_Exit|quick_exit|raise|__assert_fail|v?f?printf|v?dprintf|__v?f?printf_chk|puts|fputs|putchar|fputc|putc|"
    r"fwrite|perror|psignal|syslog|std::(cout|cerr|clog)\b.*|std::ios_base::Init.*)$")
TRAP_ALLOWED = {pathlib.Path("base/assert.cpp")}


def undefined(library):
    listed = subprocess.run(["nm", "--undefined-only", "--demangle", "--no-sort", str(library)], check=True, capture_output=True,
                            text=True).stdout
    return {line.split(" U ", 1)[1].split("@")[0].strip() for line in listed.split("\n") if " U " in line}


def forbidden(library):
    return sorted(name for name in undefined(library) if FORBIDDEN.match(name))


def traps(source):
    return sorted(str(path) for path in source.rglob("*.[ch]pp")
                  if "__builtin_trap" in path.read_text() and path.relative_to(source) not in TRAP_ALLOWED)


def self_test(compiler):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "bad.cpp"
        source.write_text('#include <cstdio>\n#include <cstdlib>\n#include <iostream>\n'
                          'void f(int n) { std::printf("%d", n); std::cout << n; std::abort(); }\n')
        subprocess.run([compiler, "-c", source, "-o", source.with_suffix(".o")], check=True)
        found = forbidden(source.with_suffix(".o"))
    return all(any(word in name for name in found) for word in ("printf", "cout", "abort"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=pathlib.Path)
    parser.add_argument("--source", type=pathlib.Path)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return 0 if self_test(arguments.compiler) else "the self-test's bad file was not noticed"
    found = [f"the library refers to {name}" for name in forbidden(arguments.library)]
    found += [f"{path} ends the process on its own" for path in traps(arguments.source)]
    return "\n".join(found) if found else 0


if __name__ == "__main__":
    sys.exit(main())
