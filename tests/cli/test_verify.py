"""Goal: verify reads everything and changes nothing. (Damage: test_damage.py.)"""
from support import CommandLineTest


class Verify(CommandLineTest):
    def test_success(self):
        self.fill(3)
        before = self.snapshot_of_files(self.store)
        report = self.varve("verify", self.store, "--json").json[0]
        self.assertEqual((report["events"], report["commits"], report["damaged"]), (3, 1, []))
        self.assertIn("no damage", self.varve("verify", self.store).out)
        self.assertEqual(self.snapshot_of_files(self.store), before)

    def test_errors(self):
        self.usage("verify")
        self.varve("verify", self.store, code=1)
        self.assertFalse(self.store.exists())
        self.fill(1)
        self.into_full_output("verify", self.store)
