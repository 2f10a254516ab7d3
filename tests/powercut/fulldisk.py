#!/usr/bin/env python3
"""A real full disk: an ext4 of 16 MiB on a loop device, filled by appends, emptied a little, filled again.

`varve append --each` runs until the disk is full. What it acknowledged must be there, verify must find no damage, reading must
go on; after some room is made, appending must go on in the same process. Needs root and loop devices; without them it prints
SKIPPED and ends with code 77.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True)


def event(number):
    return json.dumps({"stream": f"s-{number % 5}", "type": "T", "data": {"n": number, "pad": "x" * 1500}}) + "\n"


def fill(varve, store, level, first):
    """Appends until it is refused. Returns the number of acknowledged events and the error text."""
    writer = subprocess.Popen([varve, "append", store, "--each", "--json", "--durability", level],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    acknowledged = 0
    number = first
    while number < first + 100_000:
        number += 1
        try:
            writer.stdin.write(event(number))
            writer.stdin.flush()
        except BrokenPipeError:
            break
        if not writer.stdout.readline():
            break
        acknowledged += 1
    try:
        writer.stdin.close()
    except BrokenPipeError:
        pass
    error = writer.stderr.read()
    writer.wait()
    return acknowledged, error, writer.returncode


def check(varve, store, least):
    read = subprocess.run([varve, "read", store, "--json"], capture_output=True, text=True, check=False)
    if read.returncode != 0:
        return 0, "it cannot be read: " + read.stderr
    numbers = [json.loads(line)["position"] for line in read.stdout.splitlines()]
    if numbers != list(range(1, len(numbers) + 1)):
        return 0, "there is a gap"
    if len(numbers) < least:
        return 0, f"{least} events were acknowledged, {len(numbers)} are there"
    verified = subprocess.run([varve, "verify", store], capture_output=True, text=True, check=False)
    return len(numbers), "" if verified.returncode == 0 else "verify: " + verified.stdout + verified.stderr


def one_disk(varve, folder, level):
    image = folder / f"disk-{level}.img"
    mount_point = folder / f"mnt-{level}"
    mount_point.mkdir()
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    run("mkfs.ext4", "-q", "-m", "0", str(image))
    run("mount", "-o", "loop", str(image), str(mount_point))
    try:
        ballast = mount_point / "ballast"
        ballast.write_bytes(b"b" * (6 << 20))
        store = str(mount_point / "store")
        before, error, code = fill(varve, store, level, 0)
        if "no_space" not in error or code != 3:
            return f"a full disk was answered with {code}: {error}"
        there, wrong = check(varve, store, before)
        if wrong:
            return wrong
        ballast.unlink()
        more, error, _ = fill(varve, store, level, there)
        if more == 0:
            return "room was made, and appending did not go on: " + error
        there, wrong = check(varve, store, before + more)
        if not wrong:
            print(f"level {level}: {before} events until the disk was full, {more} more after room was made: nothing lost")
        return wrong
    finally:
        subprocess.run(["umount", str(mount_point)], check=False, capture_output=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--varve", required=True)
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        print("SKIPPED (needs root and loop devices)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        for level in ("disk", "os"):
            try:
                wrong = one_disk(arguments.varve, pathlib.Path(folder), level)
            except subprocess.CalledProcessError as refused:
                print("SKIPPED (needs root and loop devices): " + refused.stderr.strip())
                return 77
            if wrong:
                print(f"level {level}: {wrong}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
