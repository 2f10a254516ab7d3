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

    def test_index_files(self):
        self.varve("create", self.store, "--segment-size-first", "65536", "--segment-size-max", "65536")
        sealed = []
        for _ in range(30):  # sealing runs beside the writer
            self.fill(300)
            sealed = sorted((self.store / "index").glob("*.idx"))
            if sealed:
                break
        self.assertTrue(sealed)
        with open(sealed[0], "r+b") as file:
            file.seek(0)
            file.write(b"????????")
        answer = self.run_varve("verify", self.store, "--json")
        self.assertEqual(answer.code, 3, answer.out + answer.err)
        report = answer.json[0]
        self.assertEqual((report["damaged"], report["indexes_missing"]), ([], []))
        self.assertEqual([one["file"] for one in report["indexes_damaged"]], [str(sealed[0])])
        text = self.run_varve("verify", self.store).out
        self.assertIn("damaged index: " + str(sealed[0]), text)
        self.assertIn("nothing is lost", text)
        sealed[0].unlink()
        report = self.varve("verify", self.store, "--json").json[0]
        self.assertEqual((report["indexes_damaged"], report["indexes_missing"]), ([], [str(sealed[0])]))

    def test_errors(self):
        self.usage("verify")
        self.varve("verify", self.store, code=1)
        self.assertFalse(self.store.exists())
        self.fill(1)
        self.into_full_output("verify", self.store)
