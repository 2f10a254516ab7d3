"""Goal: salvage copies what can be read of a damaged store, says what it left out, and touches nothing else."""
from support import CommandLineTest


class Salvage(CommandLineTest):
    def test_around_damage(self):
        for _ in range(3):
            self.fill(1)
        segment = next((self.store / "log").iterdir())
        data = segment.read_bytes()
        at = data.index(b'{"n":1}', data.index(b'{"n":1}') + 1)
        with open(segment, "r+b") as file:
            file.seek(at)
            file.write(b'{"n":7}')
        before = self.snapshot_of_files(self.store)
        done = self.varve("salvage", self.store, "target", "--json").json[0]
        self.assertEqual(done["copied"], 2)
        self.assertEqual([(one["first"], one["last"]) for one in done["skipped"]], [(2, 2)])
        self.assertEqual(done["moved"], [{"first": 1, "last": 1, "to": 1}, {"first": 3, "last": 3, "to": 2}])
        self.assertEqual(self.snapshot_of_files(self.store), before)
        self.assertEqual([event["data"] for event in self.varve("read", "target", "--json").json], [{"n": 1}, {"n": 1}])
        self.assertIn("no damage", self.varve("verify", "target").out)
        self.assertIn("positions 2-2", self.varve("salvage", self.store, "again").out)
        self.varve("salvage", self.store, "target", code=1)

    def test_refusals(self):
        self.usage("salvage", self.store)
        self.varve("salvage", self.store, "target", code=1)
        self.assertFalse((self.folder / "target").exists())
