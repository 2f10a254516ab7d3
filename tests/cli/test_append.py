"""Goal: append stores one commit, or one per line, and says why not."""
import json
import subprocess

from support import VARVE, CommandLineTest


class Append(CommandLineTest):
    def test_one_commit(self):
        self.assertEqual(self.varve("append", self.store, input='{"stream":"a"}\n\n{"stream":"b"}').out, "positions 1 to 2\n")
        self.assertEqual(self.varve("verify", self.store, "--json").json[0]["commits"], 1)

    def test_each(self):
        answer = self.varve("append", self.store, "--each", "--json", input='{"stream":"a"}\n{"stream":"a"}\n')
        self.assertEqual([line["version"] for line in answer.json], [1, 2])
        self.assertEqual(self.varve("verify", self.store, "--json").json[0]["commits"], 2)

    def test_ids(self):
        event = '{"stream":"a","id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}\n'
        self.assertEqual(self.varve("append", self.store, input=event).out, "position 1\n")
        self.assertEqual(self.varve("append", self.store, input=event).out, "position 1 (stored before)\n")
        self.assertEqual(self.varve("append", self.store, "--expected", "none", "--json", input=event).json,
                         [{"first": 1, "last": 1, "version": 1, "duplicate": True}])
        answer = self.varve("append", self.store, code=1, input=event + '{"stream":"b"}')
        self.assertIn("event at position 1", answer.err)
        self.assertEqual(len(self.varve("read", self.store).lines), 1)

    def test_each_line_is_stored_as_it_comes(self):
        with subprocess.Popen([VARVE, "append", self.store, "--each"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            for n in (1, 2):
                writer.stdin.write(b'{"stream":"a"}\n')
                writer.stdin.flush()
                self.assertEqual(writer.stdout.readline(), b"position %d\n" % n)
            writer.stdin.close()
            self.assertEqual(writer.wait(20), 0)

    def test_levels(self):
        for level in ("os", "interval", "disk"):
            self.varve("append", self.store, "--durability", level, input="{}")

    def test_wrong_arguments(self):
        self.usage("append")
        self.usage("append", self.store, "--expected", "-1")
        self.usage("append", self.store, "--expected", "many")
        self.usage("append", self.store, "--durability", "tape")

    def test_a_bad_line_and_nothing_is_stored(self):
        self.fill(1)
        for line, reason in (("nonsense", "JSON"), ('{"stream":1}', '"stream" is not a string'), ('{"strem":"a"}', "strem"),
                             ('{"data":{"a":}}', ""), ('{"time":"yesterday"}', "RFC 3339"), ('{"id":"7"}', "UUID"),
                             ('{"a":1}{"b":2}', ""), ('[1]', "object"), ('{"tags":"a"}', "tags"), ('{"tags":[1]}', "tags")):
            answer = self.varve("append", self.store, code=1, input='{"stream":"b"}\n' + line + "\n")
            self.assertIn("line 2: ", answer.err)
            self.assertIn(reason, answer.err)
            self.assertIn("nothing was stored", answer.err)
        self.assertEqual(len(self.varve("read", self.store).lines), 1)

    def test_a_bad_line_ends_each(self):
        answer = self.varve("append", self.store, "--each", code=1, input='{"stream":"b"}\nbad\n{"stream":"c"}\n')
        self.assertEqual(answer.out, "position 1\n")
        self.assertEqual(len(self.varve("read", self.store).lines), 1)

    def test_conflicts(self):
        self.fill(3)
        for expected in ("none", "2", "4"):
            answer = self.varve("append", self.store, "--expected", expected, code=1, input='{"stream":"order-42"}')
            self.assertIn("order-42", answer.err)
            self.assertIn("version 3", answer.err)
        self.varve("append", self.store, "--expected", "exists", code=1, input='{"stream":"new"}')
        self.varve("append", self.store, "--expected", "3", input='{"stream":"order-42"}')

    def test_conflict_as_json(self):
        self.fill(3)
        answer = self.varve("append", self.store, "--expected", "2", "--json", code=1, input='{"stream":"order-42"}')
        error = json.loads(answer.err)["error"]
        self.assertEqual((error["code"], error["stream"], error["version"]), ("wrong_expected_version", "order-42", 3))

    def test_limits(self):
        for event in ({"stream": "s" * 1025}, {"type": "t\n"}, {"tags": [f"t{n}" for n in range(65)]}):
            self.varve("append", self.store, code=1, input=json.dumps(event))

    def test_a_second_writer(self):
        self.fill(1)
        with subprocess.Popen([VARVE, "append", self.store, "--each"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
            first.stdin.write(b'{"stream":"a"}\n')
            first.stdin.flush()
            first.stdout.readline()
            answer = self.varve("append", self.store, code=1, input="{}")
            self.assertIn("[locked]", answer.err)
            self.assertIn(str(first.pid), answer.err)
            first.kill()
            first.communicate()

    def test_full_output(self):
        self.into_full_output("append", self.store, input="{}")
        self.assertEqual(len(self.varve("read", self.store).lines), 1)
