"""Goal: import takes a storage of node-event-storage over as it is, finds everything that is wrong with it, and goes on after a kill.

Method: storages written byte by byte in both layouts, whole and spoilt; what the store exports is compared with what was written.
Storages of the original itself are compared with what it says of them, where somebody has them.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
import unittest

from nes_source import EPOCH_MS, Source, compact
from support import VARVE, CommandLineTest

FUNCTION = "(e) => e.payload.type === 'Paid'"


def shop(directory, layout="classic"):
    """A storage with something of everything that can be carried over."""
    source = Source(directory, layout=layout)
    source.commit("order/1", [{"type": "Placed", "tags": ["customer/7"], "total": 30}], user="ann")
    source.commit("order/1", [{"type": "Paid", "tags": ["customer/7", "bank/1"], "total": 30}, {"type": "Sent"}, {"type": "Seen"}])
    source.commit("wallet-日本", [{"type": "Placed", "text": "ä\"\n🚀", "total": 1000}])
    source.commit("wallet-日本", [{"type": "Paid", "tags": "bank/2", "total": 5}, {"kind": 1, "type": ""}])
    source.commit("done", [{"type": "Placed", "total": 10.5}, "text", 7])
    source.commit("none", [None])
    source.add_to("stream-done", {"stream": "done"}, [], closed=True)
    for kind, numbers in {"Placed": [1, 5, 8], "Paid": [2, 6], "Sent": [3], "Seen": [4]}.items():
        source.add_to("stream-" + kind, {"payload": {"type": kind}}, numbers)
    source.add_to("stream-tags/bank/1", {"payload": {"tags": {"$has": "bank/1"}}}, [2])
    source.add_to("stream-large", {"payload": {"total": {"$gte": 30}}}, [1, 2, 5])
    source.add_to("stream-anns", {"metadata": {"user": "ann"}, "stream": ["order/1", "other"]}, [1], closed=True)
    source.add_to("stream-everything", {}, list(range(1, 12)))
    source.add_to("stream-by function", FUNCTION, [2, 6], hmac="0" * 64)
    source.consumer("stream-order/1", "mails", 2, {"sent": 1, "to": "日本"})
    source.consumer("_all", "counts", 9, {})
    source.consumer("stream-large", "counts", 0, {"n": []})
    source.consumer("stream-by function", "lost", 1, {})
    source.metadata["done"] = {"owner": {"name": "x"}}
    return source


class ImportStorage(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"

    def carry(self, *more, code=0, store=None, name="es"):
        answer = self.varve("import", store or self.store, "--from", "node-event-storage", self.data, "--name", name, "--json", *more,
                            code=code)
        lines = answer.json
        return lines[-1], lines[:-1]

    def events(self, store=None):
        return self.varve("read", store or self.store, "--json").json

    def places(self, found, kind):
        return [(pathlib.Path(one["file"]).name, one["offset"], one["document"]) for one in found if one["finding"] == kind]

    def expect_events(self, source, numbers=None, store=None):
        """The store has exactly the documents of these numbers, in their order, word for word."""
        documents = {}
        for partition, body in source.partitions.items():
            at = 0
            while at + 16 <= len(body):
                size = int.from_bytes(body[at:at + 4], "big")
                number = int.from_bytes(body[at + 4:at + 8], "big") + 1
                documents.setdefault(number, json.loads(body[at + 16:at + 16 + size]))
                at += 24 + (size + 3) // 4 * 4
        events = self.events(store)
        wanted = [documents[number] for number in numbers or sorted(documents)]
        self.assertEqual([event["stream"] for event in events], [one["stream"] for one in wanted])
        self.assertEqual([event.get("data") for event in events], [one.get("payload") for one in wanted])
        self.assertEqual([event["metadata"] for event in events], [one["metadata"] for one in wanted])
        self.assertEqual([event["time"] for event in events], [one["metadata"]["committedAt"] for one in wanted])
        self.assertEqual(len({event["id"] for event in events}), len(events))
        return events


class Whole(ImportStorage):
    def test_everything_is_carried_over(self):
        for layout in ("classic", "mapped"):
            self.data = self.folder / layout
            store = self.folder / ("store-" + layout)
            source = shop(self.data, layout).save()
            before = self.snapshot_of_files(self.data)
            report, found = self.carry(store=store)
            self.assertEqual(self.snapshot_of_files(self.data), before, "the source is only read")
            self.assertEqual((report["documents"], report["events"], report["duplicates"], report["left_out"]), (11, 11, 0, 0))
            self.assertEqual((report["commits"], report["derived"], report["closed"], report["consumers"]), (6, 4, 2, 3))
            self.assertEqual((report["type_path"], report["tag_path"]), ("type", "tags"))
            self.assertEqual((report["compared"], report["differing_streams"], report["differing_indexes"]), (True, 0, 0))
            self.assertEqual(report["streams"], 4)
            self.assertEqual(sorted(one["finding"] for one in found), ["function_matcher", "partition_metadata", "unusable_consumer"])
            self.assertIn(FUNCTION, next(one["what"] for one in found if one["finding"] == "function_matcher"))
            self.assertIn('{"owner":{"name":"x"}}', next(one["what"] for one in found if one["finding"] == "partition_metadata"))
            events = self.expect_events(source, store=store)
            self.assertEqual([event["position"] for event in events], list(range(1, 12)), "positions are the numbers")
            self.assertEqual([event.get("type") for event in events],
                             ["Placed", "Paid", "Sent", "Seen", "Placed", "Paid", None, "Placed", None, None, None])
            self.assertEqual(events[1]["tags"], ["customer/7", "bank/1"])
            self.assertEqual(events[5]["tags"], ["bank/2"], "a string is one tag")
            self.varve("verify", store)

    def test_streams_by_matchers_and_closed_ones(self):
        shop(self.data).save()
        self.carry()
        derived = {name: [event["position"] for event in self.varve("read", self.store, "--derived", name, "--json").json]
                   for name in ("large", "anns", "everything", "done")}
        self.assertEqual(derived, {"large": [1, 2, 5], "anns": [1], "everything": list(range(1, 12)), "done": [8, 9, 10]})
        closed = {one["name"]: one.get("closed", 0) > 0 for one in self.varve("definitions", self.store, "--json").json}
        self.assertEqual(closed, {"large": False, "anns": True, "everything": False, "done": True})
        # What is closed takes nothing more, what is not goes on.
        self.varve("append", self.store, input=compact({"stream": "done", "metadata": {"user": "ann"}, "data": {"total": 99}}) + "\n")
        self.assertEqual(len(self.varve("read", self.store, "--derived", "done", "--json").json), 3)
        self.assertEqual(len(self.varve("read", self.store, "--derived", "large", "--json").json), 4)

    def test_consumers_go_on_where_they_were(self):
        shop(self.data).save()
        self.carry()
        names = [one["name"] for one in self.varve("consumers", self.store, "--json").json]
        self.assertEqual(sorted(names), ["all.counts", "mails", "stream-large.counts"], "the streams tell two of one name apart")
        mails = self.varve("consumers", self.store, "show", "mails", "--json").json[0]
        self.assertEqual((mails["position"], mails["behind"]), (2, 2))
        rest = self.varve("tail", self.store, "--consumer", "mails", "--timeout", "0.2", "--json").json
        self.assertEqual([event["position"] for event in rest], [3, 4])
        # Whoever has gone on here is not taken back.
        report, _ = self.carry()
        self.assertEqual(report["consumers"], 3)
        self.assertGreaterEqual(self.varve("consumers", self.store, "show", "mails", "--json").json[0]["position"], 4)

    def test_a_repetition_appends_nothing(self):
        source = shop(self.data).save()
        self.carry()
        report, _ = self.carry()
        self.assertEqual((report["events"], report["duplicates"], report["derived"], report["closed"]), (0, 11, 4, 2))
        self.assertEqual((report["differing_streams"], report["differing_indexes"]), (0, 0))
        source.commit("order/1", [{"type": "Paid"}, {"type": "Sent"}])
        source.add_to("stream-Paid", {"payload": {"type": "Paid"}}, [12])
        source.add_to("stream-Sent", {"payload": {"type": "Sent"}}, [13])
        source.add_to("stream-large", {"payload": {"total": {"$gte": 30}}}, [])
        source.add_to("stream-everything", {}, [12, 13])
        source.add_to("stream-by function", FUNCTION, [12])
        source.save()
        report, _ = self.carry()
        self.assertEqual((report["events"], report["duplicates"], report["differing_streams"]), (2, 11, 0))
        self.expect_events(source)

    def test_into_a_store_that_has_events(self):
        self.fill(5)
        source = shop(self.data).save()
        report, _ = self.carry()
        self.assertEqual((report["events"], report["differing_streams"]), (11, 0))
        other = Source(self.folder / "other", name="two")
        other.commit("order/1", [{"type": "Other"}])
        self.data = other.save().directory
        report, _ = self.carry(name="two")
        self.assertEqual((report["events"], report["differing_streams"]), (1, 0))
        self.assertEqual(len(self.events()), 5 + 11 + 1)
        self.assertEqual(source.versions["order/1"], 4)

    def test_text_for_people(self):
        shop(self.data).save()
        answer = self.varve("import", self.store, "--from", "node-event-storage", self.data, "--name", "es", "--streams")
        self.assertIn("imported 11 events; 11 documents in 6 commits\n", answer.out)
        self.assertIn("compared 4 streams, 0 differ; 13 indexes, 0 differ\n", answer.out)
        self.assertIn("function_matcher: ", answer.out)
        self.assertRegex(answer.out, r"(?m)^ +4 [0-9a-f]{8}  order/1$")
        _, lines = self.carry("--streams")
        self.assertEqual(len([one for one in lines if "stream" in one and one["checksum"] == one["checksum_here"]]), 4)

    def test_without_comparison(self):
        shop(self.data).save()
        report, _ = self.carry("--no-compare")
        self.assertEqual((report["events"], report["compared"], report["streams"]), (11, False, 0))


class Paths(ImportStorage):
    def names(self, *more, code=0):
        store = self.folder / f"store-{random.random()}"
        report, found = self.carry(*more, store=store, code=code)
        self.varve("verify", store)
        return report, found, [(event["stream"], event.get("type"), event.get("tags", [])) for event in self.events(store)]

    def test_given_and_detected(self):
        source = Source(self.data)
        source.commit("a", [{"kind": {"name": "K"}, "type": "T", "labels": ["x", "y", "x", 3, ""], "tags": ["t"]}])
        source.commit("a", [{"kind": {"name": ["K", "L"]}, "labels": "z"}])
        source.save()
        _, _, names = self.names()
        self.assertEqual(names, [("a", "T", ["t"]), ("a", None, [])], "the usual names")
        _, _, names = self.names("--type-path", "", "--tag-path", "")
        self.assertEqual(names, [("a", None, []), ("a", None, [])])
        given = ["--type-path", "kind.name", "--tag-path", "labels"]
        _, found, names = self.names(*given)
        self.assertEqual(names, [("a", "K", ["x", "y"]), ("a", "K", ["z"])])
        self.assertEqual(self.places(found, "unusable_name")[0][2], 2, "of two types one is left out, and told")
        # Indexes that the accessors have made say where they looked.
        source.add_to("stream-K", {"payload": {"kind": {"name": "K"}}}, [1])
        source.add_to("stream-tags/x", {"payload": {"labels": {"$has": "x"}}}, [1])
        source.save()
        report, _, names = self.names(code=1)  # the index lacks the second event, which has two types
        self.assertEqual((report["type_path"], report["tag_path"], report["differing_indexes"]), ("kind.name", "labels", 1))
        self.assertEqual(names, [("a", "K", ["x", "y"]), ("a", "K", ["z"])])

    def test_documents_that_no_event_store_wrote(self):
        source = Source(self.data, streams=None)
        documents = [{"stream": "s", "type": "T", "tags": ["t"]}, {"type": "U"}, {"where": {"is": "w"}, "payload": 1},
                     {"stream": "e", "metadata": {}, "more": 1}]
        for document in documents:
            source.document(document, "p/1")
        source.add_to("typed", {"type": {"$ne": "U"}}, [1])
        source.save()
        report, found, names = self.names()
        self.assertEqual(found, [])
        self.assertEqual(names, [("s", "T", ["t"]), ("p/1", "U", []), ("p/1", None, []), ("e", None, [])])
        _, _, names = self.names("--stream-path", "where.is", "--type-path", "payload")
        self.assertEqual([name[0] for name in names], ["p/1", "p/1", "w", "p/1"])
        store = self.folder / "store"
        self.carry(store=store)
        events = self.events(store)
        self.assertEqual([event["data"] for event in events], documents, "the whole document")
        self.assertEqual([event["time"] for event in events], [EPOCH_MS + n / 100 for n in range(1, 5)])
        self.assertEqual([event["position"] for event in self.varve("read", store, "--derived", "typed", "--json").json], [1])

    def test_names_that_the_store_refuses(self):
        source = Source(self.data)
        source.commit("a", [{"type": "$T", "tags": ["ok", "bad\n", "x" * 1025]}, {"type": "T"}])
        source.commit("$b", [{"type": "T"}])
        source.commit("a", [{"type": "T", "tags": [f"t{n}" for n in range(70)]}])
        source.commit("a", [{"type": "T"}], much="x" * (1 << 20))
        source.save()
        report, found, names = self.names(code=1)
        self.assertEqual((report["documents"], report["events"], report["left_out"]), (5, 3, 2))
        self.assertEqual(names, [("a", None, ["ok"]), ("a", "T", []), ("a", "T", [f"t{n}" for n in range(64)])])
        self.assertEqual([place[2] for place in self.places(found, "unusable_name")], [1, 1, 1, 4])
        self.assertEqual([place[2] for place in self.places(found, "unusable_event")], [3, 5])
        self.assertEqual(report["differing_indexes"], 0, "what was left out is not missed")


class Spoilt(ImportStorage):
    def small(self):
        source = Source(self.data)
        for n in range(6):
            source.commit("a" if n % 2 else "b", [{"type": "T", "n": n}])
        return source

    def header_bytes(self, source, partition):
        return (self.data / source.file_of(partition)).stat().st_size - len(source.partitions[partition])

    def test_documents_that_are_not_json(self):
        source = self.small()
        source.document(b"\x93\x01binary", "a")
        source.document('{"stream":"a","payload":1', "a")
        source.document('["a"]', "a")
        source.commit("a", [{"n": 7}])
        source.save()
        report, found = self.carry(code=1)
        self.assertEqual((report["documents"], report["events"], report["left_out"]), (10, 7, 3))
        begin = self.header_bytes(source, "a")
        self.assertEqual(self.places(found, "not_json"), [("es.a", begin + source.entries[n][1], n + 1) for n in (6, 7, 8)])
        self.assertEqual([event["data"]["n"] for event in self.events()], [0, 1, 2, 3, 4, 5, 7])

    def test_torn_and_unindexed_documents(self):
        source = self.small()
        source.document({"stream": "b", "payload": 7, "metadata": {"committedAt": 1}}, "b", indexed=False, number=7)
        source.partitions["a"] += b"\x00\x00\x00\xffunfinished"
        source.save()
        report, found = self.carry(code=1)
        self.assertEqual((report["documents"], report["events"]), (7, 7), "what follows the last entry is taken")
        self.assertEqual(self.events()[-1]["data"], 7)
        end = self.header_bytes(source, "a") + len(source.partitions["a"]) - 14
        self.assertEqual([place[:2] for place in self.places(found, "torn_document")], [("es.a", end)])

    def test_documents_that_no_entry_names(self):
        source = self.small()
        source.document({"stream": "b", "payload": "stray", "metadata": {}}, "b", indexed=False, number=3)
        stray = source.partitions["b"][-76:]
        source.commit("b", [{"n": 6}])
        source.document({"stream": "b", "payload": "late", "metadata": {}}, "a", indexed=False, number=9)
        source.save()
        report, found = self.carry(code=3)
        self.assertEqual((report["events"], report["left_out"]), (7, 0))
        places = self.places(found, "unindexed_document")
        self.assertEqual([place[0] for place in places], ["es.b", "es.a"])
        self.assertIn(b"stray", (self.data / "es.b").read_bytes()[places[0][1]:][:len(stray)])
        self.assertIn(b"late", (self.data / "es.a").read_bytes()[places[1][1]:])
        self.assertNotIn("stray", [event["data"] for event in self.events()])

    def test_entries_that_disagree(self):
        source = self.small()
        spoil = {1: (2, 9999), 3: (1, 4), 4: (3, 12345)}
        entries = [list(entry) for entry in source.entries]
        for at, (field, value) in spoil.items():
            entries[at][field] = value
        right, source.entries = source.entries, entries
        source.save()
        for name in ("a", "b"):  # the other indexes are right
            source.put(source.index_directory / f"es.stream-{name}.index",
                       source.index_bytes({"matcher": {"stream": name}}, [right[n] for n in range(6) if (n % 2 == 1) == (name == "a")]))
        report, found = self.carry(code=3)
        self.assertEqual((report["documents"], report["events"], report["left_out"]), (6, 3, 3))
        self.assertEqual([place[2] for place in self.places(found, "damaged_entry")], [2, 4, 5])
        self.assertTrue(all(one["file"] for one in found))
        self.assertEqual([place[2] for place in self.places(found, "damaged_index")], [2, 4, 5])
        self.assertEqual({place[0] for place in self.places(found, "damaged_index")}, {"es.stream-a.index", "es.stream-b.index"})
        self.assertEqual([event["data"]["n"] for event in self.events()], [0, 2, 5])
        self.assertEqual(report["differing_streams"], 0)

    def test_overlapping_entries(self):
        source = Source(self.data)
        inner = Source(self.data)
        inner.document({"stream": "x", "payload": 0, "metadata": {}}, "x", number=2)
        # A document whose payload holds another whole document, which the second entry names.
        text = b'{"stream":"x","payload":"' + bytes(3)
        source.document(text + bytes(inner.partitions["x"]) + b'"}', "x")
        source.entries.append([2, 16 + len(text), inner.entries[0][2], source.entries[0][3]])
        source.document({"stream": "x", "payload": 3, "metadata": {}}, "x")
        source.save()
        report, found = self.carry(code=3)
        self.assertEqual([place[2] for place in self.places(found, "overlapping_entry")], [2])
        self.assertEqual([place[2] for place in self.places(found, "not_json")], [1])
        self.assertEqual([event["data"] for event in self.events()], [3])
        self.assertEqual((report["documents"], report["events"], report["left_out"]), (3, 1, 2))

    def test_missing_partition(self):
        source = self.small().save()
        (self.data / source.file_of("a")).unlink()
        report, found = self.carry(code=3)
        self.assertEqual((report["events"], report["left_out"]), (3, 3))
        self.assertEqual([place[2] for place in self.places(found, "damaged_entry")], [2, 4, 6])

    def test_unfinished_commit_is_left_out_until_it_is_finished(self):
        source = self.small()
        source.commit("a", [{"n": 6}, {"n": 7}], unfinished=1)
        source.save()
        report, found = self.carry(code=1)
        self.assertEqual((report["events"], report["left_out"], report["commits"]), (6, 2, 6))
        self.assertEqual([place[2] for place in self.places(found, "unfinished_commit")], [7])
        source.document({"stream": "a", "payload": {"n": 8}, "metadata": {
            "commitId": 6, "committedAt": EPOCH_MS + 6, "commitVersion": 2, "commitSize": 3, "streamVersion": 5}}, "a")
        source.add_to("stream-a", {"stream": "a"}, [9])
        source.save()
        report, _ = self.carry()
        self.assertEqual((report["events"], report["duplicates"], report["left_out"]), (3, 6, 0))
        self.expect_events(source)

    def test_a_commit_in_the_middle_that_lacks_events_is_kept(self):
        source = self.small()
        source.commit("a", [{"n": 6}], unfinished=4)
        source.commit("a", [{"n": 7}])
        source.save()
        report, _ = self.carry()
        self.assertEqual((report["events"], report["commits"]), (8, 8))

    def test_a_large_commit_stays_together(self):
        source = self.small()
        source.commit("a", [{"n": n} for n in range(3000)])
        source.commit("b", [{"n": n} for n in range(2)])
        source.save()
        report, _ = self.carry()
        self.assertEqual((report["events"], report["commits"]), (3008, 8))
        verified = self.varve("verify", self.store, "--json").json[0]
        self.assertLessEqual(verified["commits"], 4, "one append for the large one, and few for the others")
        self.expect_events(source)

    def test_every_length_of_a_partition(self):
        source = self.small().save()
        path = self.data / source.file_of("b")
        whole = path.read_bytes()
        begin = self.header_bytes(source, "b")
        ends = [begin + entry[1] + 24 + (entry[2] + 3) // 4 * 4 for entry in source.entries[0::2]]
        for length in [*range(0, begin, 16), *range(begin, len(whole), 7)]:
            path.write_bytes(whole[:length])
            shutil.rmtree(self.store, ignore_errors=True)
            report, found = self.carry(code=3)
            there = sum(end <= length for end in ends) if length >= begin else 0
            self.assertEqual((report["events"], report["left_out"]), (3 + there, 3 - there), length)
            self.assertEqual(len(self.places(found, "damaged_entry")), 3 - there)
        path.write_bytes(whole)
        report, _ = self.carry()
        self.assertEqual((report["events"] + report["duplicates"], report["left_out"]), (6, 0))

    def test_other_indexes_that_are_damaged(self):
        source = self.small()
        source.add_to("stream-lacks", {"payload": {"n": {"$gte": 2}}}, [3, 5])
        source.add_to("stream-odd", {"payload": {"n": {"$regex": "x"}}}, [])
        source.add_to("stream-deep", {"payload": {"n": 2}, "other": 1}, [])
        source.add_to("stream-none", None, [1])
        source.save()
        (source.index_directory / "es.stream-torn.index").write_bytes(b"nesidx01\x00\x00")
        (source.index_directory / "es.stream-a.index").write_bytes((source.index_directory / "es.stream-a.index").read_bytes()[:-5])
        report, found = self.carry(code=3)
        self.assertEqual(len(self.places(found, "unusable_matcher")), 3)
        self.assertEqual([place[0] for place in self.places(found, "damaged_file")], ["es.stream-torn.index"])
        self.assertEqual(sorted(place[0] for place in self.places(found, "differing_index")), ["es.stream-a.index", "es.stream-lacks.index"])
        self.assertEqual(report["events"], 6)

    def test_consumers_that_cannot_be_carried_over(self):
        source = self.small()
        source.consumer("stream-a", "broken", 1, '{"text":"ä')
        source.consumer("stream-a", "beyond", 9, {})
        source.save()
        report, found = self.carry(code=3)
        self.assertEqual(report["consumers"], 1)
        self.assertIn("broken", next(one["what"] for one in found if one["finding"] == "unusable_consumer"))
        self.assertEqual(self.varve("consumers", self.store, "show", "beyond", "--json").json[0]["position"], 6)


class Followed(ImportStorage):
    """A writer that adds bytes to the files, as the original does: documents first, entries behind them."""
    def grow(self, source):
        for path, content in source.contents():
            old = path.read_bytes() if path.exists() else b""
            self.assertEqual(content[:len(old)], old)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "ab") as file:
                file.write(content[len(old):])

    def begin(self, *more):
        command = [str(VARVE), "import", str(self.store), "--from", "node-event-storage", str(self.data), "--name", "es", "--follow",
                   "--json", *more]
        following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(following.stderr.close)
        self.addCleanup(following.stdout.close)
        self.addCleanup(following.wait, 60)
        self.addCleanup(following.kill)
        return following

    def until(self, count):
        deadline = time.monotonic() + 60
        while not self.store.exists() or len(self.run_varve("read", self.store, "--json").json) < count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def end(self, following, code=0):
        following.send_signal(signal.SIGINT)
        out, err = following.communicate(timeout=60)
        self.assertEqual(following.returncode, code, out + err)
        lines = [json.loads(line) for line in out.splitlines()]
        return lines[-1], lines[:-1]

    def test_until_interrupted_and_killed_between(self):
        source = Source(self.data)
        source.commit("a", [{"n": 0}])
        self.grow(source)
        following = self.begin()
        for n in range(1, 120):
            source.commit(f"a{n % 5}", [{"n": n}, {"n": -n}])
            self.grow(source)
            if n % 40 == 0:
                self.until(len(source.entries) - 10)
                following.kill()
                following.wait(60)
                following = self.begin()
        self.until(len(source.entries))
        self.assertIsNone(following.poll(), "it goes on until it is interrupted")
        source.consumer("_all", "counts", 9, {})
        report, found = self.end(following)
        self.assertEqual((report["complete"], report["documents"], report["consumers"]), (True, 239, 1))
        self.assertEqual((report["differing_streams"], report["differing_indexes"], found), (0, 0, []))
        self.expect_events(source)
        self.varve("verify", self.store)
        following = self.begin("--no-compare")
        time.sleep(0.3)
        report, found = self.end(following)
        self.assertEqual((report["events"], report["duplicates"], report["compared"]), (0, 239, False))

    def test_truncated_meanwhile(self):
        source = Source(self.data)
        for n in range(50):
            source.commit("a", [{"n": n}])
        self.grow(source)
        following = self.begin()
        self.until(50)
        source = Source(self.data)
        for n in range(20):
            source.commit("a", [{"n": n}])
        for path, content in source.contents():
            os.truncate(path, len(content))
        source.commit("a", [{"n": "other"}])
        self.grow(source)
        self.until(51)
        report, found = self.end(following, code=3)
        lost = [one for one in found if one["finding"] == "truncated_source"]
        self.assertEqual(len(lost), 1, found)
        self.assertEqual(pathlib.Path(lost[0]["file"]).name, "es.index")
        self.assertIn(lost[0]["document"], (1, 21), "a reader between the steps may see less")
        self.assertEqual((report["documents"], report["differing_streams"]), (21, 1))

    def test_only_a_storage(self):
        self.usage("import", self.store, self.data, "--follow")
        answer = self.run_varve("import", self.store, "--from", "node-event-storage", self.data, "--follow")
        self.assertNotEqual(answer.code, 0)
        self.assertFalse(self.store.exists(), "a storage that is not there is not waited for")


class Killed(ImportStorage):
    def test_kills_at_random_points(self):
        source = Source(self.data)
        seed = int(os.environ.get("VARVE_SEED", time.time_ns() % 10**9))
        rng = random.Random(seed)
        total = 0
        while total < 40_000:
            size = rng.choice([1, 1, 2, 3, 40])
            source.commit(f"s-{rng.randrange(20)}", [{"type": "T", "tags": [f"t/{rng.randrange(500)}"], "n": total + n, "text": "x" * 150}
                                                     for n in range(size)])
            total += size
        source.add_to("stream-even", {"payload": {"n": 4}}, [5])
        source.consumer("stream-s-3", "c", 7, {"n": 1})
        source.save()
        command = [VARVE, "import", str(self.store), "--from", "node-event-storage", str(self.data), "--name", "es", "--json"]
        begin = time.monotonic()
        subprocess.run([*command[:2], str(self.folder / "timed"), *command[3:]], check=True, capture_output=True, timeout=120)
        whole_s = time.monotonic() - begin
        killed = 0
        for n in range(60):
            if n >= 15 and killed > 3:
                break
            if n % 8 == 0 and n > 0:  # from the beginning once more: most kills hit the first run
                shutil.rmtree(self.store, ignore_errors=True)
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
                time.sleep(rng.uniform(0, whole_s))
                running.send_signal(signal.SIGKILL)
            killed += running.returncode == -signal.SIGKILL
        self.assertGreater(killed, 3, f"seed {seed}")
        report, _ = self.carry()
        self.assertEqual((report["documents"], report["events"] + report["duplicates"]), (total, total), f"seed {seed}")
        self.assertEqual((report["differing_streams"], report["differing_indexes"], report["consumers"]), (0, 0, 1), f"seed {seed}")
        self.expect_events(source)
        self.varve("verify", self.store)

    def test_interrupted_by_hand(self):
        source = Source(self.data)
        for n in range(30_000):
            source.commit(f"s-{n % 5}", [{"n": n}])
        source.save()
        with subprocess.Popen([VARVE, "import", self.store, "--from", "node-event-storage", self.data, "--name", "es"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            while not (self.store / "varve").exists() and running.poll() is None:
                time.sleep(0.001)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
        if running.returncode == 1:
            self.assertIn("the same command goes on", err)
        else:
            self.assertIn(running.returncode, (0, -signal.SIGINT), out + err)
        report, _ = self.carry()
        self.assertEqual(report["events"] + report["duplicates"], 30_000)


class Refused(ImportStorage):
    def test_arguments(self):
        shop(self.data).save()
        self.usage("import", self.store, self.data, "--from", "elsewhere")
        self.usage("import", self.store, "--from", "node-event-storage")
        self.usage("import", self.store, self.data, "--name", "es")
        self.usage("import", self.store, self.data, "--type-path", "x")
        self.usage("import", self.store, self.data, "--from", "node-event-storage", "--name", "")
        for other in ("--resume", "--skip-invalid", "--ignore-unknown"):
            self.usage("import", self.store, self.data, "--from", "node-event-storage", other)
        self.assertFalse(self.store.exists())

    def refused(self, *arguments, code=1):
        answer = self.varve("import", self.store, "--from", "node-event-storage", *arguments, code=code)
        self.assertFalse(self.store.exists(), "no store is made for an import that cannot begin")
        return answer.err

    def test_there_is_no_such_storage(self):
        shop(self.data).save()
        self.assertIn("es2.index", self.refused(self.data, "--name", "es2"))
        self.assertIn("eventstore.index", self.refused(self.data))
        self.assertIn("not_found", self.refused(self.folder / "nowhere", "--name", "es"))
        self.assertIn("not_found", self.refused(self.data, "--name", "es", "--index-directory", self.data))
        self.refused(self.data, "--name", "a/b")
        (self.data / "streams" / "es.index").write_bytes(b"something else that is long enough")
        self.refused(self.data, "--name", "es")
        (self.data / "streams" / "es.index").write_bytes(b"nesidx99\x00\x00\x00\x04{} \n")
        self.assertIn("unsupported_version", self.refused(self.data, "--name", "es"))

    def test_an_empty_storage(self):
        source = Source(self.data)
        source.save()
        report, found = self.carry()
        self.assertEqual((report["documents"], report["events"], found), (0, 0, []))

    def test_the_lock_of_the_source_is_not_asked(self):
        shop(self.data).save()
        (self.data / "es.lock").mkdir()
        self.assertEqual(self.carry()[0]["events"], 11)


@unittest.skipUnless(os.environ.get("VARVE_NES_FIXTURES"), "needs VARVE_NES_FIXTURES, a directory with storages of the original")
class Original(ImportStorage):
    """nes-1.4.tar.zst, nes-1.4.expected.json and .ndjson.zst; nes-mmap.tar.zst and nes-mmap.expected.ndjson.zst."""

    def unpack(self, name):
        fixtures = pathlib.Path(os.environ["VARVE_NES_FIXTURES"])
        subprocess.run(["tar", "--zstd", "-xf", fixtures / f"{name}.tar.zst", "-C", self.folder], check=True)
        self.data = self.folder / name
        text = subprocess.run(["zstd", "-dqc", fixtures / f"{name}.expected.ndjson.zst"], check=True, capture_output=True).stdout
        about = fixtures / f"{name}.expected.json"
        return [json.loads(line) for line in text.splitlines()], json.loads(about.read_text()) if about.exists() else None

    def test_event_store(self):
        expected, about = self.unpack("nes-1.4")
        report, found = self.carry(name="git")
        self.assertEqual({one["finding"] for one in found}, {"function_matcher", "partition_metadata"})
        self.assertEqual((report["events"], report["differing_streams"], report["differing_indexes"]), (about["length"], 0, 0))
        events = self.events()
        self.assertEqual([(event["position"], event["stream"], event["data"], event["metadata"]) for event in events],
                         [(one["seq"], one["stream"], one["payload"], one["metadata"]) for one in expected])
        self.assertEqual([(event.get("type"), event.get("tags", [])) for event in events],
                         [(one["payload"].get("type"), one["payload"].get("tags", [])) for one in expected])
        streams = {one["name"]: one["events"] for one in self.varve("streams", self.store, "--json").json}
        types = {one["name"]: one["events"] for one in self.varve("types", self.store, "--json").json}
        definitions = {one["name"]: one.get("closed", 0) > 0 for one in self.varve("definitions", self.store, "--json").json}
        for name, stream in about["streams"].items():
            if name in ("_all", "by-function"):
                continue
            derived = len(self.varve("read", self.store, "--derived", name, "--json").json) if name in definitions else None
            self.assertEqual(derived or streams.get(name, types.get(name)), stream["version"], name)
            self.assertEqual(definitions.get(name, False), stream["closed"], name)
        consumer = self.varve("consumers", self.store, "show", about["consumer"]["name"], "--json").json[0]
        self.assertEqual(consumer["behind"], streams[about["consumer"]["stream"]] - about["consumer"]["position"])

    def test_mapped_storage(self):
        expected, _ = self.unpack("nes-mmap")
        report, found = self.carry(name="git")
        self.assertEqual((report["events"], found), (len(expected), []))
        self.assertEqual([(event["position"], event["stream"], event["type"], event["data"]) for event in self.events()],
                         [(one["seq"], one["document"]["stream"], one["document"]["type"], one["document"]) for one in expected])


if __name__ == "__main__":
    unittest.main()
