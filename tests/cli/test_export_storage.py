"""Goal: export writes a storage of node-event-storage with every stream, version and event, and says what it cannot carry over.

Method: storages written byte by byte are imported, exported and imported again: both stores and both storages must be equal, document
by document. Events that were born in a store are read from the exported files by a reader that shares no code with the library.
"""
import json
import struct

from nes_source import Source, compact, partition_id
from support import CommandLineTest
from test_import_storage import shop, ImportStorage as Carrying


class Storage:
    """Reads a storage in the classic layout."""

    def __init__(self, directory, name="es"):
        self.directory, self.name = directory, name
        self.partitions = {}
        for path in directory.rglob("*"):
            file = str(path.relative_to(directory))
            if path.is_file() and not file.startswith("streams"):
                self.partitions[partition_id(file)] = self.content(path, b"nesprt03")
        self.entries = self.index("")
        self.documents = [json.loads(self.document(entry)[1]) for entry in self.entries]

    def content(self, path, magic):
        data = path.read_bytes()
        assert data[:8] == magic, path
        size = struct.unpack(">I", data[8:12])[0]
        return json.loads(data[12:12 + size]), data[12 + size:]

    def index(self, name):
        path = self.directory / "streams" / f"{self.name}{'.' if name else ''}{name}.index"
        self.metadata, data = self.content(path, b"nesidx01")
        return [struct.unpack("<IIII", data[at:at + 16]) for at in range(0, len(data), 16)]

    def document(self, entry):
        number, position, size, partition = entry
        metadata, body = self.partitions[partition]
        length, sequence, time = struct.unpack(">IId", body[position:position + 16])
        assert (length, sequence) == (size, number - 1), entry
        return metadata["epoch"] * 1000 + int(time), body[position + 16:position + 16 + size]

    def all(self):
        """Time and bytes of every document, in order."""
        return [self.document(entry) for entry in self.entries]

    def indexes(self):
        """Of each index, its matcher and its numbers."""
        found = {}
        for path in sorted((self.directory / "streams").rglob("*.index")):
            name = str(path.relative_to(self.directory / "streams"))[len(self.name) + 1:-len(".index")]
            if str(path.name) != f"{self.name}.index":
                entries = self.index(name)
                found[name] = (self.metadata.get("matcher"), [entry[0] for entry in entries])
        return found


class ExportStorage(Carrying):
    def export(self, target, *more, code=0, store=None):
        answer = self.varve("export", store or self.store, target, "--to", "node-event-storage", "--name", "es", "--json", *more, code=code)
        lines = answer.json
        return lines[-1], lines[:-1]

    def consumers(self, directory):
        """The files of consumers: by name, what they hold."""
        root = directory / "streams" / "consumers"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def append(self, *events):
        for commit in events:
            commit = commit if isinstance(commit, list) else [commit]
            self.varve("append", self.store, input="".join(compact(event) + "\n" for event in commit))


class Imported(ExportStorage):
    def test_round_trip(self):
        for layout in ("classic", "mapped"):
            self.data = self.folder / layout
            shop(self.data, layout).save()
            first, second = self.folder / (layout + "-1"), self.folder / (layout + "-2")
            self.carry(store=first)
            target = self.folder / (layout + "-out")
            report, lost = self.export(target, "--type-path", "type", *(["--mapped"] if layout == "mapped" else []), store=first)
            self.assertEqual((report["events"], report["documents"], report["as_imported"], report["commits"]), (11, 11, 11, 0))
            self.assertEqual((report["derived"], report["closed"]), (4, 2))
            self.assertEqual((report["consumers"], report["lost"], lost), (3, {}, []))
            self.assertEqual(self.consumers(target), {name: at for name, at in self.consumers(self.data).items() if "by function" not in name})
            source, self.data = self.data, target
            again, found = self.carry(store=second)
            self.assertEqual((again["events"], again["commits"], again["differing_streams"], again["differing_indexes"]), (11, 6, 0, 0))
            self.assertEqual(found, [])
            self.assertEqual(self.events(second), self.events(first), "events, ids and times, streams and versions")
            self.assertEqual(*(sorted((one["name"], one["position"], one["state_bytes"]) for one in
                                      self.varve("consumers", store, "--json").json) for store in (first, second)))
            self.assertEqual(self.varve("streams", second, "--json").json, self.varve("streams", first, "--json").json)
            definitions = [[{key: one.get(key) for key in ("name", "matcher", "events")} for one in
                            sorted(self.varve("definitions", store, "--json").json, key=lambda one: one["name"])] for store in (first, second)]
            self.assertEqual(definitions[0], definitions[1])
            if layout == "classic":
                one, other = Storage(source), Storage(target)
                self.assertEqual(other.all(), one.all(), "times and bytes of the documents")
                known = {name: index for name, index in one.indexes().items() if name not in ("stream-by function", "stream-tags/bank/1")}
                self.assertEqual(self.normal(other.indexes()), self.normal(known))
            self.varve("verify", second)

    def normal(self, indexes):
        """Matchers of definitions are spelt in their canonical form: the order of fields and of lists means nothing."""
        def ordered(value):
            if isinstance(value, dict):
                return {key: ordered(value[key]) for key in sorted(value)}
            return sorted(map(ordered, value)) if isinstance(value, list) else value
        return {name: (json.dumps(ordered(matcher)), numbers) for name, (matcher, numbers) in indexes.items()}

    def test_documents_that_no_event_store_wrote(self):
        source = Source(self.data)
        for n in range(20):
            source.document({"kind": "A", "n": n, "stream": "s"} if n % 2 else {"n": n}, "x/y", time_us=n * 1000)
        source.add_to("few", {"n": {"$lt": 3}}, [1, 2, 3])
        source.save()
        self.carry()
        target = self.folder / "out"
        report, lost = self.export(target)
        self.assertEqual((report["as_imported"], report["derived"], lost), (20, 1, []))
        one, other = Storage(self.data), Storage(target)
        self.assertEqual(other.all(), one.all())
        self.assertEqual(other.indexes(), one.indexes())
        self.data = target
        self.carry(store=self.folder / "second")
        self.assertEqual(self.events(self.folder / "second"), self.events())


