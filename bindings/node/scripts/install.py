#!/usr/bin/env python3
"""Makes the build tree ready for the npm package: finds Node, and installs what package-lock.json names.

Prints the path of node. Where something is missing it prints what, to standard error, and exits 1.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "scripts"))
from find_node import MISSING, find_node  # noqa: E402


def install(source, package, node):
    stamp = package / ".installed"
    wanted = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    if shutil.which("npm") is None:
        sys.exit("npm")
    package.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, package / name)
    path = os.pathsep.join([str(pathlib.Path(node).parent), os.environ.get("PATH", "")])
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=package, capture_output=True, text=True,
                          timeout=300, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        sys.exit("the npm registry")
    stamp.write_text(wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=pathlib.Path, required=True, help="directory with package-lock.json")
    parser.add_argument("--package", type=pathlib.Path, required=True, help="where the package is put together")
    arguments = parser.parse_args()
    node = find_node()
    if node is None:
        sys.exit(MISSING)
    install(arguments.source, arguments.package, node)
    print(node)


if __name__ == "__main__":
    main()
