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
        self.assertIn("in the way: position 1, stream a", answer.err)
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

    def guarded(self, *options, code=0, event='{"type":"Closed","tags":["customer/7"]}'):
        return self.varve("append", self.store, *options, code=code, input=event)

    def test_a_condition(self):
        self.fill(3)
        for question in ('[{"types":["OrderPlaced"],"tags":["customer/7"]}]', '{"tag":"customer/7"}', "true",
                         '{"not":{"type":"Closed"}}', '[{"tags":["nobody"]},{"types":["OrderPlaced"]}]'):
            self.assertEqual(self.guarded("--fail-if-match", question, "--after", "3", "--dry-run").out, "position 4 (not stored)\n")
            for after in (("--after", "2"), ("--after", "0"), ()):
                error = self.guarded("--fail-if-match", question, *after, code=1).err
                for part in ("[condition_failed]", "position 3, stream order-42, type OrderPlaced, tags customer/7"):
                    self.assertIn(part, error)
        for question in ('[{"types":["OrderPlaced"],"tags":["nobody"]}]', '{"stream":"other"}', "false"):
            self.guarded("--fail-if-match", question, "--dry-run")
        self.assertEqual(self.guarded("--fail-if-match", '{"tag":"customer/7"}', "--after", "3").out, "position 4\n")
        self.guarded("--fail-if-match", '{"tag":"customer/7"}', "--after", "3", code=1)
        self.assertEqual(len(self.varve("read", self.store).lines), 4)

    def test_a_condition_with_a_matcher(self):
        self.fill(3)
        question = ("--fail-if-match", '{"tag":"customer/7"}', "--match")
        self.assertIn("position 2,", self.guarded(*question, '{"data":{"n":2}}', code=1).err)
        self.guarded(*question, '{"data":{"n":2}}', "--after", "2", "--dry-run")
        self.guarded(*question, '{"data":{"n":4}}')

    def test_a_refusal_as_json(self):
        self.fill(3)
        error = json.loads(self.guarded("--fail-if-match", '{"tag":"customer/7"}', "--after", "1", "--json", code=1).err)["error"]
        self.assertEqual((error["code"], error["position"], error["stream"], error["type"], error["tags"]),
                         ("condition_failed", 3, "order-42", "OrderPlaced", ["customer/7"]))

    def test_a_condition_of_another_history(self):
        self.fill(3)
        seen = self.varve("query", self.store, "--tags", "nobody", "--seen", "--json").json[0]["seen"]
        question = ("--fail-if-match", '{"tag":"nobody"}', "--after")
        self.guarded(*question, seen["position"], "--epoch", seen["epoch"], "--dry-run")
        self.assertIn("[stale]", self.guarded(*question, "3", "--epoch", "9", code=1).err)
        error = self.guarded(*question, "4", code=1).err
        for part in ("[stale]", "its end is 3"):
            self.assertIn(part, error)

    def test_bad_conditions(self):
        for question in ("", "[]", "[{}]", "{}", "7", '{"tags":"a"}', '[{"tag":"a"}]', "[[]]"):
            self.usage("append", self.store, "--fail-if-match", question)
        for options in (("--after", "3"), ("--match", '{"data":1}'), ("--fail-if-match", "true", "--after", "-1"),
                        ("--fail-if-match", "true", "--epoch", "1"), ("--fail-if-match", "true", "--match", "{}"),
                        ("--fail-if-match", "true", "--each"), ("--dry-run", "--each")):
            self.usage("append", self.store, *options)
        self.assertFalse(self.store.exists())

    def test_dry_run(self):
        self.assertIn("[not_found]", self.varve("append", self.store, "--dry-run", code=1, input="{}").err)
        self.assertFalse(self.store.exists())
        self.fill(3)
        two = '{"stream":"order-42"}\n{"stream":"order-42","id":"%s"}' % ("f" * 32)
        self.assertEqual(self.varve("append", self.store, "--dry-run", input=two).out, "positions 4 to 5 (not stored)\n")
        self.assertEqual(self.varve("append", self.store, "--dry-run", "--json", input=two).json,
                         [{"first": 4, "last": 5, "version": 5, "duplicate": False, "dry_run": True}])
        self.assertIn("version 3", self.varve("append", self.store, "--dry-run", "--expected", "2", code=1, input=two).err)
        self.assertEqual(len(self.varve("read", self.store).lines), 3)
        self.varve("append", self.store, input=two)
        self.assertEqual(self.varve("append", self.store, "--dry-run", input=two).out, "positions 4 to 5 (stored before)\n")

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