class Born(ExportStorage):
    def test_events_of_a_store(self):
        self.append([{"stream": "a-1", "type": "T", "tags": ["x", "y/ä"], "time": 1700000000000.125, "data": {"n": 1}, "metadata": {"user": "ann"}},
                     {"stream": "a-1", "data": {"type": "T"}, "type": "T"}, {"stream": "b", "data": [1, 2]}],
                    {"stream": "a-1", "data": None}, {"data": "of no stream"}, {"stream": "a-1", "data": 7, "metadata": {"commitId": 9}})
        target = self.folder / "out"
        report, lost = self.export(target)
        self.assertEqual((report["events"], report["documents"], report["as_imported"], report["commits"]), (6, 6, 0, 5))
        self.assertEqual((report["lost"], lost), ({}, []))
        storage = Storage(target)
        self.assertEqual([one["stream"] for one in storage.documents], ["a-1", "a-1", "b", "a-1", "", "a-1"])
        self.assertEqual([one["payload"] for one in storage.documents], [{"n": 1}, {"type": "T"}, [1, 2], None, "of no stream", 7])
        metadata = [one["metadata"] for one in storage.documents]
        self.assertEqual([(one["commitId"], one["commitVersion"], one["commitSize"], one["streamVersion"]) for one in metadata],
                         [(0, 0, 2, 0), (0, 1, 2, 1), (2, 0, 1, 0), (3, 0, 1, 2), (4, 0, 1, 0), (5, 0, 1, 3)])
        self.assertEqual(metadata[0]["committedAt"], 1700000000000.125)
        self.assertEqual((metadata[0]["user"], metadata[0]["varve"]), ("ann", {"type": "T", "tags": ["x", "y/ä"]}))
        self.assertNotIn("varve", metadata[1])
        self.assertEqual(storage.indexes(), {"stream-a-1": ({"stream": "a-1"}, [1, 2, 4, 6]), "stream-b": ({"stream": "b"}, [3])})
        self.data = target
        second = self.folder / "second"
        self.carry(store=second)
        kept = ("position", "revision", "stream", "type", "tags", "time", "data")
        self.assertEqual(*([[event.get(key) for key in kept] for event in self.events(store)] for store in (self.store, second)))
        third = self.folder / "third"
        self.export(third, store=second)
        self.assertEqual(Storage(third).all(), storage.all(), "from here on nothing changes any more")

    def test_what_cannot_be_carried_over(self):
        self.append({"stream": "s", "data": {"$base64": "AP8="}}, {"stream": "s", "data": 1, "metadata": [1]},
                    {"stream": "s", "data": "secret", "id": "00112233-4455-6677-8899-aabbccddeeff"},
                    {"stream": "../up", "data": 1}, {"stream": "x.closed", "data": 2}, {"stream": "d", "data": 3}, {"stream": "d/e", "data": 4},
                    {"stream": "n" * 300, "data": 5})
        self.varve("erase", self.store, "--position", "3", "--yes")
        self.varve("derive", self.store, "other", "--selector", '{"not":{"stream":"s"}}')
        self.varve("derive", self.store, "both", "--selector", '{"any":[{"stream":"s"},{"stream":"d"}]}', "--match", '{"data":{"n":1}}')
        self.varve("index", self.store, "kinds", "--field", "data.kind", "--as-type")
        target = self.folder / "out"
        report, lost = self.export(target, code=1)
        self.assertEqual(report["lost"], {"not_json": 1, "metadata_left": 1, "stream_without_index": 2, "erased_event": 1, "shared_partition": 3,
                                          "unusable_definition": 2, "other_id": 1})
        self.assertEqual({one["loss"]: one["position"] for one in lost if one["position"]},
                         {"not_json": 1, "metadata_left": 2, "erased_event": 3})
        self.assertEqual((report["documents"], report["derived"]), (8, 1))
        storage = Storage(target)
        self.assertEqual([one.get("payload") for one in storage.documents], [{"$base64": "AP8="}, 1, None, 1, 2, 3, 4, 5])
        self.assertNotIn("payload", storage.documents[2])
        self.assertEqual(storage.indexes(), {"stream-s": ({"stream": "s"}, [1, 2, 3]), "stream-d": ({"stream": "d"}, [6]),
                                             "stream-../up": ({"stream": "../up"}, [4]),
                                             "stream-d/e": ({"stream": "d/e"}, [7]),
                                             "stream-both": ({"stream": ["d", "s"], "payload": {"n": 1}}, [])})
        self.assertEqual([one.name for one in self.folder.glob("*up*")], [])
        self.assertEqual(sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()),
                         ["es", "es.d/e", "es.s", "es.x.closed", "streams/es.index", "streams/es.stream-../up.index", "streams/es.stream-both.index", "streams/es.stream-d.index",
                          "streams/es.stream-d/e.index", "streams/es.stream-s.index"])

    def test_many_streams(self):
        lines = "".join(compact({"stream": f"s-{n * 7919 % 900}", "data": {"n": n}}) + "\n" for n in range(3000))
        self.varve("append", self.store, "--each", "--durability", "os", input=lines)
        report, _ = self.export(self.folder / "out")
        self.assertEqual((report["documents"], report["streams"]), (3000, 900))
        storage = Storage(self.folder / "out")
        self.assertEqual([one["payload"]["n"] for one in storage.documents], list(range(3000)))
        self.assertTrue(all(len(numbers) in (3, 4) for _, numbers in storage.indexes().values()))

    def test_streams_of_types_and_tags(self):
        self.append({"stream": "s", "type": "A", "tags": ["t/1"], "data": {"kind": {"name": "A"}, "labels": ["t/1"]}})
        self.export(self.folder / "out", "--type-path", "kind.name", "--tag-path", "labels")
        storage = Storage(self.folder / "out")
        self.assertEqual(storage.indexes(), {"stream-s": ({"stream": "s"}, [1]), "stream-A": ({"payload": {"kind": {"name": "A"}}}, [1]),
                                             "stream-tags/t/1": ({"payload": {"labels": {"$has": "t/1"}}}, [1])})
        self.assertNotIn("varve", storage.documents[0]["metadata"])
        self.data = self.folder / "out"
        report, _ = self.carry(store=self.folder / "second")
        self.assertEqual((report["type_path"], report["tag_path"], report["differing_indexes"]), ("kind.name", "labels", 0))


