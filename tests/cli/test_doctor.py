"""Goal: doctor names the state of real files, says what to do, changes nothing; exit code 3 where something is damaged."""
import os
import shutil

from support import CommandLineTest


class Doctor(CommandLineTest):
    def state(self, code=0, store=None):
        before = self.snapshot_of_files(store or self.store)
        answer = self.run_varve("doctor", store or self.store, "--json")
        self.assertEqual(answer.code, code, answer.out + answer.err)
        self.assertEqual(self.snapshot_of_files(store or self.store), before)
        found = answer.json[0]
        self.assertTrue(found["cause"] and found["safe"])
        self.assertEqual(found["open"], found["state"] == "running")
        return found["state"]

    def test_states(self):
        self.varve("doctor", self.store, code=1)
        self.usage("doctor")
        self.fill(3)
        self.assertEqual(self.state(), "clean")
        self.assertIn("state    clean", self.varve("doctor", self.store).out)
        (self.store / "letter").write_text("mine")
        self.assertIn("letter", self.varve("doctor", self.store).out)
        (self.store / "letter").unlink()
        copy = self.folder / "copy"
        shutil.copytree(self.store, copy)
        self.assertEqual(self.state(store=copy), "clean")
        segment = next((self.store / "log").iterdir())
        with open(segment, "r+b") as file:
            file.seek(4200)
            file.write(b"?")
        self.assertEqual(self.state(code=3), "damaged middle")
        os.truncate(segment, 4096)
        self.assertEqual(self.state(code=3), "cut tail")
        (copy / "varve").unlink()
        self.assertEqual(self.state(code=3, store=copy), "damaged store file")
        foreign = self.folder / "foreign"
        foreign.mkdir()
        (foreign / "letter").write_text("mine")
        self.assertEqual(self.state(store=foreign), "foreign directory")
