#!/usr/bin/env python3
"""Goal: what node-event-storage 0.8.0 writes is read here and imported into a store, and what is written or exported here it opens,
reads, continues and follows; its way of watching sees what is written here, in both layouts.

Method: the package from npm, installed into the build tree; every round is dumped by both sides and compared. Skipped, with a line
that says so, without Node, npm or network.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
sys.path.insert(0, str(HERE.parent.parent / "scripts"))
from find_node import MISSING, find_node  # noqa: E402


def skip(why):
    print(f"SKIPPED (needs {why})")
    sys.exit(SKIPPED)


def install(work):
    node = find_node()
    if node is None:
        skip(MISSING)
    if shutil.which("npm") is None:
        skip("npm")
    os.environ["PATH"] = os.pathsep.join([str(pathlib.Path(node).parent), os.environ.get("PATH", "")])
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "node_modules/event-storage").is_dir():
        (work / "package.json").write_text('{"private":true}\n')
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "event-storage@0.8.0"], cwd=work,
                              capture_output=True, text=True, timeout=200)
        if done.returncode != 0:
            skip("the npm registry: " + done.stderr.strip().split("\n")[-1])
    shutil.copy(HERE / "store.js", work / "store.js")


def run(*command, expected=0):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    if (done.returncode == 0) != (expected == 0):
        sys.exit(f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def told(text):
    lines = text.strip().split("\n")
    documents = [json.loads(line) for line in lines if line.startswith("{")]
    indexes = sorted(line for line in lines if not line.startswith("{"))
    return documents, indexes


class Sides:
    def __init__(self, program, work):
        self.ours = [program]
        self.node = ["node", work / "store.js"]

    def compare(self, directory, length):
        ours, node = told(run(*self.ours, "dump", directory)), told(run(*self.node, "dump", directory))
        if ours[1] != node[1] or ours[0] != node[0] or len(ours[0]) != length:
            sys.exit(f"{directory}: {len(ours[0])} and {len(node[0])} documents of {length}, indexes {ours[1]} and {node[1]}")
        for number, document in enumerate(ours[0]):
            if document["metadata"]["commitId"] > number:
                sys.exit(f"{directory}: document {number} comes too early")
        print(f"{directory.name}: {length} documents and {len(ours[1])} indexes are the same on both sides")

    def watched(self, what, directory, first, last, *layout):
        """Whoever watches is told of what is written here while it does."""
        watcher = subprocess.Popen([str(part) for part in [*self.node, what, directory, last]], stdout=subprocess.PIPE, text=True)
        begun = watcher.stdout.readline()
        run(*self.ours, "write", directory, first, last, *layout)
        seen = watcher.communicate(timeout=60)[0]
        if begun not in ("watching\n", "following\n") or watcher.returncode != 0:
            sys.exit(f"{directory}: {what} was not told of what was written")
        if what == "follow" and told(seen) != told(run(*self.ours, "dump", directory)):
            sys.exit(f"{directory}: what was followed is not what was written")
        print(f"{directory.name}: {what} was told of events {first} to {last}")

    def holds(self, holder, directory, *refused):
        held = subprocess.Popen([str(part) for part in [*holder, "hold", directory]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True)
        if held.stdout.readline() != "held\n":
            sys.exit("the lock could not be taken")
        run(*refused, expected=1)
        held.communicate(timeout=60)
        if held.returncode != 0 or (directory / "store.lock").exists():
            sys.exit("the lock was not given back")


def carry(varve, directory, sides):
    """Imports the storage twice; the second time nothing is left to do. Every event must be as the original reads it."""
    store = directory.with_name(directory.name + "-store")
    if store.exists():
        shutil.rmtree(store)
    command = [varve, "import", store, "--from", "node-event-storage", directory, "--name", "store", "--json"]
    documents, indexes = told(run(*sides.node, "dump", directory))
    for new, known in ((len(documents), 0), (0, len(documents))):
        report = json.loads(run(*command).strip().split("\n")[-1])
        if (report["events"], report["duplicates"], report["differing_streams"], report["differing_indexes"]) != (new, known, 0, 0):
            sys.exit(f"{directory}: imported {report}")
    events = [json.loads(line) for line in run(varve, "read", store, "--json").strip().split("\n")]
    here = [{"stream": event["stream"], "payload": event["data"], "metadata": event["metadata"]} for event in events]
    if here != documents or [event["position"] for event in events] != list(range(1, len(documents) + 1)):
        sys.exit(f"{directory}: the events in the store are not those of the original")
    odd = len(run(varve, "read", store, "--derived", "odd", "--json").strip().split("\n"))
    if f"stream-odd {odd}" not in indexes:
        sys.exit(f"{directory}: {odd} events in the derived stream, {indexes}")
    run(varve, "verify", store)
    print(f"{directory.name}: {len(documents)} events and the derived stream are the same in the store")


def followed(varve, work, sides):
    """An import follows while the original writes; when it is interrupted every event is there and all compares equal."""
    source, store = work / "followed", work / "followed-store"
    for directory in (source, store):
        if directory.exists():
            shutil.rmtree(directory)
    run(*sides.node, "write", source, 3)
    importing = subprocess.Popen([varve, "import", str(store), "--from", "node-event-storage", str(source), "--name", "store", "--follow",
                                  "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        run(*sides.node, "trickle", source, 300)
        run(*sides.node, "trickle", source, 30)  # another writer, that repairs what it finds first
        deadline = time.monotonic() + 60
        wanted = 2 * (3 + 300 + 30)
        while run(varve, "read", store, "--json").count("\n") < wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        importing.send_signal(signal.SIGINT)
        out, err = importing.communicate(timeout=60)
    finally:
        importing.kill()
    report = json.loads(out.strip().split("\n")[-1])
    numbers = [report[field] for field in ("documents", "events", "duplicates", "left_out", "differing_streams", "differing_indexes")]
    if importing.returncode != 0 or numbers != [wanted, wanted, 0, 0, 0, 0] or len(out.strip().split("\n")) != 1:
        sys.exit(f"{source}: followed {importing.returncode}, {out}{err}")
    documents, _ = told(run(*sides.node, "dump", source))
    events = [json.loads(line) for line in run(varve, "read", store, "--json").strip().split("\n")]
    if [(one["stream"], one["payload"]) for one in documents] != [(one["stream"], one["data"]) for one in events]:
        sys.exit(f"{source}: the events that were followed are not those of the original")
    print(f"{source.name}: {wanted} events were imported while they were written")


def bring_back(varve, directory, sides):
    """Exports what `carry` imported: the original must read the same documents, in the same streams, and go on writing."""
    store, target = directory.with_name(directory.name + "-store"), directory.with_name(directory.name + "-back")
    if target.exists():
        shutil.rmtree(target)
    report = json.loads(run(varve, "export", store, target, "--to", "node-event-storage", "--name", "store", "--json").strip().split("\n")[-1])
    documents, indexes = told(run(*sides.node, "dump", directory))
    if report["as_imported"] != len(documents) or report["lost"] or told(run(*sides.node, "dump", target)) != (documents, indexes):
        sys.exit(f"{target}: exported {report}")
    sides.compare(target, len(documents))
    run(*sides.node, "write", target, 10)
    sides.compare(target, len(documents) + 20)


def born(varve, work, sides):
    """Events that were born in a store, in commits of one and of many, become events of the original."""
    store, target = work / "born-store", work / "born"
    for directory in (store, target):
        if directory.exists():
            shutil.rmtree(directory)
    events = [{"stream": f"foo-{n % 3}", "type": "A", "tags": [f"t/{n}"], "time": 1700000000000 + n, "data": {"n": n, "text": 'é"\n'},
               "metadata": {"user": f"u{n}"}} for n in range(60)]
    for first in range(0, 60, 6):
        text = "".join(json.dumps(event) + "\n" for event in sorted(events[first:first + 6], key=lambda event: event["stream"]))
        done = subprocess.run([str(varve), "append", str(store)], input=text, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            sys.exit(done.stderr)
    for name, *asked in (["reader", "--stream", "foo-0", "--limit", "17"], ["stream-foo-1.reader", "--stream", "foo-1", "--limit", "7"]):
        run(varve, "tail", store, "--consumer", name, "--timeout", "0.2", "--json", *asked)
    run(varve, "export", store, target, "--to", "node-event-storage", "--name", "store")
    documents, indexes = told(run(*sides.node, "dump", target))
    here = [json.loads(line) for line in run(varve, "read", store, "--json").strip().split("\n")]
    if [(one["stream"], one["payload"], one["metadata"]["user"], one["metadata"]["committedAt"], one["metadata"]["streamVersion"])
            for one in documents] != [(one["stream"], one["data"], one["metadata"]["user"], one["time"], one["revision"] - 1) for one in here]:
        sys.exit(f"{target}: other events than the store has")
    if {one["metadata"]["commitSize"] for one in documents} != {2} or indexes != [f"stream-foo-{n} 20" for n in range(3)]:
        sys.exit(f"{target}: {indexes}")
    consume(documents, target, sides)
    run(*sides.node, "write", target, 5)
    sides.compare(target, 70)


def consume(documents, target, sides):
    """Consumers of a store go on in the original behind the event at which they were."""
    told = [json.loads(line) for line in run(*sides.node, "consume", target, 1000).strip().split("\n")]
    wanted = []
    for stream, position in (("foo-0", 17), ("foo-1", 7)):
        numbers = [one["payload"]["n"] for one in documents if one["stream"] == stream]
        wanted.append({"index": "stream-" + stream, "position": position, "state": {}, "got": numbers[position:]})
    if sorted(told, key=lambda one: one["index"]) != wanted:
        sys.exit(f"{target}: consumers {told} and not {wanted}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--varve", help="the command line, if it was built")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    install(arguments.work)
    sides = Sides(arguments.program, arguments.work)
    theirs, own, mapped = arguments.work / "theirs", arguments.work / "ours", arguments.work / "mapped"
    for directory in (theirs, own, mapped):
        if directory.exists():
            shutil.rmtree(directory)
    run(*sides.node, "write", theirs, 60)
    sides.compare(theirs, 120)
    run(*sides.ours, "write", theirs, 121, 150)
    sides.compare(theirs, 150)
    run(*sides.node, "write", theirs, 10)
    sides.compare(theirs, 170)
    if arguments.varve:
        carry(arguments.varve, theirs, sides)
        bring_back(arguments.varve, theirs, sides)
        born(arguments.varve, arguments.work, sides)
        followed(arguments.varve, arguments.work, sides)
    run(*sides.ours, "write", own, 1, 50)
    sides.compare(own, 50)
    run(*sides.node, "write", own, 10)
    sides.compare(own, 70)
    sides.holds(sides.ours, own, *sides.node, "try", own)
    sides.holds(sides.node, own, *sides.ours, "write", own, 71, 71)
    sides.compare(own, 70)
    sides.watched("watch", own, 71, 80)
    sides.watched("follow", own, 81, 120)
    sides.compare(own, 120)
    run(*sides.ours, "write", mapped, 1, 30, "mapped")
    sides.watched("watch", mapped, 31, 60, "mapped")


if __name__ == "__main__":
    main()
