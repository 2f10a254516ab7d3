"""Goal: derive and index define, for what is there and what comes; they are listed, closed and deleted; what cannot be is refused."""
import json

from support import CommandLineTest, compact


class Define(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.varve("create", self.store)
        self.add(1, 7)

    def add(self, first, last):
        self.varve("append", self.store, input="".join(
            compact({"stream": f"order-{n % 2}", "data": {"customer": n % 3, "kind": "Paid" if n % 2 else "Sent"}}) + "\n"
            for n in range(first, last)))

    def positions(self, *options):
        return [event["position"] for event in self.varve("query", self.store, "--json", *options).json]

    def test_derived_stream(self):
        done = self.varve("derive", self.store, "ones", "--match", '{"data":{"customer":1}}', "--json").json
        self.assertEqual(done, [{"name": "ones", "number": 1, "position": 7, "existed": False}])
        self.add(7, 10)
        self.assertEqual(self.positions("--selector", '{"derived":"ones"}'), [1, 4, 8])
        self.assertEqual(self.positions("--selector", '{"not":{"derived":"ones"}}'), [2, 3, 5, 6, 9, 10])
        read = self.varve("read", self.store, "--derived", "ones", "--json").json
        self.assertEqual([event["position"] for event in read], [1, 4, 8])
        self.assertNotIn("$", json.dumps(read))
        explained = self.varve("explain", self.store, "--selector", '{"derived":"ones"}', "--json").json[0]
        self.assertEqual([(one["set"], one["events"]) for one in explained["lists"]],
                         [('derived "ones"', 1), ("before definition 'ones'", 2)])
        again = self.varve("derive", self.store, "ones", "--match", '{"data":{"customer":1.0}}')
        self.assertIn("there was already", again.out)
        other = self.varve("derive", self.store, "ones", "--match", '{"data":{"customer":2}}', code=1)
        self.assertIn("means something else", other.err)

    def test_derived_stream_of_a_query(self):
        self.varve("derive", self.store, "even", "--selector", '{"stream":"order-0"}')
        self.assertEqual(self.positions("--selector", '{"derived":"even"}'), [2, 4, 6])
        self.varve("derive", self.store, "even", "--close")
        self.add(7, 10)
        self.assertEqual(self.positions("--selector", '{"derived":"even"}'), [2, 4, 6])
        self.varve("derive", self.store, "even", "--delete")
        self.assertEqual(self.positions("--selector", '{"derived":"even"}'), [])
        self.assertIn("there is no definition", self.varve("derive", self.store, "even", "--delete", code=1).err)

    def test_names_from_content(self):
        self.varve("index", self.store, "customers", "--field", "data.customer", "--tags", "customer/")
        self.varve("index", self.store, "kinds", "--field", "data.kind", "--as-type")
        self.add(7, 10)
        self.assertEqual(self.positions("--tags", "customer/2"), [2, 5, 10])
        self.assertEqual(self.positions("--types", "Sent"), [2, 4, 6, 10])
        self.assertEqual(self.positions("--types", "Paid", "--tags", "customer/1"), [1, 9])
        last = self.varve("read", self.store, "--from", "9", "--limit", "1", "--json").json[0]
        self.assertEqual((last["type"], last["tags"]), ("Paid", ["customer/1"]))
        tags = {one["name"]: one["events"] for one in self.varve("tags", self.store, "--json").json}
        self.assertEqual(tags, {"customer/0": 3, "customer/1": 3, "customer/2": 3})
        refused = self.varve("append", self.store, "--fail-if-match", '{"tag":"customer/2"}', input="{}\n", code=1)
        self.assertIn("position 10", refused.err)

    def test_list(self):
        self.varve("derive", self.store, "ones", "--types", "Paid", "--match", '{"data":{"customer":1}}')
        self.varve("index", self.store, "customers", "--field", "data.customer", "--tags", "customer/", "--no-wait")
        ones, customers = self.varve("definitions", self.store, "--json").json
        self.assertEqual(ones, {"name": "ones", "kind": "stream", "number": 1, "events": 'type "Paid"',
                                "match": {"data": {"customer": 1}}, "position": 7, "closed": 0, "listed": 6, "complete": True})
        self.assertEqual((customers["kind"], customers["field"], customers["prefix"]), ("tags", "data.customer", "customer/"))
        text = self.varve("definitions", self.store).out
        self.assertIn("data.customer as tags customer/", text)

    def test_what_cannot_be(self):
        self.varve("derive", self.store, "a", "--match", "{", code=2)
        for options, said in ((("derive", "$a"), "reserved"),
                              (("derive", "a", "--selector", '{"derived":"b"}'), "another derived stream"),
                              (("index", "a"), "needs a field"), (("index", "a", "--field", "customer"), "needs a field"),
                              (("index", "a", "--field", "data.x", "--tags", "$"), "reserved")):
            refused = self.varve(options[0], self.store, *options[1:], code=1)
            self.assertIn(said, refused.err, options)
        self.assertEqual(self.varve("definitions", self.store).out, "")
