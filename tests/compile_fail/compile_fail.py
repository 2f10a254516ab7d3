#!/usr/bin/env python3
"""Goal: misuse of the API is refused by the compiler, not found at run time.

Method: each case is compiled twice. With -DCANARY it must compile; without, the compiler must refuse it with a message that
matches the case's line "// expects: REGEX".
"""
import argparse
import pathlib
import re
import subprocess
import sys


def compile_case(arguments, *extra):
    command = [arguments.compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror=unused-result",
               f"-I{arguments.include}", *extra, arguments.case]
    done = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/local/bin"})
    return done.returncode, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include", required=True)
    parser.add_argument("case")
    arguments = parser.parse_args()
    expected = re.search(r"^// expects: (.*)$", pathlib.Path(arguments.case).read_text(), re.M)[1]
    code, output = compile_case(arguments, "-DCANARY")
    if code != 0:
        print(f"the canary does not compile:\n{output}")
        return 1
    code, output = compile_case(arguments)
    if code == 0:
        print("it compiles, but should not")
        return 1
    if not re.search(expected, output):
        print(f"refused for another reason than {expected!r}:\n{output}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
