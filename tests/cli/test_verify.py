"""Goal: verify reads everything and changes nothing; interrupted, it can be taken up. (Damage: test_damage.py.)"""
import json
import os
import pathlib
import signal
import subprocess
import termios
import time

from support import CommandLineTest, VARVE


class Verify(CommandLineTest):
    def test_success(self):
        self.fill(3)
        before = self.snapshot_of_files(self.store)
        report = self.varve("verify", self.store, "--json").json[0]
        self.assertEqual((report["events"], report["commits"], report["damaged"]), (3, 1, []))
        self.assertIn("no damage", self.varve("verify", self.store).out)
        self.assertEqual(self.snapshot_of_files(self.store), before)

    def test_index_files(self):
        self.varve("create", self.store, "--segment-size-first", "65536", "--segment-size-max", "65536")
        sealed = []
        for _ in range(30):  # sealing runs beside the writer
            self.fill(300)
            sealed = sorted((self.store / "index").glob("*.idx"))
            if sealed:
                break
        self.assertTrue(sealed)
        with open(sealed[0], "r+b") as file:
            file.seek(0)
            file.write(b"????????")
        answer = self.run_varve("verify", self.store, "--json")
        self.assertEqual(answer.code, 3, answer.out + answer.err)
        report = answer.json[0]
        self.assertEqual((report["damaged"], report["indexes_missing"]), ([], []))
        self.assertEqual([one["file"] for one in report["indexes_damaged"]], [str(sealed[0])])
        text = self.run_varve("verify", self.store).out
        self.assertIn("damaged index: " + str(sealed[0]), text)
        self.assertIn("nothing is lost", text)
        sealed[0].unlink()
        report = self.varve("verify", self.store, "--json").json[0]
        self.assertEqual((report["indexes_damaged"], report["indexes_missing"]), ([], [str(sealed[0])]))

    def test_errors(self):
        self.usage("verify")
        self.varve("verify", self.store, code=1)
        self.assertFalse(self.store.exists())
        self.fill(1)
        self.into_full_output("verify", self.store)

    def interrupted(self, *arguments):
        """Runs it with a terminal that takes nothing until the signal was sent: it ends behind the first segment."""
        terminal, theirs = self.terminal("an interrupted verify")
        self.addCleanup(os.close, terminal)
        termios.tcflow(theirs, termios.TCOOFF)
        with subprocess.Popen([VARVE, "verify", str(self.store), *arguments], stdout=subprocess.PIPE, stderr=theirs) as process:
            status = pathlib.Path(f"/proc/{process.pid}/status")
            for _ in range(1000):  # until it catches the signal
                caught = [line for line in status.read_text().splitlines() if line.startswith("SigCgt:")]
                if caught and int(caught[0].split()[1], 16) >> (signal.SIGINT - 1) & 1:
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            termios.tcflow(theirs, termios.TCOON)
            os.close(theirs)
            out = process.communicate(timeout=60)[0].decode()
        complaint = b""
        try:
            while True:
                complaint += os.read(terminal, 4096)
        except OSError:  # the other side is closed
            pass
        return process.returncode, out, complaint.decode()

    def test_resume(self):
        self.varve("create", self.store, "--segment-size-first", "65536", "--segment-size-max", "65536")
        for _ in range(12):
            self.fill(300)
        state = self.store / "verify.state"
        whole = self.varve("verify", self.store, "--json").json[0]
        self.assertGreater(whole["segments"], 3)
        code, out, complaint = self.interrupted("--json")
        self.assertEqual(code, 1, complaint)
        self.assertFalse(state.exists())
        self.assertIn("--resume", complaint)
        code, out, complaint = self.interrupted("--resume", "--json")
        part = json.loads(out)
        self.assertEqual((code, part["complete"], part["segments"]), (1, False, 1), complaint)
        self.assertIn("the same command goes on behind", complaint)
        self.assertTrue(state.exists())
        kept = self.varve("doctor", self.store, "--json").json[0]
        self.assertEqual(kept["foreign"], [])
        rest = self.varve("verify", self.store, "--resume", "--json").json[0]
        self.assertEqual(rest["resumed_bytes"], part["kept_bytes"])
        self.assertEqual({**rest, "resumed_bytes": 0}, whole)
        self.assertFalse(state.exists())

    def test_resume_from_a_damaged_state(self):
        self.fill(3)
        (self.store / "verify.state").write_bytes(b"?" * 200)
        self.assertIn("began again", self.varve("verify", self.store, "--resume").out)
        self.assertFalse((self.store / "verify.state").exists())
