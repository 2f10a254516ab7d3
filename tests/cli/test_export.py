"""Goal: what is exported can be imported and is the same: events, and the definitions that stand between them."""
import json

from support import CommandLineTest, compact


class Export(CommandLineTest):
    def test_round_trip(self):
        awkward = ('{"stream":"a\\"\\u00e9","type":"T","tags":["x","y"],"time":1.5,"id":"00112233-4455-6677-8899-aabbccddeeff",'
                   '"metadata":{"m": 1},"data":{"$base64":"AP8="}}\n{"data":[1, 2 ]}\n{"time":-1,"data":"text"}\n{"data":null}\n')
        self.varve("append", self.store, input=awkward)
        first = self.varve("export", self.store).out
        self.varve("import", "copy", "-", input=first)
        self.assertEqual(self.varve("export", "copy").out, first)

    def test_to_a_file(self):
        self.fill(3)
        answer = self.varve("export", self.store, "out.ndjson", "--json").json[0]
        text = (self.folder / "out.ndjson").read_text()
        self.assertEqual((answer["events"], answer["bytes"]), (3, len(text)))
        self.assertIn("File exists", self.varve("export", self.store, "out.ndjson", code=1).err)
        self.assertIn("exported 3 events", self.varve("export", self.store, "again.ndjson").out)

    def make_definitions(self):
        """Two kinds of names from content and three derived streams, with events before, between and behind; one is closed, one
        removed."""
        def add(first, last):
            self.varve("append", self.store, input="".join(
                compact({"stream": f"order-{n % 2}", "data": {"customer": n % 3, "kind": "Paid" if n % 2 else "Sent"}}) + "\n"
                for n in range(first, last)))
        add(0, 4)
        self.varve("derive", self.store, "ones \"1\"", "--match", '{"data":{"customer":{"$gte":0.1e1,"$lt":2}}}')
        self.varve("index", self.store, "customers", "--field", "data.customer", "--tags", "customer/")
        add(4, 8)
        self.varve("index", self.store, "kinds", "--field", "data.kind", "--as-type", "--selector", '{"stream":"order-1"}')
        self.varve("derive", self.store, "gone", "--selector", '{"tag":"customer/1"}')
        add(8, 12)
        self.varve("derive", self.store, "ones \"1\"", "--close")
        self.varve("derive", self.store, "gone", "--delete")
        self.varve("derive", self.store, "nested", "--selector",
                   '{"any":[{"all":[{"category":"order"},{"not":{"any":[{"type":"Paid"},{"tag":"customer/1"}]}}]},{"type":"\\u000b"}]}')
        self.varve("derive", self.store, "all", "--match", '{"data":{"customer":[0,90071992547409931]}}')
        add(12, 16)

    def meaning(self, store):
        """What each definition says and which events it has, with their place among the events."""
        places = {event["position"]: n for n, event in enumerate(self.varve("read", store, "--json").json)}
        def asked(*question):
            return [places[event["position"]] for event in self.varve("query", store, *question, "--json").json]
        found = [asked("--tags", f"customer/{n}") for n in range(3)] + [asked("--types", kind) for kind in ("Paid", "Sent")]
        for one in self.varve("definitions", store, "--json").json:
            self.assertTrue(one["complete"], one)
            before = [sum(place < one[end] for place in places) for end in ("position", "closed")]
            found.append([one["name"], one["kind"], one["events"], one.get("match"), one.get("field"), one.get("prefix"), before])
            if one["kind"] == "stream":
                found.append(asked("--selector", compact({"derived": one["name"]})))
        return found

    def test_definitions_go_along(self):
        self.make_definitions()
        lines = self.varve("export", self.store).lines
        controls = [json.loads(line) for line in lines if line.startswith('{"control":')]
        self.assertEqual([(one["control"], one["name"]) for one in controls],
                         [("define", 'ones "1"'), ("define", "customers"), ("define", "kinds"), ("close", 'ones "1"'),
                          ("define", "nested"), ("define", "all")])
        self.assertEqual(controls[2], {"control": "define", "position": 11, "name": "kinds", "kind": "type", "field": "data.kind",
                                       "selector": {"stream": "order-1"}})
        self.assertTrue(lines[4].startswith('{"control":"define","position":5,'))
        self.assertIn("90071992547409931", lines[-5])
        done = self.varve("import", "copy", "-", "--json", input="\n".join(lines)).json[0]
        self.assertEqual((done["events"], done["definitions"]), (16, 5))
        self.assertEqual(self.meaning("copy"), self.meaning(self.store))
        # Where nothing was removed, positions are the same too: once more is the same text.
        again = self.varve("export", "copy").out
        self.varve("import", "second", "-", input=again)
        self.assertEqual(self.varve("export", "second").out, again)
        self.assertEqual(self.meaning("second"), self.meaning(self.store))

    def test_an_import_of_definitions_goes_on(self):
        self.make_definitions()
        whole = self.varve("export", self.store).lines
        wanted = self.meaning(self.store)
        for cut in range(len(whole) + 1):
            store = f"copy-{cut}"
            self.varve("import", store, "-", input="\n".join(whole[:cut]))
            self.varve("import", store, "-", "--resume", input="\n".join(whole))
            self.assertEqual(self.meaning(store), wanted, cut)

    def test_events_only(self):
        self.make_definitions()
        events = self.varve("export", self.store, "--events-only").out
        self.assertNotIn("control", events)
        out = self.varve("export", self.store, "all.ndjson", "--json").json[0]
        self.assertEqual((out["events"], out["definitions"]), (16, 5))
        self.varve("import", "copy", "all.ndjson", "--events-only")
        self.assertEqual(self.varve("definitions", "copy").out, "")
        self.assertEqual(len(self.varve("export", "copy").lines), 16)
        self.assertIn("and 5 definitions", self.varve("export", self.store, "again.ndjson").out)
        self.varve("append", "copy", input='{"control":"define","name":"x","kind":"stream"}\n', code=1)

    def test_lines_that_define_nothing(self):
        for line, said in (('{"control":"forget","name":"x"}', "neither define nor close"),
                           ('{"control":"define","kind":"stream"}', "has no name"),
                           ('{"control":"define","name":"x","kind":"projection"}', "neither stream nor tags nor type"),
                           ('{"control":"define","name":"x","kind":"stream","selector":{"kind":"a"}}', "is not a field of a selector"),
                           ('{"control":"define","name":"x","kind":"stream","match":{"total":1}}', 'field "match" cannot be'),
                           ('{"control":"define","name":"x","kind":"tags"}', "needs a field"),
                           ('{"control":"define","name":"$x","kind":"stream"}', "reserved"),
                           ('{"control":"define","name":7,"kind":"stream"}', "is not a string"),
                           ('{"control":"define","name":"x","stream":"s"}', "is not a field of a definition"),
                           ('{"control":"close","name":"x"}', "there is no definition"),
                           ('{"control":"define","name":"x","kind":"stream"} {}', "something follows"),
                           ('{"control":', "not"),
                           ('{"data":1,"control":"close"}', "is not a field of an event")):
            text = '{"data":1}\n' + line + '\n{"data":2}\n'
            refused = self.varve("import", "copy", "-", input=text, code=1)
            self.assertIn("line 2: ", refused.err)
            self.assertIn(said, refused.err)
            skipped = self.varve("import", "skipping", "-", "--skip-invalid", "--json", input=text).json[0]
            self.assertEqual((skipped["events"], skipped["invalid_lines"], skipped["definitions"]), (2, 1, 0), line)
        first = '{"control":"define","name":"x","kind":"stream","selector":{"type":"A"}}\n'
        self.varve("import", "copy", "-", input=first * 2 + '{ "control" : "define" , "name":"y","kind":"stream"}')
        other = self.varve("import", "copy", "-", input=first.replace("A", "B"), code=1)
        self.assertIn("means something else", other.err)
        # One that cannot be, among many that can.
        many = [f'{{"control":"define","name":"d{n}","kind":"stream","selector":{{"type":"T"}}}}\n' for n in range(2100)]
        many[1500] = '{"control":"define","name":"x","kind":"type","field":"data.a"}\n'
        self.assertIn("line 1501: ", self.varve("import", "many", "-", input=first + "".join(many[1:]), code=1).err)
        self.assertEqual(len(self.varve("definitions", "many").lines), 1500)

    def test_errors(self):
        self.usage("export")
        self.varve("export", self.store, code=1)
        self.fill(1)
        self.varve("export", self.store, "--json", code=2)
        self.into_full_output("export", self.store)
        self.assertIn("No such file", self.varve("export", self.store, "no/such/out", code=1).err)
