#!/usr/bin/env python3
"""Power cuts on a real file system: an ext4 in a file, shut down without warning while a writer appends.

The writer (`varve append --each --json`) prints each acknowledged position. The file system is stopped by its own shutdown
call, unmounted, mounted again: what was acknowledged at level disk must be there, in order, and verify must find no damage.
Needs root and loop devices; without them it prints SKIPPED and ends with code 77. `--cuts N --seed S`.
"""
import argparse
import fcntl
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
NO_LOG_FLUSH = 2       # nothing that is not on the disk yet gets there


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


class FileSystem:
    """An ext4 on a loop device, gone at the end whatever happens."""

    def __init__(self, folder):
        self.image = folder / "disk.img"
        self.mount_point = folder / "mnt"
        self.mount_point.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(256 << 20)
        run("mkfs.ext4", "-q", str(self.image))
        self.mounted = False

    def mount(self):
        run("mount", "-o", "loop", str(self.image), str(self.mount_point))
        self.mounted = True

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", str(self.mount_point)], check=False, capture_output=True)
            self.mounted = False

    def cut(self):
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


def feed(writer, number):
    """Lines until the writer is gone. Returns the number of the last one."""
    try:
        while True:
            number += 1
            line = {"stream": f"s-{number % 5}", "tags": [f"t/{number % 7}"], "data": {"n": number, "pad": "x" * (number * 31 % 600)}}
            writer.stdin.write(json.dumps(line) + "\n")
            if number % 8 == 0:
                writer.stdin.flush()
    except (BrokenPipeError, OSError, ValueError):
        return number


def one_cut(varve, files, chance, start):
    """Appends until the power goes. Returns how many events were acknowledged in all."""
    store = str(files.mount_point / "store")
    level = chance.choice(["disk", "disk", "os"])
    acknowledged_path = files.image.parent / "acknowledged"
    with open(acknowledged_path, "w") as out:
        writer = subprocess.Popen([varve, "append", store, "--each", "--json", "--durability", level],
                                  stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL, text=True)
        feeder = os.fork()
        if feeder == 0:
            feed(writer, start)
            os._exit(0)
        writer.stdin.close()
        time.sleep(chance.random() * 0.12)
        files.cut()
        # Only what was acknowledged before the cut counts; the writer's file is on another file system.
        acknowledged = acknowledged_path.read_text().count('"last"')
        writer.kill()
        writer.wait()
        os.kill(feeder, 9)
        os.waitpid(feeder, 0)
    files.unmount()
    files.mount()
    return level, acknowledged


def check(varve, files, least, before):
    store = str(files.mount_point / "store")
    if not os.path.exists(store + "/varve"):
        return 0, "" if least == 0 and before == 0 else "the store is gone"
    opened = subprocess.run([varve, "append", store], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if opened.returncode != 0:
        return 0, "it does not open: " + opened.stderr
    read = subprocess.run([varve, "read", store, "--json"], capture_output=True, text=True, check=False)
    if read.returncode != 0:
        return 0, "it cannot be read: " + read.stderr
    events = [json.loads(line) for line in read.stdout.splitlines()]
    for position, event in enumerate(events, 1):
        if event["position"] != position or event["data"]["n"] != position:
            return 0, f"position {position} holds another event"
    if len(events) < least:
        return 0, f"{least} events were acknowledged, {len(events)} are there"
    verified = subprocess.run([varve, "verify", store], capture_output=True, text=True, check=False)
    if verified.returncode != 0:
        return 0, "verify: " + verified.stdout
    return len(events), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--varve", required=True)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        print("SKIPPED (needs root and loop devices)")
        return 77
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        files = FileSystem(pathlib.Path(folder))
        try:
            files.mount()
        except subprocess.CalledProcessError as refused:
            print("SKIPPED (needs root and loop devices): " + refused.stderr.strip())
            return 77
        try:
            durable = present = promised = 0
            for cut in range(1, arguments.cuts + 1):
                level, acknowledged = one_cut(arguments.varve, files, chance, present)
                promised += acknowledged
                least = present + acknowledged if level == "disk" else durable
                present, wrong = check(arguments.varve, files, least, durable)
                if wrong:
                    print(f"cut {cut} at level {level}: {wrong}\nreplay: powercut.py --seed {arguments.seed} --cuts {cut}")
                    return 1
                durable = present  # it was opened and closed, which syncs
                if present > 20000:
                    run("rm", "-rf", str(files.mount_point / "store"))
                    durable = present = 0
        finally:
            files.unmount()
    print(f"{arguments.cuts} power cuts, {promised} appends acknowledged before them: 0 violations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
