#!/usr/bin/env python3
"""Goal: what `make install` leaves is enough for somebody else's project.

Method: install into a temporary prefix, look for every promised file, compile each public header on its own, look for includes
that are not ours, build and run a small project with find_package, the same with pkg-config, both from a tree that was moved.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
STANDARD = re.compile(r"[a-z_0-9]+$")  # <vector>, <cstdint>


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check_files(prefix, tools):
    wanted = ["include/varve/varve.hpp", "include/varve/testing.hpp", "include/varve/nes.hpp", "lib/cmake/varve/varve-config.cmake",
              "lib/cmake/varve/varve-config-version.cmake", "lib/pkgconfig/varve.pc",
              "lib/pkgconfig/varve-nes.pc"]
    if tools:
        wanted += ["bin/varve", "bin/varve-bench", "share/man/man1/varve.1"]
    missing = [name for name in wanted if not (prefix / name).exists()]
    missing += [name for name in ("libvarve", "libvarve_nes") if not list((prefix / "lib").glob(name + ".*"))]
    if missing:
        sys.exit(f"not installed: {missing}")
    for path in prefix.rglob("*"):
        text = path.read_text(errors="replace") if path.suffix in (".cmake", ".pc") else ""
        if re.search(r"/build/|" + re.escape(str(prefix)), text):
            sys.exit(f"{path.name} names a directory of the machine that built it")


def check_headers(prefix, compiler):
    for header in sorted((prefix / "include").rglob("*.hpp")):
        for included in re.findall(r'^#include\s+[<"]([^>"]+)[>"]', header.read_text(), re.M):
            if not included.startswith("varve/") and not STANDARD.match(included):
                sys.exit(f"{header.name} includes {included}: neither ours nor the standard library's")
        run(compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror",
            f"-I{prefix / 'include'}", "-include", header, "-xc++", "/dev/null")


def check_consumers(prefix, compiler, work):
    run("cmake", "-S", HERE / "consumer", "-B", work / "build", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={compiler}")
    run("cmake", "--build", work / "build")
    print("find_package:", run(work / "build/consumer", work / "one").strip())
    print("find_package:", run(work / "build/nes_consumer", work / "partition").strip())

    search = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    found = {**os.environ, "LD_LIBRARY_PATH": str(prefix / "lib")}
    for program, package, where in (("consumer", "varve", "two"), ("nes_consumer", "varve-nes", "other")):
        flags = run("pkg-config", "--cflags", "--libs", package, env=search).split()
        run(compiler, "-std=c++20", HERE / "consumer" / f"{program}.cpp", "-o", work / program, *flags)
        print("pkg-config:", run(work / program, work / where, env=found).strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the build tree to install")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--no-tools", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        run("cmake", "--install", arguments.build, "--prefix", work / "first")
        prefix = work / "moved"
        shutil.move(work / "first", prefix)
        check_files(prefix, not arguments.no_tools)
        check_headers(prefix, arguments.compiler)
        check_consumers(prefix, arguments.compiler, work)
        if not arguments.no_tools:
            print(run(prefix / "bin/varve", "--version").strip())
            print(run(prefix / "bin/varve", "stats", work / "two").split("\n")[0])
            run(prefix / "bin/varve", "bench", "append", "--events", "1000", "--rounds", "1", "--dir", work)


if __name__ == "__main__":
    main()
