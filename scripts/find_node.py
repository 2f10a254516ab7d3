#!/usr/bin/env python3
"""Finds Node 20.19 or newer: the one in the path, or what scripts/setup has installed from npm below build/tools.

Prints its path, or says to standard error what is missing and exits 1.
"""
import pathlib
import re
import shutil
import subprocess
import sys

NEEDED = (20, 19)
MISSING = f"Node {NEEDED[0]}.{NEEDED[1]} or newer"
TOOLS = pathlib.Path(__file__).resolve().parent.parent / "build/tools"


def version_of(node):
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20).stdout
    except OSError:
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_node():
    for node in [shutil.which("node"), *map(str, sorted(TOOLS.glob("node_modules/node-linux-*/bin/node")))]:
        if node and version_of(node) >= NEEDED:
            return node
    return None


if __name__ == "__main__":
    found = find_node()
    if found is None:
        sys.exit(MISSING)
    print(found)
