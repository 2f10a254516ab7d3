#!/usr/bin/env python3
"""Runs the conformance scenarios through the command line; README.md says what they are. `--canary`: each must fail where it says."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

VARVE = os.environ["VARVE"]
FIELDS = {"append": {"stream", "events", "metadata", "expected", "condition"}, "derive": {"name", "matcher"},
          "read": {"all", "stream", "category", "type", "tag", "derived", "from", "until", "limit", "backwards"},
          "query": {"items", "selector", "matcher", "from", "decision"}}


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def holds(expected, actual):
    """Whether `actual` is what is expected: objects may have more fields, everything else is equal."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(key in actual and holds(value, actual[key]) for key, value in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and len(expected) == len(actual) and all(map(holds, expected, actual))
    return type(expected) is type(actual) and expected == actual if isinstance(expected, bool) else expected == actual


class Runner:
    def __init__(self, directory):
        self.store = os.path.join(directory, "store")
        self.decisions = {}
        self.varve("create", self.store)

    def varve(self, *arguments, given="", refusable=False):
        """Its lines of JSON, and the error if it was refused."""
        done = subprocess.run([VARVE, *map(str, arguments), "--json"], input=given.encode(), capture_output=True, timeout=60)
        if done.returncode == 1 and refusable:
            return [], json.loads(done.stderr)["error"]
        check(done.returncode == 0, f"varve {arguments[0]}: {done.stderr.decode()}")
        return [json.loads(line) for line in done.stdout.splitlines()], None

    def append(self, what, step):
        lines = [json.dumps({"stream": what["stream"], **event, **({"metadata": what["metadata"]} if "metadata" in what else {})}) + "\n"
                 for event in what["events"]]
        more = ["--expected", what["expected"]] if "expected" in what else []
        if "condition" in what:
            question, matcher, seen = self.decisions[what["condition"]]
            more += ["--fail-if-match", question, *matcher, "--after", seen["position"], "--epoch", seen["epoch"]]
        _, error = self.varve("append", self.store, *more, given="".join(lines), refusable=True)
        if error is None:
            check("refused" not in step, f"it is not refused, expected was {step.get('refused')}")
            return
        if error["code"] == "condition_failed":
            at = error["position"]
            error["n"] = self.varve("read", self.store, "--from", at, "--until", at)[0][0]["data"]["n"]
        check("refused" in step and holds(step["refused"], error), f"it is refused with {error}, expected was {step.get('refused')}")

    def read(self, what, step):
        asked = [name for name in ("stream", "category", "type", "tag", "derived") if name in what]
        check(len(asked) == (0 if what.get("all") else 1), "not one source")
        revision = "-revision" if asked == ["stream"] else ""
        more = [part for name in asked for part in ("--" + name, what[name])]
        more += [part for name in ("from", "until") if name in what for part in (f"--{name}{revision}", what[name])]
        more += ["--limit", what["limit"]] if "limit" in what else []
        more += ["--backwards"] if what.get("backwards") else []
        self.compare(self.varve("read", self.store, *more)[0], step)

    def query(self, what, step):
        question = json.dumps(what["items"] if "items" in what else what["selector"])
        matcher = ["--match", json.dumps(what["matcher"])] if "matcher" in what else []
        lines, _ = self.varve("query", self.store, "--items" if "items" in what else "--selector", question, *matcher, "--seen",
                              *(["--from", what["from"]] if "from" in what else []))
        self.compare(lines[:-1], step)
        if "decision" in what:
            self.decisions[what["decision"]] = (question, matcher, lines[-1]["seen"])

    def version(self, name, step):
        found = [one["events"] for one in self.varve("streams", self.store, "--prefix", name)[0] if one["name"] == name]
        check((found or [0])[0] == step["gives"], f"{found or [0]}, expected was {step['gives']}")

    def derive(self, what, step):
        self.varve("derive", self.store, what["name"], "--match", json.dumps(what["matcher"]))

    def close(self, name, step):
        self.varve("derive", self.store, name, "--close")

    def delete(self, name, step):
        self.varve("derive", self.store, name, "--delete")

    def reopen(self, really, step):
        """Every command opens the store anew."""

    def compare(self, events, step):
        found = [{"n": event["data"]["n"], "type": "", "tags": [], **event} for event in events]
        expected = [{"n": one} if isinstance(one, int) else one for one in step["gives"]]
        check(holds(expected, found), f"{found}, expected was {expected}")

    def step(self, step):
        names = [name for name in step if name not in ("gives", "refused")]
        check(len(names) == 1 and names[0] in ("append", "read", "query", "version", "derive", "close", "delete", "reopen"), f"no step: {step}")
        name = names[0]
        check(name not in FIELDS or set(step[name]) <= FIELDS[name], f"a field that is not known: {step}")
        check(("gives" in step) == (name in ("read", "query", "version")) and ("refused" not in step or name == "append"),
              f"not what such a step expects: {step}")
        getattr(self, name)(step[name], step)


def run(scenario):
    """Which step fails, and why; 0 if none does."""
    with tempfile.TemporaryDirectory(prefix="varve-conformance-") as directory:
        runner = Runner(directory)
        for number, step in enumerate(scenario["steps"], 1):
            try:
                runner.step(step)
            except Failure as failure:
                return number, str(failure)
    return 0, ""


def main():
    canary = sys.argv[1:] == ["--canary"]
    here = pathlib.Path(__file__).parent
    paths = sorted((here / "canary" if canary else here).glob("*.json"))
    bad = 0
    for path in paths:
        scenario = json.loads(path.read_text(encoding="utf-8"))
        expected = scenario["fails_at"] if canary else 0
        step, why = run(scenario)
        if step != expected:
            bad += 1
            print(f"{path.name}: step {step}: {why}" if step else f"{path.name}: should fail in step {expected} and does not", flush=True)
    print(f"{len(paths) - bad} of {len(paths)} scenarios as expected")
    sys.exit(1 if bad or len(paths) < 10 else 0)


if __name__ == "__main__":
    main()
