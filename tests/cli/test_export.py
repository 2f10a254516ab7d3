"""Goal: what is exported can be imported and is the same."""
from support import CommandLineTest


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

    def test_errors(self):
        self.usage("export")
        self.varve("export", self.store, code=1)
        self.fill(1)
        self.varve("export", self.store, "--json", code=2)
        self.into_full_output("export", self.store)
        self.assertIn("No such file", self.varve("export", self.store, "no/such/out", code=1).err)
