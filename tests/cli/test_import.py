"""Goal: import takes whole files, plain and compressed, ends at the first bad line and keeps what came before it."""
import gzip
import json

from support import CommandLineTest


def line(n, **more):
    return json.dumps({"stream": f"s-{n % 7}", "type": "T", "time": n, "data": {"n": n, "text": "x" * 40}, **more}) + "\n"


class Import(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "events.ndjson"

    def write(self, text):
        self.file.write_text(text)
        return self.file

    def count(self):
        return self.varve("stats", self.store, "--json").json[0]["events"]

    def test_plain_gzip_zstd_and_standard_input(self):
        text = "".join(line(n) for n in range(5000))
        self.write(text)
        packed = self.folder / "events.gz"
        packed.write_bytes(gzip.compress(text[:1000].encode()) + gzip.compress(text[1000:].encode()))
        self.varve("import", self.store, self.file)
        self.varve("import", self.store, packed)
        self.varve("import", self.store, "-", input=text)
        self.assertEqual(self.varve("import", self.store, "-", "--json", input=gzip.compress(text.encode())).json[0]["events"], 5000)
        self.assertEqual(self.count(), 20000)
        exported = self.varve("export", self.store).json
        self.assertEqual([event["data"]["n"] for event in exported], list(range(5000)) * 4)

    def test_zstd(self):
        zstd = self.zstd("".join(line(n) for n in range(5000)).encode())
        self.varve("import", self.store, zstd)
        self.assertEqual(self.count(), 5000)
        zstd.write_bytes(zstd.read_bytes()[:-100])
        self.assertIn("cut short", self.varve("import", self.store, zstd, code=3).err)

    def zstd(self, data):
        """A frame of raw blocks: no other program is needed to make it."""
        frame = b"\x28\xb5\x2f\xfd\x00\x58"  # no size, no checksum; a window of 2 MiB
        for at in range(0, len(data), 100_000):
            block = data[at:at + 100_000]
            frame += (len(block) << 3 | (at + 100_000 >= len(data))).to_bytes(3, "little") + block
        path = self.folder / "events.zst"
        path.write_bytes(frame)
        return path

    def test_cut_gzip_keeps_what_can_be_read(self):
        packed = self.folder / "events.gz"
        whole = gzip.compress("".join(line(n, id=f"{n * 7919:032x}") for n in range(5000)).encode())
        packed.write_bytes(whole[:len(whole) // 2])
        answer = self.varve("import", self.store, packed, code=3)
        self.assertIn("cut short", answer.err)
        self.assertGreater(self.count(), 1000)
        self.assertEqual(answer.err.count(str(packed)), 1)
        broken = bytearray(whole)
        broken[200:220] = b"\xff" * 20
        packed.write_bytes(broken)
        self.assertIn("not valid gzip", self.varve("import", self.folder / "other", packed, code=3).err)

    def summary(self, *arguments, **more):
        answer = self.varve("import", self.store, *arguments, "--json", **more).json[0]
        return answer["events"], answer["duplicates"]

    def test_ids_make_it_repeatable(self):
        lines = [line(n, id=f"{n * 7919:032x}") for n in range(5000)]
        self.write("".join(lines[:1300]))
        self.assertEqual(self.summary(self.file), (1300, 0))
        self.assertEqual(self.summary(self.file), (0, 1300))
        # Cut into other commits, and with more behind: what is there is left alone.
        self.write("".join(lines))
        self.assertEqual(self.summary(self.file), (3700, 1300))
        self.assertEqual(self.summary("-", input="".join(lines[100:])), (0, 4900))
        self.assertIn("100 were there already", self.varve("import", self.store, "-", input="".join(lines[-100:])).out)
        self.assertEqual([event["data"]["n"] for event in self.varve("export", self.store).json], list(range(5000)))
        # What `export` writes has the ids: a copy that was interrupted goes on by them.
        exported = self.varve("export", self.store).out
        other = self.folder / "other"
        self.varve("import", other, "-", input="".join(lines[:700]))
        answer = self.varve("import", other, "-", "--json", input=exported).json[0]
        self.assertEqual((answer["events"], answer["duplicates"]), (4300, 700))

    def test_an_id_twice_in_one_file(self):
        twice = line(1, id="0" * 32) + line(2, id="1" * 32) + line(3, id="0" * 32)
        self.assertEqual(self.summary("-", input=twice), (2, 1))
        self.assertEqual(self.summary("-", input=twice), (0, 3))
        self.assertEqual(self.count(), 2)

    def test_ids_beside_lines_without(self):
        mixed = line(1, id="0" * 32) + line(2) + line(3, id="1" * 32)
        self.assertEqual(self.summary("-", input=mixed), (3, 0))
        self.assertEqual(self.summary("-", input=mixed), (0, 3))
        self.assertEqual(self.count(), 3)

    def test_a_bad_line(self):
        self.write("".join(line(n) for n in range(700)) + '{"stream":7}\n' + line(1))
        answer = self.varve("import", self.store, self.file, code=1)
        self.assertIn('line 701: field "stream" is not a string', answer.err)
        self.assertIn("the 700 events before it are stored", answer.err)
        self.assertEqual(self.count(), 700)

    def test_a_line_the_store_refuses(self):
        self.write(line(1) + line(2) + json.dumps({"type": "a\tb"}) + "\n" + line(3))
        self.assertIn("line 3: ", self.varve("import", self.store, self.file, code=1).err)
        self.assertEqual(self.count(), 2)

    def test_skip_invalid(self):
        self.write(line(1) + "bad\n" + line(2) + json.dumps({"type": "a\tb"}) + "\n" + line(3))
        answer = self.varve("import", self.store, self.file, "--skip-invalid", "--json")
        self.assertEqual((answer.json[0]["events"], answer.json[0]["invalid_lines"]), (3, 2))
        self.assertIn("2 lines were not valid", self.varve("import", self.store, self.file, "--skip-invalid").out)

    def test_unknown_fields(self):
        self.write('{"stream":"a","colour":"red"}\n')
        self.assertIn("colour", self.varve("import", self.store, self.file, code=1).err)
        self.varve("import", self.store, self.file, "--ignore-unknown")

    def test_resume(self):
        lines = [line(n) for n in range(2000)]
        self.write("".join(lines[:900]) + "\nbad\n")
        self.varve("import", self.store, self.file, code=1)
        self.write("".join(lines[:500]) + "\n\n" + "".join(lines[500:]))
        answer = self.varve("import", self.store, self.file, "--resume", "--json")
        self.assertEqual((answer.json[0]["events"], answer.json[0]["skipped"]), (1100, 900))
        self.assertEqual([event["data"]["n"] for event in self.varve("export", self.store).json], list(range(2000)))
        self.assertEqual(self.varve("import", self.store, self.file, "--resume", "--json").json[0]["events"], 0)

    def test_resume_of_something_else(self):
        self.fill(3)
        self.write("".join(line(n) for n in range(10)))
        self.assertIn("not the last event of the store", self.varve("import", self.store, self.file, "--resume", code=1).err)
        self.write(line(1))
        self.assertIn("less than the store", self.varve("import", self.store, self.file, "--resume", code=1).err)
        self.assertEqual(self.count(), 3)

    def test_files_that_are_none(self):
        self.assertIn("No such file", self.varve("import", self.store, "missing.ndjson", code=1).err)
        self.assertIn("is a directory", self.varve("import", self.store, self.folder, code=1).err)
        self.assertFalse(self.store.exists(), "a store was made for nothing")
        self.write("")
        self.varve("import", self.store, self.file)

    def test_wrong_arguments(self):
        self.usage("import", self.store)
        self.usage("import", self.store, self.file, "more")

    def test_full_output(self):
        self.into_full_output("import", self.store, self.write(line(1)))
