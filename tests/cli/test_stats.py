"""Goal: stats counts and measures."""
from support import CommandLineTest


class Stats(CommandLineTest):
    def test_success(self):
        self.fill(3)
        stats = self.varve("stats", self.store, "--json").json[0]
        self.assertEqual((stats["events"], stats["published"], stats["durable"]), (3, 3, 3))
        self.assertGreater(stats["bytes"], stats["log_bytes"])
        self.assertIn("events     3", self.varve("stats", self.store).out)

    def test_bytes_by_kind_of_file(self):
        self.fill(3)
        stats = self.varve("stats", self.store, "--json").json[0]
        (self.store / "consumers").mkdir(exist_ok=True)
        (self.store / "consumers" / "one").write_bytes(b"x" * 100)
        (self.store / "dropped").mkdir(exist_ok=True)
        (self.store / "dropped" / "1.seg").write_bytes(b"x" * 1000)
        (self.store / "note").write_bytes(b"x" * 10)
        after = self.varve("stats", self.store, "--json").json[0]
        grown = {key: after[key] - stats[key] for key in stats if key.endswith("bytes") and after[key] != stats[key]}
        self.assertEqual(grown, {"consumer_bytes": 100, "dropped_bytes": 1000, "other_bytes": 10, "bytes": 1110})
        kinds = ("segment_bytes", "index_bytes", "dropped_bytes", "consumer_bytes", "manifest_bytes", "other_bytes")
        self.assertEqual(after["bytes"], sum(after[kind] for kind in kinds))
        self.assertEqual(after["bytes"], sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file()))
        self.assertGreater(after["active_index_bytes"], 0)
        self.assertGreater(after["manifest_bytes"], 0)

    def on_disk(self, folder, pattern="*"):
        return sum(path.stat().st_blocks * 512 for path in folder.glob(pattern) if path.is_file())

    def test_bytes_on_the_disk(self):
        self.fill(3)
        (self.store / "dropped").mkdir(exist_ok=True)
        with open(self.store / "dropped" / "1.seg", "wb") as file:  # a hole with something behind it
            file.seek(1 << 20)
            file.write(b"x" * 4096)
        stats = self.varve("stats", self.store, "--json").json[0]
        disk = stats["on_disk"]
        self.assertEqual(stats["dropped_bytes"], (1 << 20) + 4096)
        self.assertLess(disk["dropped"], 1 << 20)
        for kind, folder in (("segments", "log"), ("indexes", "index"), ("dropped", "dropped"), ("consumers", "consumers")):
            self.assertEqual(disk[kind], self.on_disk(self.store / folder), kind)
        self.assertEqual(disk["manifest"], self.on_disk(self.store, "manifest"))
        self.assertEqual(disk["other"], self.on_disk(self.store) - disk["manifest"])
        self.assertEqual(disk["all"], self.on_disk(self.store, "**/*"))
        self.assertIn("on the disk", self.varve("stats", self.store).out)

    def test_streams(self):
        self.fill(3)
        self.fill(2, stream="cart-1", kind="Opened")
        self.fill(9, stream="cart-22")
        sizes = self.varve("stats", self.store, "--streams", "--json").json
        self.assertEqual([(s["stream"], s["events"]) for s in sizes], [("cart-1", 2), ("cart-22", 9), ("order-42", 3)])
        # 64 bytes of header, 24 of hashes, 2 of the tag's length, the names, padding; the data and padding.
        self.assertEqual(sizes[0]["bytes"], 2 * ((64 + 24 + 2 + len("cart-1Openedcustomer/7") + 7) // 8 * 8 + 8))
        top = self.varve("stats", self.store, "--streams", "--top", "2", "--json").json
        self.assertEqual([s["stream"] for s in top], ["cart-22", "order-42"])
        carts = self.varve("stats", self.store, "--streams", "--prefix", "cart-2", "--json").json
        self.assertEqual(carts, [sizes[1]])
        self.assertIn("cart-22", self.varve("stats", self.store, "--streams", "--top", "1").lines[1])
        stats = self.varve("stats", self.store, "--json").json[0]
        self.assertLess(sum(s["bytes"] for s in sizes), stats["log_bytes"])

    def test_errors(self):
        self.usage("stats", self.store, "--top", "3")
        self.usage("stats", self.store, "--streams", "--top", "-3")
        self.usage("stats")
        self.varve("stats", self.store, code=1)
        self.assertFalse(self.store.exists())
        self.fill(1)
        self.into_full_output("stats", self.store)
