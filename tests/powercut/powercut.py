#!/usr/bin/env python3
"""Power cuts on a real file system: an ext4 in a file, shut down without warning while a writer appends.

The writer (`varve append --each --json`) prints each acknowledged position. The file system is stopped by its own shutdown
call, unmounted, mounted again: what was acknowledged at level disk must be there, in order, and verify must find no damage.
Needs root, loop devices and mkfs.ext4; where it may not have them it prints SKIPPED and ends with code 77.

    powercut.py --varve PATH [--cuts N] [--seed S] [--canary]

With --canary the promise of level disk is demanded of a writer at level os: the run succeeds only if it is seen broken.
"""
import argparse
import fcntl
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
NO_LOG_FLUSH = 2       # nothing that is not on the disk yet gets there
DISK_BYTES = 4 << 30   # sparse: only what is written takes space
COMMIT_SECONDS = (5, 1)  # how long ext4 keeps a transaction open by itself
ENOUGH = 1500          # events in a store; then another one is begun


class Refused(Exception):
    """This machine does not let us do what the test needs."""


class Violated(Exception):
    """A promise was seen broken."""


def run(*command):
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


class FileSystem:
    """An ext4 on a loop device of its own, gone at the end whatever happens."""

    def __init__(self, folder):
        self.mount_point = folder / "mnt"
        self.mount_point.mkdir()
        self.device = None
        self.mounted = False
        image = folder / "disk.img"
        with open(image, "wb") as file:
            file.truncate(DISK_BYTES)
        try:
            run("mkfs.ext4", "-q", str(image))
            # One device for the whole run: one that is made and dropped with each mount is dropped late on a loaded machine.
            self.device = run("losetup", "--find", "--show", str(image))
            self.mount(COMMIT_SECONDS[0])
        except OSError as refused:
            self.close()
            raise Refused(refused) from refused

    def mount(self, commit_seconds):
        run("mount", "-o", f"commit={commit_seconds}", self.device, str(self.mount_point))
        self.mounted = True

    def unmount(self):
        """Nobody of ours is inside any more; somebody who looks at every mount may be, for a moment."""
        for attempt in range(100):
            try:
                run("umount", str(self.mount_point))
                self.mounted = False
                return
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.1)

    def cut(self):
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def close(self):
        if self.mounted:
            self.unmount()
        if self.device is not None:
            run("losetup", "--detach", self.device)
            self.device = None


def feed(pipe, number):
    """Lines until nobody reads them any more."""
    try:
        while True:
            lines = []
            for _ in range(8):
                number += 1
                lines.append(json.dumps({"stream": f"s-{number % 5}", "tags": [f"t/{number % 7}"],
                                         "data": {"n": number, "pad": "x" * (number * 31 % 600)}}) + "\n")
            text = "".join(lines).encode()
            while text:
                text = text[os.write(pipe, text):]
    except OSError:
        pass
    finally:
        os.close(pipe)


class Writer:
    """A `varve append` that is fed until it is killed. What it says goes to another file system."""

    def __init__(self, varve, store, level, folder, start):
        self.out = folder / "acknowledged"
        self.err = folder / "errors"
        reading, writing = os.pipe()
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([varve, "append", str(store), "--each", "--json", "--durability", level],
                                            stdin=reading, stdout=out, stderr=err)
        os.close(reading)
        self.feeder = threading.Thread(target=feed, args=(writing, start))
        self.feeder.start()

    def acknowledged(self):
        return self.out.read_bytes().count(b'"last"')

    def gave_up(self):
        """Why it ended by itself, or None while it runs."""
        return None if self.process.poll() is None else self.err.read_text() or f"it ended with {self.process.returncode}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.feeder.join()


def ask(varve, *command):
    done = subprocess.run([varve, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Violated(f"varve {command[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


class Rig:
    def __init__(self, varve, files, folder, seed, canary):
        self.varve = varve
        self.files = files
        self.folder = folder
        self.chance = random.Random(seed)
        self.canary = canary
        self.stores = 0
        self.promised = 0
        self.level = ""
        self.begin_store()

    def begin_store(self):
        """A name that was never used: what is removed may come back with the next cut."""
        if self.stores > 0:
            shutil.rmtree(self.store)
        self.stores += 1
        self.store = self.files.mount_point / f"store-{self.stores}"
        self.present = 0

    def one_cut(self, number):
        self.level = "os" if self.canary else self.chance.choice(["disk", "disk", "disk", "interval", "os"])
        writer = Writer(self.varve, self.store, self.level, self.folder, self.present)
        try:
            time.sleep(0.005 + self.chance.random() * 0.06)
            # Counted before the power goes. While ext4 is being shut down, a sync whose pages are written but whose extents are
            # not yet marked as such returns success (Linux 6.18, seen with a bare msync too): nobody hears that from a dead machine.
            acknowledged = writer.acknowledged()
            gave_up = writer.gave_up()
            self.files.cut()
        finally:
            writer.kill()
        self.files.unmount()
        self.files.mount(COMMIT_SECONDS[number % len(COMMIT_SECONDS)])
        if gave_up is not None:
            raise Violated("the writer gave up before the cut: " + gave_up)
        self.promised += acknowledged
        demanded = self.canary or self.level == "disk"
        self.check(self.present + acknowledged if demanded else self.present)
        if self.present > ENOUGH:
            self.begin_store()

    def check(self, least):
        """`least` events must be there, and none that was not appended. Opening and closing makes durable what is there."""
        if not (self.store / "varve").exists():
            if least > 0:
                raise Violated(f"{least} events were acknowledged, the store is gone")
            return
        ask(self.varve, "append", str(self.store))
        self.present = 0
        for line in ask(self.varve, "read", str(self.store), "--json").splitlines():
            event = json.loads(line)
            self.present += 1
            if event["position"] != self.present or event["data"]["n"] != self.present:
                raise Violated(f"position {self.present} holds another event")
        if self.present < least:
            raise Violated(f"{least} events were acknowledged, {self.present} are there")
        ask(self.varve, "verify", str(self.store))


def run_cuts(arguments, folder):
    files = FileSystem(folder)
    try:
        rig = Rig(arguments.varve, files, folder, arguments.seed, arguments.canary)
        for number in range(1, arguments.cuts + 1):
            try:
                rig.one_cut(number)
            except Violated as broken:
                print(f"cut {number} at level {rig.level}: {broken}\nreplay: powercut.py --seed {arguments.seed} --cuts {number}"
                      + (" --canary" if arguments.canary else ""))
                return False
        print(f"{arguments.cuts} power cuts, {rig.promised} appends acknowledged before them: 0 violations")
        return True
    finally:
        files.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--varve", required=True)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--canary", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            if os.geteuid() != 0:
                raise Refused("not root")
            held = run_cuts(arguments, pathlib.Path(folder))
        except Refused as why:
            print(f"SKIPPED (needs root, loop devices and mkfs.ext4: {why})")
            return 77
    if not arguments.canary:
        return 0 if held else 1
    if held:
        print("an append that was never synced outlived every cut: this rig proves nothing")
    return 1 if held else 0


if __name__ == "__main__":
    sys.exit(main())
