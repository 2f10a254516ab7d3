"""Goal: read finds events by each of their names and ranges."""
from support import CommandLineTest, compact


class Read(CommandLineTest):
    def positions(self, *options):
        return [event["position"] for event in self.varve("read", self.store, "--json", *options).json]

    def test_sources(self):
        self.fill(2)
        self.fill(1, stream="cart-1", kind="CartOpened")
        self.assertEqual(self.positions(), [1, 2, 3])
        self.assertEqual(self.positions("--stream", "order-42"), [1, 2])
        self.assertEqual(self.positions("--category", "cart"), [3])
        self.assertEqual(self.positions("--type", "CartOpened"), [3])
        self.assertEqual(self.positions("--tag", "customer/7"), [1, 2, 3])
        self.assertEqual(self.positions("--stream", "missing"), [])

    def test_ranges(self):
        self.fill(10)
        self.assertEqual(self.positions("--from", "9"), [9, 10])
        self.assertEqual(self.positions("--after", "9"), [10])
        self.assertEqual(self.positions("--until", "2"), [1, 2])
        self.assertEqual(self.positions("--limit", "2", "--backwards"), [10, 9])
        self.assertEqual(self.positions("--limit", "0"), [])
        self.assertEqual(self.positions("--from", "11"), [])
        self.assertEqual(self.positions("--from", "3", "--until", "2"), [3, 2])
        self.assertEqual(self.positions("--stream", "order-42", "--from-revision", "9"), [9, 10])
        self.assertEqual(self.positions("--durable", "--trusted"), list(range(1, 11)))

    def test_by_id(self):
        for n, id in ((1, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"), (2, "f" * 32)):
            self.varve("append", self.store, input=compact({"data": n, "id": id}))
        self.assertEqual(self.positions("--id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"), [1])
        self.assertEqual(self.positions("--id", "6BA7B8109DAD11D180B400C04FD430C8", "--trusted"), [1])
        event = self.varve("read", self.store, "--json", "--id", "f" * 32).json[0]
        self.assertEqual(event["id"], "ffffffff-ffff-ffff-ffff-ffffffffffff")
        self.assertIn("[not_found]", self.varve("read", self.store, "--id", "0" * 32, code=1).err)
        for wrong in ("", "12", "g" * 32, "f" * 33):
            self.usage("read", self.store, "--id", wrong)
        for other in (("--stream", "a"), ("--from", "1"), ("--limit", "1"), ("--backwards",), ("--durable",)):
            self.usage("read", self.store, "--id", "f" * 32, *other)

    def test_times(self):
        self.fill(3)  # one millisecond apart, the first at 22:13:20.001
        self.assertEqual(self.positions("--since", "1700000000002"), [2, 3])
        self.assertEqual(self.positions("--before", "1700000000002"), [1])
        self.assertEqual(self.positions("--since", "2023-11-14T22:13:20.002Z", "--before", "2023-11-14T23:13:20.003+01:00"), [2])
        self.assertEqual(self.positions("--since", "2023-11-14", "--before", "2023-11-15"), [1, 2, 3])
        self.assertEqual(self.positions("--since", "-1h"), [])
        self.assertEqual(self.positions("--since", "-1h", "--recorded"), [1, 2, 3])
        self.assertEqual(self.positions("--before", "-1h", "--recorded"), [])
        self.assertEqual(self.positions("--since", "-1", "--stream", "order-42", "--backwards", "--limit", "2"), [3, 2])
        self.assertIn("recorded", self.varve("read", self.store, "--recorded", "--json").json[0])
        self.assertIn("(recorded 20", self.varve("read", self.store, "--recorded").out)
        for wrong in ("", "yesterday", "-1y", "-h", "2023-13-01", "+99999999999999w"):
            self.usage("read", self.store, "--since", wrong)

    def test_matching_events_only(self):
        self.fill(10)
        self.assertEqual(self.positions("--match", '{"data":{"n":{"$gte":9}}}'), [9, 10])
        self.assertEqual(self.positions("--match", '{"data":{"n":{"$gte":3}}}', "--type", "OrderPlaced", "--limit", "2"), [3, 4])
        self.assertEqual(self.positions("--match", '{"metadata":{"n":1}}'), [])
        self.assertIn("$gte", self.usage("read", self.store, "--match", '{"data":{"n":{"$most":9}}}').err)
        self.usage("read", self.store, "--match", "{}", "--id", "f" * 32)

    def test_recorded_lines_are_taken_back(self):
        self.fill(1)
        lines = self.varve("read", self.store, "--recorded", "--json").out
        self.varve("append", self.folder / "other", input=lines)

    def test_what_is_printed(self):
        self.fill(1)
        event = self.varve("read", self.store, "--json").json[0]
        self.assertEqual(event, {"position": 1, "stream": "order-42", "revision": 1, "type": "OrderPlaced", "tags": ["customer/7"],
                                 "time": 1700000000001, "data": {"n": 1}})
        for part in ("order-42@1", "OrderPlaced", "customer/7", '{"n":1}', "2023-11-14 22:13:20.001"):
            self.assertIn(part, self.varve("read", self.store).out)

    def test_wrong_arguments(self):
        self.usage("read")
        self.usage("read", self.store, "--from", "-1")
        self.usage("read", self.store, "--stream", "a", "--type", "b")
        self.usage("read", self.store, "--stream", "")
        self.usage("read", self.store, "--from-revision", "1")

    def test_missing(self):
        self.assertIn("[not_found]", self.varve("read", self.store, code=1).err)
        self.assertFalse(self.store.exists())

    def test_full_output(self):
        self.fill(1)
        self.into_full_output("read", self.store)
        self.into_full_output("read", self.store, "--json")