class Refused(ExportStorage):
    def test_arguments(self):
        self.fill(1)
        self.usage("export", self.store, "--to", "node-event-storage")
        self.usage("export", self.store, "out", "--to", "elsewhere")
        self.usage("export", self.store, "out", "--name", "es")
        self.usage("export", self.store, "out", "--mapped")
        self.assertFalse((self.folder / "out").exists())

    def test_an_existing_directory(self):
        self.fill(1)
        (self.folder / "out").mkdir()
        answer = self.varve("export", self.store, "out", "--to", "node-event-storage", code=1)
        self.assertIn("the directory exists", answer.err)
        self.assertEqual(list((self.folder / "out").iterdir()), [])
        self.varve("export", self.folder / "none", "other", "--to", "node-event-storage", code=1)
        self.assertFalse((self.folder / "other").exists(), "nothing is made for a store that is not there")

    def test_an_empty_store(self):
        self.varve("create", self.store)
        report, lost = self.export(self.folder / "out")
        self.assertEqual((report["documents"], report["streams"], lost), (0, 0, []))
        self.assertEqual(Storage(self.folder / "out").entries, [])

    def test_text(self):
        self.fill(3)
        answer = self.varve("export", self.store, "out", "--to", "node-event-storage")
        self.assertIn("exported 3 events as 3 documents", answer.out)
        self.assertIn("every document and every stream is as it was written", answer.out)
        self.assertTrue((self.folder / "out/streams/eventstore.stream-order-42.index").exists())


if __name__ == "__main__":
    import unittest
    unittest.main()
