#!/usr/bin/env python3
"""Makes the build tree ready for the npm package: finds Node 20 or newer, and installs what package-lock.json names.

Prints the path of node. Where something is missing it prints what, to standard error, and exits 1. What scripts/setup has installed
counts as found (--tools).
"""
import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

NEEDED = (20, 19)


def version_of(node):
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20).stdout
    except OSError:
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_node(tools):
    candidates = [shutil.which("node"), *map(str, sorted(tools.glob("node_modules/node-linux-*/bin/node")))]
    for node in candidates:
        if node and version_of(node) >= NEEDED:
            return node
    return None


def missing(what):
    print(what, file=sys.stderr)
    sys.exit(1)


def install(source, package, node):
    stamp = package / ".installed"
    wanted = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    if shutil.which("npm") is None:
        missing("npm")
    package.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, package / name)
    path = os.pathsep.join([str(pathlib.Path(node).parent), os.environ.get("PATH", "")])
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=package, capture_output=True, text=True,
                          timeout=300, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        missing("the npm registry")
    stamp.write_text(wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=pathlib.Path, required=True, help="directory with package-lock.json")
    parser.add_argument("--package", type=pathlib.Path, required=True, help="where the package is put together")
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="where scripts/setup puts a Node of its own")
    arguments = parser.parse_args()
    node = find_node(arguments.tools)
    if node is None:
        missing(f"Node {NEEDED[0]}.{NEEDED[1]} or newer")
    install(arguments.source, arguments.package, node)
    print(node)


if __name__ == "__main__":
    main()
