"""Goal: damage ends a command with exit code 3 and a place, never with a signal; what lies before it is printed.

Method: bytes of the log are changed; a file is cut short while a reader has it mapped.
"""
import json
import os
import subprocess

from support import VARVE, CommandLineTest


class Damage(CommandLineTest):
    def segment(self):
        """The file of the store that holds the data of the events."""
        return next(path for path in sorted(self.store.rglob("*")) if path.is_file() and b"OrderPlaced" in path.read_bytes()
                    and b'{"n":1}' in path.read_bytes())

    def damage(self, old, new):
        path = self.segment()
        data = path.read_bytes()
        at = data.index(old)
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(new)
        return path, at

    def test_read_prints_what_lies_before(self):
        self.fill(3)
        path, at = self.damage(b'{"n":2}', b'{"n":7}')
        answer = self.varve("read", self.store, "--json", code=3)
        self.assertEqual([event["position"] for event in answer.json], [1])
        answer = self.varve("read", self.store, code=3)
        self.assertEqual(len(answer.lines), 1)
        self.assertIn("[corrupt]", answer.err)
        self.assertIn(path.name, answer.err)
        offset = int(answer.err.split("offset ")[1].split(")")[0])
        self.assertLessEqual(abs(offset - at), 4096)
        self.assertEqual(json.loads(self.varve("read", self.store, "--json", "--limit", "1", "--from", "3").out)["position"], 3)

    def test_every_reader(self):
        self.fill(3)
        self.damage(b'{"n":2}', b'{"n":7}')
        self.varve("export", self.store, code=3)
        self.varve("export", self.store, "out", code=3)
        self.varve("tail", self.store, "--after", "0", code=3)
        answer = self.run_varve("verify", self.store)
        self.assertEqual(answer.code, 3)
        self.assertIn("damaged: ", answer.out)
        self.assertEqual(len(self.run_varve("verify", self.store, "--json").json[0]["damaged"]), 1)

    def test_error_as_json(self):
        self.fill(3)
        self.damage(b'{"n":2}', b'{"n":7}')
        error = json.loads(self.varve("read", self.store, "--json", code=3).err)["error"]
        self.assertEqual(error["code"], "corrupt")
        self.assertGreater(error["offset"], 0)

    def test_a_file_cut_short_under_a_reader(self):
        self.fill(20000)
        with subprocess.Popen([VARVE, "read", self.store, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
            reader.stdout.readline()  # it has the store mapped and waits for room in the pipe
            os.truncate(self.segment(), 4096)
            _, complaint = reader.communicate(timeout=60)
        self.assertEqual(reader.returncode, 3, complaint)
        self.assertIn(str(self.store).encode(), complaint)
