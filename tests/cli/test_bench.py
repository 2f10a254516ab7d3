"""Goal: varve bench is varve-bench."""
import os
import subprocess

from support import CommandLineTest


class Bench(CommandLineTest):
    def test_json(self):
        lines = self.varve("bench", "append", "--events", "2000", "--rounds", "1", "--dir", self.folder, "--json").json
        self.assertEqual({line["scenario"] for line in lines}, {"append"})
        self.assertIn("ns_per_event", lines[0]["metrics"])

    def test_wrong_arguments(self):
        self.varve("bench", code=2)
        self.varve("bench", "nonsense", code=2)

    def test_full_output(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([os.environ["VARVE_BENCH"], "append", "--events", "2000", "--rounds", "1", "--dir", self.folder],
                                  stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 3)
