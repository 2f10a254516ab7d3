"""Goal: erase says what it would take, takes it only with --yes, and every other command shows the event without content."""
from support import CommandLineTest


class Erase(CommandLineTest):
    def content(self):
        return b"".join(path.read_bytes() for path in self.store.rglob("*") if path.is_file())

    def test_success(self):
        self.fill(3)
        self.fill(1, stream="other")
        self.assertIn(b'{"n":2}', self.content())
        report = self.varve("erase", self.store, "--position", 2, "--yes", "--json").json[0]
        self.assertEqual(report, {"erased": 1, "bytes": 7, "already": 0, "record": 5, "done": True})
        self.assertNotIn(b'{"n":2}', self.content())
        for command in ("read", "export"):
            events = self.varve(command, self.store, *(["--json"] if command == "read" else [])).json
            self.assertEqual([event["position"] for event in events], [1, 2, 3, 4])
            self.assertEqual([event.get("erased", False) for event in events], [False, True, False, False])
            self.assertNotIn("data", events[1])
            self.assertEqual((events[1]["stream"], events[1]["revision"]), ("order-42", 2))
        self.assertIn("(erased)", self.varve("read", self.store).out)
        tailed = self.varve("tail", self.store, "--after", 0, "--limit", 4, "--json").json
        self.assertTrue(tailed[1]["erased"])
        report = self.varve("verify", self.store, "--json").json[0]
        self.assertEqual((report["events"], report["erased"], report["damaged"]), (4, 1, []))
        self.assertIn("1 events were erased", self.varve("verify", self.store).out)

    def test_by_name(self):
        self.fill(3)
        self.fill(2, stream="other")
        self.assertIn("would erase 3 events", self.varve("erase", self.store, "--stream", "order-42", "--dry-run").out)
        self.assertEqual(self.varve("erase", self.store, "--stream", "order-42", "--yes", "--json").json[0]["erased"], 3)
        again = self.varve("erase", self.store, "--tag", "customer/7", "--yes", "--json").json[0]
        self.assertEqual((again["erased"], again["already"]), (2, 3))
        self.assertNotIn(b'{"n":', self.content())

    def test_two_positions(self):
        self.fill(3)
        report = self.varve("erase", self.store, "--position", 1, "--position", 3, "--yes", "--json").json[0]
        self.assertEqual(report["erased"], 2)

    def test_export_reads_back(self):
        self.fill(2)
        self.varve("erase", self.store, "--position", 1, "--yes")
        exported = self.varve("export", self.store).out
        self.varve("import", self.folder / "copy", "-", input=exported)
        events = self.varve("read", self.folder / "copy", "--json").json
        self.assertEqual([event.get("data") for event in events], [None, {"n": 2}])

    def test_import_goes_on_behind_an_erasure(self):
        lines = [f'{{"stream":"s","data":{{"n":{n}}}}}\n' for n in range(1, 5)]
        for last in (1, 2):
            with self.subTest(last=last):
                store, file = self.folder / f"resumed{last}", self.folder / "all.ndjson"
                file.write_text("".join(lines))
                self.varve("append", store, input="".join(lines[:2]))
                self.varve("erase", store, "--position", last, "--yes")
                self.varve("import", store, file, "--resume")
                data = [event.get("data") for event in self.varve("read", store, "--json").json]
                self.assertEqual(data, [None if n == last else {"n": n} for n in range(1, 5)])

    def test_asks_first(self):
        self.fill(2)
        before = self.content()
        answer = self.varve("erase", self.store, "--position", 1, code=1)
        self.assertIn("--yes", answer.err)
        self.assertIn("1 event,", answer.err)
        self.varve("erase", self.store, "--position", 1, "--dry-run", "--json")
        self.assertEqual(self.content(), before)

    def test_errors(self):
        self.usage("erase", self.store)
        self.usage("erase", self.store, "--position", 1, "--stream", "s")
        self.usage("erase", self.store, "--position", -1)
        self.usage("erase", self.store, "--stream", "")
        self.varve("erase", self.store, "--position", 1, "--yes", code=1)
        self.assertFalse(self.store.exists())
        self.fill(1)
        self.varve("erase", self.store, "--position", 2, "--yes", code=1)
        self.varve("erase", self.store, "--position", 0, "--yes", code=1)
        self.assertEqual(self.varve("erase", self.store, "--stream", "nobody", "--yes", "--json").json[0]["erased"], 0)
        self.into_full_output("erase", self.store, "--position", 1, "--dry-run")
