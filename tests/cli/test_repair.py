"""Goal: repair says what it would drop and changes nothing without --yes; with it the store can be written again."""
from support import CommandLineTest


class Repair(CommandLineTest):
    def damage(self):
        for _ in range(4):
            self.fill(1)
        segment = next((self.store / "log").iterdir())
        data = segment.read_bytes()
        at = data.index(b'{"n":1}', data.index(b'{"n":1}') + 1)
        with open(segment, "r+b") as file:
            file.seek(at)
            file.write(b'{"n":7}')

    def test_says_first(self):
        self.damage()
        before = self.snapshot_of_files(self.store)
        told = self.varve("repair", self.store, "--json", code=1)
        self.assertIn("varve salvage", told.err)
        told = told.json[0]
        self.assertEqual((told["first"], told["last"], told["events"], told["readable"]), (2, 4, 3, 2))
        self.assertTrue(told["needed"])
        self.assertFalse(told["done"])
        self.assertIn("would drop positions 2-4", self.varve("repair", self.store, code=1).out)
        self.assertEqual(self.snapshot_of_files(self.store), before)

    def test_does_it(self):
        self.damage()
        advice = self.run_varve("doctor", self.store)
        self.assertEqual(advice.code, 3)
        self.assertIn("varve repair", advice.out)
        done = self.varve("repair", self.store, "--yes", "--json").json[0]
        self.assertTrue(done["done"])
        for copy in done["copies"]:
            self.assertTrue((self.store / copy).exists())
        self.assertIn("no damage", self.varve("verify", self.store).out)
        self.fill(1)
        self.assertEqual([event["position"] for event in self.varve("read", self.store, "--json").json], [1, 2])
        self.assertIn("nothing to repair", self.varve("repair", self.store).out)

    def test_refusals(self):
        self.usage("repair")
        self.varve("repair", self.store, "--yes", code=1)
