"""Goal: query finds what a query, a selector and a matcher ask for; explain says how; what cannot be asked is refused with its
place."""
import json

from support import CommandLineTest, compact


class Query(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.varve("create", self.store)
        self.varve("append", self.store, input="".join(compact(event) + "\n" for event in (
            {"stream": "order-1", "type": "Placed", "tags": ["c/1"], "time": 1000, "data": {"n": 1}},
            {"stream": "order-2", "type": "Placed", "tags": ["c/2"], "time": 2000, "data": {"n": 2}},
            {"stream": "order-1", "type": "Paid", "tags": ["c/1", "big"], "time": 3000, "data": {"n": 3}},
            {"stream": "cart-1", "type": "Opened", "tags": ["c/1"], "time": 4000, "data": "text"},
            {"stream": "order-2", "type": "Paid", "tags": ["c/2", "big,new"], "time": 5000, "data": {"n": 5}})))

    def positions(self, *options):
        found = [event["position"] for event in self.varve("query", self.store, "--json", *options).json]
        self.assertEqual(self.varve("query", self.store, "--count", "--json", *options).json, [{"events": len(found)}])
        self.assertEqual(self.varve("query", self.store, "--count", *options).out, f"{len(found)}\n")
        explained = self.varve("explain", self.store, "--json", *options).json[0]
        self.assertEqual(explained["events"], len(found))
        return found

    def test_types_and_tags(self):
        self.assertEqual(self.positions("--types", "Paid"), [3, 5])
        self.assertEqual(self.positions("--types", "Paid,Opened"), [3, 4, 5])
        self.assertEqual(self.positions("--tags", "c/1"), [1, 3, 4])
        self.assertEqual(self.positions("--tags", "c/1,big"), [3])
        self.assertEqual(self.positions("--types", "Placed,Paid", "--tags", "c/1"), [1, 3])
        self.assertEqual(self.positions("--types", "Missing"), [])
        self.assertEqual(self.positions("--tags", "c/1,c/2"), [])

    def test_items(self):
        self.assertEqual(self.positions("--items", '[{"types":["Paid"]}]'), [3, 5])
        self.assertEqual(self.positions("--items", '[{"types":["Paid"],"tags":["c/1"]},{"tags":["c/2"]}]'), [2, 3, 5])
        self.assertEqual(self.positions("--items", '[{"types":["Paid","Placed"]},{"types":["Paid"]}]'), [1, 2, 3, 5])
        self.assertEqual(self.positions("--items", '[{"tags":["big,new"]},{"types":[],"tags":["\\u0062ig"]}]'), [3, 5])

    def test_selectors(self):
        for selector, positions in (
                ("true", [1, 2, 3, 4, 5]), ("false", []), ('{"stream":"order-1"}', [1, 3]), ('{"category":"order"}', [1, 2, 3, 5]),
                ('{"type":"Paid"}', [3, 5]), ('{"tag":"c/1"}', [1, 3, 4]), ('{"not":{"tag":"c/1"}}', [2, 5]),
                ('{"any":[{"stream":"cart-1"},{"type":"Paid"}]}', [3, 4, 5]),
                ('{"all":[{"category":"order"},{"tag":"c/1"},{"not":{"type":"Paid"}}]}', [1]),
                ('{"all":[{"any":[{"stream":"order-1"},{"stream":"cart-1"}]},{"not":{"any":[{"type":"Paid"}]}}]}', [1, 4]),
                ('{"types":["Paid","Opened"],"tags":["c/1"]}', [3, 4]), ('{"not":{"tags":["c/1","big"]}}', [1, 2, 4, 5]),
                ('{"not":{"not":false}}', [])):
            self.assertEqual(self.positions("--selector", selector), positions, selector)

    def test_each_that_is_given_holds(self):
        self.assertEqual(self.positions("--types", "Paid", "--items", '[{"tags":["c/1"]},{"types":["Opened"]}]'), [3])
        self.assertEqual(self.positions("--tags", "c/1", "--selector", '{"not":{"stream":"cart-1"}}'), [1, 3])
        self.assertEqual(self.positions("--selector", "true", "--match", '{"data":{"n":{"$gte":2}}}'), [2, 3, 5])
        self.assertEqual(self.positions("--types", "Placed", "--match", '{"data":{"n":{"$gte":2}}}'), [2])
        self.assertEqual(self.positions("--types", "Opened", "--match", '{"data":"text"}'), [4])

    def test_ranges(self):
        everything = ("--selector", "true")
        self.assertEqual(self.positions(*everything, "--from", "4"), [4, 5])
        self.assertEqual(self.positions(*everything, "--after", "4"), [5])
        self.assertEqual(self.positions(*everything, "--after", "9"), [])
        self.assertEqual(self.positions(*everything, "--until", "2"), [1, 2])
        self.assertEqual(self.positions("--tags", "c/1", "--backwards", "--limit", "2"), [4, 3])
        self.assertEqual(self.positions("--tags", "c/1", "--limit", "0"), [])
        self.assertEqual(self.positions("--types", "Paid,Opened", "--since", "3000", "--before", "5000"), [3, 4])
        self.assertEqual(self.positions("--types", "Paid", "--recorded", "--since", "-1h", "--durable", "--trusted"), [3, 5])

    def test_what_is_printed(self):
        read = self.varve("read", self.store, "--tag", "big")
        self.assertEqual(self.varve("query", self.store, "--tags", "big").out, read.out)
        read = self.varve("read", self.store, "--tag", "big", "--json")
        self.assertEqual(self.varve("query", self.store, "--tags", "big", "--json").out, read.out)

    def test_seen(self):
        def seen(*options):
            lines = self.varve("query", self.store, "--tags", "big", "--seen", "--json", *options).json
            self.assertEqual([line["position"] for line in lines[:-1]], [3] if "0" not in options else [])
            return lines[-1]["seen"]
        self.assertEqual(seen()["position"], 5)
        self.assertGreater(seen()["epoch"], 0)
        self.assertEqual(seen("--until", "4")["position"], 4)
        self.assertEqual(seen("--limit", "1")["position"], 3)
        self.assertIn("seen up to position 5, epoch ", self.varve("query", self.store, "--tags", "big", "--seen").lines[-1])

    def test_explain(self):
        answer = self.varve("explain", self.store, "--json", "--items", '[{"types":["Paid","Paid"],"tags":["big"]}]').json[0]
        self.assertEqual(answer["selector"], 'type "Paid" and tag "big"')
        self.assertEqual(answer["lists"], [{"set": 'type "Paid"', "events": 2}, {"set": 'tag "big"', "events": 1}])
        self.assertEqual((answer["events"], answer["scans"]), (1, False))
        for number in ("indexes", "entries", "candidates", "estimated_us"):
            self.assertGreater(answer[number], 0)
        table = self.varve("explain", self.store, "--types", "Paid", "--tags", "big").out
        for part in ('type "Paid" and tag "big"', '2 events  type "Paid"', "1 in the answer"):
            self.assertIn(part, table)
        self.assertNotIn("everything", table)
        whole = ("explain", self.store, "--selector", '{"not":{"type":"Paid"}}')
        self.assertIs(self.varve(*whole, "--json").json[0]["scans"], True)
        self.assertIn("everything within the bounds is looked at", self.varve(*whole).out)

    def test_control_characters_do_not_reach_the_terminal(self):
        out = self.varve("explain", self.store, "--selector", compact({"type": "\x1b[31m"})).out
        self.assertNotIn("\x1b", out)

    def test_wrong_items(self):
        for items, place in (
                ("", "JSON"), ("[", "JSON"), ("[] []", "JSON"), ("{}", "array"), ("true", "array"), ("[]", "no items"),
                ("[{}]", "[0]"), ('[{"types":[]}]', "[0]"), ('[{"types":["A"]},7]', "[1]"), ('[{"types":["A"]},{"tags":[]}]', "[1]"),
                ('[{"types":"A"}]', "[0].types"), ('[{"types":["A",7]}]', "[0].types[1]"), ('[{"tags":[""]}]', "[0].tags[0]"),
                ('[{"tag":["a"]}]', "[0].tag:"), ('[{"types":["A"],"types":["B"]}]', "twice"),
                (compact([{"types": ["n" * 1025]}]), "1,024 bytes"), (compact([{"types": ["A"]}] * 65), "64 items"),
                (compact([{"types": ["A"] * 257}]), "256 types"), (compact([{"tags": ["a"] * 65}]), "64 tags")):
            for command in ("query", "explain"):
                self.assertIn(place, self.usage(command, self.store, "--items", items).err, items)

    def test_wrong_selectors(self):
        deep = {"type": "A"}
        for n in range(33):
            deep = {("any", "all")[n % 2]: [{"tag": str(n)}, deep]}
        for selector, place in (
                ("", "JSON"), ("nonsense", "JSON"), ("7", "selector"), ("null", "selector"), ("{}", "empty"), ('[{"types":["A"]}]', "array"),
                ('{"name":"A"}', "name:"), ('{"type":""}', "type:"), ('{"type":7}', "type:"), ('{"any":[]}', "any:"),
                ('{"all":{"type":"A"}}', "all:"), ('{"any":[true,{"all":[{"tag":1}]}]}', "any[1].all[0].tag:"),
                ('{"not":[{"type":"A"}]}', "not:"), ('{"type":"A","tag":"b"}', "several"), ('{"type":"A","type":"B"}', "several"),
                ('{"types":["A"],"tag":"b"}', "tag:"), (compact({"tag": "n" * 1025}), "1,024 bytes"), (compact(deep), "32 levels"),
                ('{"not":' * 5000 + "true" + "}" * 5000, "JSON"), ('{"type":"\udcff"}', "JSON")):
            self.assertIn(place, self.usage("query", self.store, "--selector", selector).err, selector)

    def test_lists_within_lists_are_not_deep(self):
        selector = '{"any":[' * 300 + '{"type":"Paid"}' + "]}" * 300
        self.assertEqual(self.positions("--selector", selector), [3, 5])

    def test_wrong_arguments(self):
        self.assertIn("--selector", self.usage("query", self.store).err)
        self.usage("explain", self.store)
        self.usage("query", self.store, "--match", '{"data":1}')
        for names in ("", ",", "A,", ",A", "A,,B"):
            self.assertIn("empty name", self.usage("query", self.store, "--types", names).err)
            self.usage("explain", self.store, "--tags", names)
        self.assertIn("256 types", self.usage("query", self.store, "--types", ",".join(["A"] * 257)).err)
        self.assertIn("1,024 bytes", self.usage("explain", self.store, "--tags", "n" * 1025).err)
        self.assertIn("byte", self.usage("query", self.store, "--types", "A", "--match", '{"data":{}}').err)
        self.usage("query", self.store, "--types", "A", "--count", "--seen")
        self.usage("query", self.store, "--types", "A", "--from", "-1")

    def test_missing(self):
        missing = self.folder / "missing"
        self.assertIn("[not_found]", self.varve("query", missing, "--types", "A", code=1).err)
        error = json.loads(self.varve("explain", missing, "--types", "A", "--json", code=1).err)["error"]
        self.assertEqual(error["code"], "not_found")
        self.assertFalse(missing.exists())

    def test_full_output(self):
        self.into_full_output("query", self.store, "--types", "Paid")
        self.into_full_output("query", self.store, "--types", "Paid", "--count")
        self.into_full_output("explain", self.store, "--types", "Paid", "--json")
