"""Goal: what holds for every command: help, exit codes, versions, terminals, directories that are no store."""
import json
import os
import re
import subprocess

from support import VARVE, CommandLineTest

COMMANDS = ["create", "append", "read", "tail", "streams", "categories", "types", "tags", "stats", "verify", "import", "export"]


class General(CommandLineTest):
    def on_terminal(self, *arguments, **environment):
        """What the command writes when its outputs are a terminal."""
        parent, child = self.terminal("colours and progress bars")
        process = subprocess.Popen([VARVE, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=child, stderr=child,
                                   env={**os.environ, "TERM": "xterm", **environment})
        os.close(child)
        text = b""
        try:
            while part := os.read(parent, 65536):
                text += part
        except OSError:  # the terminal hung up: the command has ended
            pass
        os.close(parent)
        self.assertEqual(process.wait(60), 0)
        return text

    def test_help(self):
        listed = self.varve("--help").out
        for command in COMMANDS + ["bench", "completion"]:
            self.assertRegex(listed, rf"\n  {command} ")
        for command in [[]] + [[name] for name in COMMANDS]:
            text = self.varve(*command, "--help").out
            self.assertIn("Exit codes: 0 done, 1 refused", text)
            self.assertIn("3 damage or I/O error", text)
        self.into_full_output("--help")

    def test_every_command_has_json(self):
        for command in COMMANDS:
            self.assertIn("--json", self.varve(command, "--help").out)

    def test_version(self):
        self.assertRegex(self.varve("--version").out, r"^varve \d+\.\d+\.\d+\n$")

    def test_usage(self):
        self.usage()
        self.usage("nonsense")
        self.assertNotIn("\x1b", self.usage("read", "a", "b\x1b[31m").err)

    def test_a_foreign_directory_is_left_alone(self):
        self.store.mkdir()
        (self.store / "mine.txt").write_text("mine")
        events = self.folder / "events.ndjson"
        events.write_text("{}\n")
        before = self.snapshot_of_files(self.store)
        for command in COMMANDS:
            more = [events] if command == "import" else []
            self.assertIn("[not_a_store]", self.varve(command, self.store, *more, code=1, input="{}").err, command)
        self.assertEqual(self.snapshot_of_files(self.store), before)

    def test_control_characters(self):
        evil = "\x1b]0;owned\x07\x9b31m\u202e"
        self.varve("append", self.store, input=json.dumps({"data": evil}) + "\n" +
                   json.dumps({"data": {"$base64": "G1szMW0K/5s="}}))
        for answer in (self.varve("read", self.store), self.varve("read", f"no{evil}", code=1),
                       self.varve("append", self.store, code=1, input=json.dumps({"stream": evil})),
                       self.varve("append", self.store, code=1, input=json.dumps({evil: 1}, ensure_ascii=False))):
            text = answer.out + answer.err
            self.assertIsNone(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), repr(text))
            text.encode()  # nothing that is not UTF-8
        self.assertIn("\\x1b[31m\\x0a\\xff\\x9b", self.varve("read", self.store).out)

    def test_colours_on_a_terminal_only(self):
        self.fill(1)
        self.assertIn(b"\x1b[", self.on_terminal("read", self.store))
        self.assertNotIn(b"\x1b[", self.on_terminal("read", self.store, NO_COLOR="1"))
        self.assertIn(b"\x1b[", self.on_terminal("read", self.store, NO_COLOR=""))
        self.assertNotIn("\x1b[", self.varve("read", self.store).out)

    def test_progress_on_a_terminal_only(self):
        events = self.folder / "events.ndjson"
        events.write_text(json.dumps({"stream": "s", "data": {"text": "x" * 400}}) + "\n")
        events.write_text(events.read_text() * 200_000)
        self.assertRegex(self.on_terminal("import", self.store, events), rb"import \[#*-*\].*/s, .* s left")
        self.varve("import", self.folder / "quiet", events)  # and nothing on the error stream
        os.truncate(events, 0)

    def test_reader_that_has_seen_enough(self):
        self.fill(3000)
        for command in ("read", "export", "streams"):
            done = subprocess.run(f"'{VARVE}' {command} '{self.store}' | head -n 1; echo ${{PIPESTATUS[0]}}", shell=True,
                                  executable="/bin/bash", capture_output=True, text=True)
            self.assertEqual((done.stdout.split("\n")[-2], done.stderr), ("0", ""))
