"""Goal: backup and restore work on real files beside a writer, say what they did, and overwrite nothing."""
import json
import os
import subprocess

from support import VARVE, CommandLineTest


class Backup(CommandLineTest):
    def positions(self, store):
        return [event["position"] for event in self.varve("read", store, "--json").json]

    def test_there_and_back(self):
        self.fill(3)
        before = self.snapshot_of_files(self.store / "log")
        backup, restored = self.folder / "backup", self.folder / "restored"
        done = self.varve("backup", self.store, backup, "--json").json[0]
        self.assertEqual((done["complete"], done["first"], done["end"], done["left_out"]), (True, 1, 3, 0))
        self.assertEqual(self.snapshot_of_files(self.store / "log"), before)
        self.fill(2)
        done = self.varve("backup", self.store, backup, "--verify", "--json").json[0]
        self.assertEqual((done["first"], done["end"]), (4, 5))
        self.assertIn("position 5", self.varve("backup", self.store, backup).out)
        done = self.varve("restore", backup, restored, "--json").json[0]
        self.assertEqual(done["end"], 5)
        self.assertEqual(self.varve("read", restored, "--json").out, self.varve("read", self.store, "--json").out)
        self.assertIn("no damage", self.varve("verify", restored).out)
        self.assertIn("restored up to position 5", self.varve("restore", backup, self.folder / "again").out)
        self.assertEqual(self.positions(backup), [1, 2, 3, 4, 5])

    def test_beside_a_writer(self):
        with subprocess.Popen([VARVE, "append", str(self.store), "--each"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            for n in range(1, 4):
                writer.stdin.write(json.dumps({"stream": "s", "data": {"n": n}}).encode() + b"\n")
                writer.stdin.flush()
                writer.stdout.readline()
            self.assertEqual(self.varve("backup", self.store, "backup", "--json").json[0]["end"], 3)
            writer.stdin.close()
        self.assertEqual(writer.returncode, 0)

    def test_links(self):
        self.varve("create", self.store, "--segment-size-first", "64k", "--segment-size-max", "64k")
        for _ in range(4):
            self.fill(150)
        done = self.varve("backup", self.store, "backup", "--link", "--json").json[0]
        self.assertGreater(done["linked"], 0)
        name = sorted(os.listdir(self.folder / "backup" / "log"))[0]
        self.assertTrue(os.path.samefile(self.folder / "backup" / "log" / name, self.store / "log" / name))

    def test_refusals(self):
        self.usage("backup", self.store)
        self.usage("restore", "x")
        self.varve("backup", self.store, "backup", code=1)
        self.fill(1)
        (self.folder / "letters").mkdir()
        (self.folder / "letters" / "one").write_text("mine")
        self.varve("backup", self.store, "letters", code=1)
        self.varve("backup", self.store, "backup")
        self.varve("restore", "backup", self.store, code=1)
        self.varve("restore", "backup", "letters", code=1)
        self.varve("restore", self.store, "restored", code=1)
        self.assertEqual(os.listdir(self.folder / "letters"), ["one"])
        self.assertIn("backup", self.varve("append", "backup", input='{"data":1}\n', code=1).err)
        os.truncate(self.folder / "backup" / "log" / "0000000001.seg", 4200)
        self.varve("restore", "backup", "restored", code=3)
        (self.folder / "backup" / "varve").unlink()
        self.assertIn("incomplete", self.varve("restore", "backup", "restored", code=3).err)
        self.assertFalse((self.folder / "restored").exists())
        self.into_full_output("backup", self.store, "other")
