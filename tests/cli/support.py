"""What the tests of the command line share: a temporary directory per test, the program, its answers."""
import json
import os
import pathlib
import pty
import shutil
import subprocess
import tempfile
import unittest

VARVE = os.environ["VARVE"]


def compact(value):
    return json.dumps(value, separators=(",", ":"))


class Answer:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode(errors="surrogateescape")
        self.err = done.stderr.decode(errors="surrogateescape")

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        return [json.loads(line) for line in self.lines]


class CommandLineTest(unittest.TestCase):
    def terminal(self, what):
        """Both sides of a pseudo terminal, ours first. Where there are none the test of `what` is skipped, and counted."""
        try:
            return pty.openpty()
        except OSError:
            print("SKIPPED (needs pseudo terminals): " + what, flush=True)
            self.skipTest("no pseudo terminals")

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="varve-cli-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / "store"

    def run_varve(self, *arguments, input="", **more):
        given = input.encode() if isinstance(input, str) else input
        return Answer(subprocess.run([VARVE, *map(str, arguments)], input=given, capture_output=True, timeout=120, cwd=self.folder,
                                     **more))

    def varve(self, *arguments, code=0, input="", **more):
        answer = self.run_varve(*arguments, input=input, **more)
        self.assertEqual(answer.code, code, f"varve {arguments}: {answer.out}{answer.err}")
        self.assertFalse(code == 0 and answer.err, answer.err)
        self.assertFalse(code != 0 and not answer.err, "an error without a word")
        return answer

    def into_full_output(self, *arguments, input=""):
        """Runs the command with a standard output that takes nothing."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run([VARVE, *map(str, arguments)], input=input.encode(), stdout=full, stderr=subprocess.PIPE,
                                  timeout=120, cwd=self.folder)
        self.assertEqual(done.returncode, 3, arguments)
        self.assertIn(b"No space left on device", done.stderr)

    def usage(self, *arguments):
        answer = self.varve(*arguments, code=2)
        self.assertEqual(answer.out, "")
        self.assertIn("--help", answer.err)
        return answer

    def fill(self, count=3, stream="order-42", kind="OrderPlaced"):
        self.varve("append", self.store, input="".join(
            compact({"stream": stream, "type": kind, "tags": ["customer/7"], "time": 1700000000000 + n, "data": {"n": n}}) + "\n"
            for n in range(1, count + 1)))

    def snapshot_of_files(self, folder):
        return {str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
                for path in sorted(folder.rglob("*"))}
