#!/usr/bin/env python3
"""Puts the command line program into the npm package, with the shared libraries that not every system has and their licences."""
import argparse
import pathlib
import re
import shutil
import subprocess

TAKEN = re.compile(r"lib(fmt|simdjson|z|zstd)\.so")
DOCS = pathlib.Path("/usr/share/doc")


def licence_of(name):
    """Where Debian keeps the licence of a library: libfmt.so.9 is of package libfmt9."""
    stem, _, version = name.partition(".so.")
    for package in (f"{stem}{version}", f"{stem}-{version}", stem, f"{stem.replace('lib', '')}1g", "zlib1g"):
        text = DOCS / package / "copyright"
        if text.is_file():
            return text
    return None


def stage(program, target):
    libraries = target / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, target / "varve")
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=60).stdout
    for name, path in re.findall(r"(\S+) => (\S+)", told):
        if not TAKEN.match(name):
            continue
        shutil.copy(pathlib.Path(path).resolve(), libraries / name)
        licence = licence_of(name)
        if licence is not None:
            shutil.copy(licence, libraries / f"{name}.license")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--target", type=pathlib.Path, required=True, help="directory of the package's binaries")
    arguments = parser.parse_args()
    stage(arguments.program, arguments.target)


if __name__ == "__main__":
    main()
