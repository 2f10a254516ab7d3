"""Goal: stats counts and measures."""
from support import CommandLineTest


class Stats(CommandLineTest):
    def test_success(self):
        self.fill(3)
        stats = self.varve("stats", self.store, "--json").json[0]
        self.assertEqual((stats["events"], stats["published"], stats["durable"]), (3, 3, 3))
        self.assertGreater(stats["bytes"], stats["log_bytes"])
        self.assertIn("events     3", self.varve("stats", self.store).out)

    def test_errors(self):
        self.usage("stats")
        self.varve("stats", self.store, code=1)
        self.assertFalse(self.store.exists())
        self.fill(1)
        self.into_full_output("stats", self.store)
