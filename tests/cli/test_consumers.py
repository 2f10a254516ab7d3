"""Goal: tail as a consumer goes on where it was and acknowledges what the pipe has taken; consumers lists, shows, verifies, replays and
resets them; what cannot be is refused with a reason."""
import signal
import subprocess
import time

from support import VARVE, CommandLineTest


class Consumers(CommandLineTest):
    def tail(self, *options, code=0):
        answer = self.varve("tail", self.store, "--consumer", "demo", "--timeout", "0.3", "--json", *options, code=code)
        return [event["position"] for event in answer.json]

    def info(self):
        return self.varve("consumers", self.store, "show", "demo", "--json").json[0]

    def test_goes_on_where_it_was(self):
        self.fill(3)
        self.assertEqual(self.tail("--limit", "2"), [1, 2])
        self.assertEqual(self.tail(), [3])
        self.assertEqual(self.tail(), [])
        self.fill(1)
        self.assertEqual(self.tail(), [4])
        self.assertEqual(self.varve("consumers", self.store, "verify", "demo", "--json").json[0]["expected"], 4)

    def test_what_it_follows(self):
        self.fill(2)
        self.fill(2, kind="OrderPaid")
        self.assertEqual(self.tail("--types", "OrderPaid", "--limit", "1"), [3])
        self.assertEqual(self.info()["selector"], 'type "OrderPaid"')
        self.assertEqual(self.tail(), [4])
        refused = self.varve("tail", self.store, "--consumer", "demo", "--types", "OrderPlaced", code=1)
        self.assertIn('follows type "OrderPaid"', refused.err)

    def test_a_new_one_can_begin_later(self):
        self.fill(3)
        self.assertEqual(self.tail("--after", "2"), [3])
        self.assertEqual(self.tail("--after", "0"), [])

    def test_names(self):
        self.fill(1)
        for name in ("../x", "a b", "-x", ".x"):
            answer = self.run_varve("tail", self.store, "--consumer=" + name, "--timeout", "0.1")
            self.assertEqual(answer.code, 1, name)
            self.assertIn("name of a consumer", answer.err)
        self.usage("tail", self.store, "--consumer", "demo", "--match", '{"data":{"n":1}}')

    def test_a_broken_pipe_loses_nothing(self):
        self.fill(300)
        with subprocess.Popen([VARVE, "tail", self.store, "--consumer", "demo", "--json"], stdout=subprocess.PIPE) as tail:
            seen = [tail.stdout.readline() for _ in range(10)]
            tail.stdout.close()
            self.assertEqual(tail.wait(20), 0)
        self.assertEqual(len(seen), 10)
        after = self.info()["position"]
        rest = self.tail()
        self.assertEqual(rest, list(range(after + 1, 301)))
        self.varve("consumers", self.store, "verify", "demo")

    def test_killed_while_a_writer_runs(self):
        self.fill(1)
        writer = subprocess.Popen([VARVE, "append", self.store, "--each", "--durability", "disk"], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL)
        self.addCleanup(writer.wait)
        self.addCleanup(writer.stdin.close)
        printed = set()
        for round_number in range(4):
            tail = subprocess.Popen([VARVE, "tail", self.store, "--consumer", "demo", "--json"], stdout=subprocess.PIPE)
            for _ in range(25):
                writer.stdin.write(b'{"type":"A"}\n')
            writer.stdin.flush()
            time.sleep(0.3)
            tail.send_signal(signal.SIGKILL)
            out, _ = tail.communicate(timeout=20)
            printed.update(line for line in out.splitlines() if line.endswith(b"}"))
        writer.stdin.close()
        self.assertEqual(writer.wait(20), 0)
        printed.update(self.varve("tail", self.store, "--consumer", "demo", "--timeout", "0.5", "--json").out.encode().splitlines())
        self.assertEqual(len(printed), 101, "every event was printed at least once")
        self.assertIn("101 acknowledged", self.varve("consumers", self.store, "verify", "demo").out)

    def test_one_has_it(self):
        self.fill(1)
        tail = subprocess.Popen([VARVE, "tail", self.store, "--consumer", "demo"], stdout=subprocess.PIPE)
        self.addCleanup(tail.stdout.close)
        self.addCleanup(tail.wait)
        self.addCleanup(tail.kill)
        tail.stdout.readline()
        refused = self.varve("tail", self.store, "--consumer", "demo", code=1)
        self.assertIn("in use by", refused.err)
        self.assertIn(str(tail.pid), refused.err)
        self.assertTrue(self.info()["active"])
        self.assertIn(str(tail.pid), self.info()["holder"])
        self.varve("consumers", self.store, "reset", "demo", "--yes", code=1)
        tail.send_signal(signal.SIGTERM)
        self.assertEqual(tail.wait(20), 0)
        self.assertFalse(self.info()["active"])

    def start_member(self, *options):
        member = subprocess.Popen([VARVE, "tail", self.store, "--consumer", "demo", "--group", "--json", *options],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(member.stdout.close)
        self.addCleanup(member.wait)
        self.addCleanup(member.kill)
        return member

    def wait_until(self, what):
        end = time.monotonic() + 20
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_group(self):
        for number in range(20):
            self.fill(2, stream=f"s-{number}")
        first = self.tail("--group", "--lanes", "4", "--limit", "7")
        self.assertEqual(len(first), 7)
        self.assertEqual(sorted(first + self.tail("--group")), list(range(1, 41)))
        self.assertIn("4 lanes", self.varve("tail", self.store, "--consumer", "demo", code=1).err)
        self.assertIn("not 5", self.varve("tail", self.store, "--consumer", "demo", "--group", "--lanes", "5", code=1).err)
        self.usage("tail", self.store, "--group")
        self.usage("tail", self.store, "--consumer", "demo", "--lanes", "5")
        self.usage("tail", self.store, "--consumer", "demo", "--group", "--lanes", "257")
        self.assertEqual(self.varve("consumers", self.store, "verify", "demo", "--json").json[0]["expected"], 40)
        info = self.info()
        self.assertEqual((info["lanes"], info["members"], info["position"], len(info["each_lane"])), (4, 0, 40, 4))
        self.assertEqual(sum(lane["acknowledged"] for lane in info["each_lane"]), 40)
        self.assertIn("nobody", self.varve("consumers", self.store, "show", "demo").out)

    def test_members_share_and_inherit(self):
        self.fill(1)
        one = self.start_member("--lanes", "4")
        self.wait_until(lambda: self.varve("consumers", self.store, "--json").json)
        two = self.start_member()
        holders = lambda: [lane.get("holder", "") for lane in self.info()["each_lane"]]
        of = lambda member: sum(f"process {member.pid} " in holder for holder in holders())
        self.wait_until(lambda: of(one) == 2 and of(two) == 2)
        self.assertEqual(self.info()["members"], 2)
        self.assertIn(f"process {one.pid} ", self.varve("consumers", self.store, "show", "demo").out)
        self.varve("consumers", self.store, "reset", "demo", "--yes", code=1)
        two.send_signal(signal.SIGKILL)
        two.wait(20)
        self.wait_until(lambda: of(one) == 4)
        one.send_signal(signal.SIGTERM)
        self.assertEqual(one.wait(20), 0)
        self.assertFalse(self.info()["active"])

    def test_list(self):
        self.assertEqual(self.varve("create", self.store).code, 0)
        self.assertEqual(self.varve("consumers", self.store).out, "")
        self.assertEqual(self.varve("consumers", self.store, "--json").out, "")
        self.fill(3)
        self.tail("--limit", "1")
        self.varve("tail", self.store, "--consumer", "other", "--types", "Missing", "--timeout", "0.2")
        listed = self.varve("consumers", self.store, "list", "--json").json
        self.assertEqual([(one["name"], one["health"], one["position"], one["behind"]) for one in listed],
                         [("demo", "good", 1, 2), ("other", "good", 3, 0)])
        self.assertEqual(len(self.varve("consumers", self.store).lines), 3)
        self.assertIn("behind        2 events", self.varve("consumers", self.store, "show", "demo").out)

    def test_reset(self):
        self.fill(3)
        self.tail()
        asked = self.varve("consumers", self.store, "reset", "demo", code=1)
        self.assertIn("--yes", asked.err)
        self.assertEqual(self.tail(), [])
        self.varve("consumers", self.store, "reset", "demo", "--after", "1", "--yes")
        self.assertEqual(self.tail(), [2, 3])
        self.varve("consumers", self.store, "reset", "demo", "--after", "4", "--yes", code=1)

    def test_damaged(self):
        self.fill(3)
        self.tail()
        path = self.store / "consumers" / "demo"
        damaged = bytearray(path.read_bytes())
        damaged[4096 + 20] ^= 1
        damaged[8192 + 20] ^= 1
        path.write_bytes(damaged)
        refused = self.varve("tail", self.store, "--consumer", "demo", code=3)
        self.assertIn("reset demo", refused.err)
        self.assertEqual(self.info()["health"], "damaged")
        self.varve("consumers", self.store, "verify", "demo", code=3)
        self.assertEqual(path.read_bytes(), bytes(damaged))
        self.varve("consumers", self.store, "reset", "demo", "--yes", "--after", "2")
        self.assertEqual((self.store / "consumers" / "demo~damaged-1").read_bytes(), bytes(damaged))
        self.assertEqual(self.tail(), [3])

    def test_pause(self):
        self.fill(1)
        self.tail()
        self.varve("consumers", self.store, "pause", "demo")
        self.fill(1)
        self.assertEqual(self.tail(), [])
        self.assertTrue(self.info()["paused"])
        self.varve("consumers", self.store, "resume", "demo")
        self.assertEqual(self.tail(), [2])

    def test_replace(self):
        self.fill(3)
        self.tail("--limit", "2")
        self.varve("tail", self.store, "--consumer", "new", "--limit", "1", "--timeout", "0.3")
        self.assertIn("behind", self.varve("consumers", self.store, "replace", "demo", "--by", "new", code=1).err)
        self.varve("tail", self.store, "--consumer", "new", "--timeout", "0.3")
        self.varve("consumers", self.store, "replace", "demo", code=2)
        self.varve("consumers", self.store, "replace", "demo", "--by", "new", "--json")
        self.assertEqual(self.tail(), [])
        self.assertEqual([one["name"] for one in self.varve("consumers", self.store, "--json").json], ["demo"])

    def test_nothing_parked(self):
        self.fill(1)
        self.tail()
        self.assertEqual(self.varve("consumers", self.store, "parked", "demo").out, "")
        self.assertEqual(self.varve("consumers", self.store, "replay", "demo").out, "")
        self.varve("consumers", self.store, "drop", "demo", "--position", "1", "--yes", code=1)
        self.varve("consumers", self.store, "drop", "demo", "--yes", code=2)

    def test_wrong_arguments(self):
        self.usage("consumers")
        self.fill(1)
        for arguments in (("show",), ("dance", "demo"), ("list", "demo")):
            self.assertEqual(self.run_varve("consumers", self.store, *arguments).code, 2, arguments)
        self.varve("consumers", self.store, "show", "missing", code=1)
        self.varve("consumers", self.folder / "nothing", code=1)

    def test_full_output(self):
        self.fill(1)
        self.into_full_output("tail", self.store, "--consumer", "demo", "--limit", "1")
        self.assertEqual(self.tail(), [1])
        self.into_full_output("consumers", self.store, "--json")
