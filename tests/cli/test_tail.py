"""Goal: tail delivers what comes, from the end or from a position, and ends when told to or when nobody listens."""
import signal
import subprocess
import time

from support import VARVE, CommandLineTest


class Tail(CommandLineTest):
    def start(self, *options):
        tail = subprocess.Popen([VARVE, "tail", self.store, "--json", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(tail.stderr.close)
        self.addCleanup(tail.stdout.close)
        self.addCleanup(tail.wait)
        self.addCleanup(tail.kill)
        return tail

    def test_from_a_position(self):
        self.fill(3)
        answer = self.varve("tail", self.store, "--after", "1", "--timeout", "0.3", "--json")
        self.assertEqual([event["position"] for event in answer.json], [2, 3])

    def test_limit(self):
        self.fill(3)
        self.assertEqual(len(self.varve("tail", self.store, "--after", "0", "--limit", "2", "--type", "OrderPlaced").lines), 2)

    def test_matching_events_only(self):
        self.fill(3)
        answer = self.varve("tail", self.store, "--after", "0", "--match", '{"data":{"n":[1,3]}}', "--limit", "2", "--json")
        self.assertEqual([event["position"] for event in answer.json], [1, 3])
        self.usage("tail", self.store, "--match", "{}")

    def test_queries(self):
        self.fill(2)
        self.fill(2, stream="cart-1", kind="Opened")
        self.fill(1, kind="OrderPaid")

        def positions(*options):
            answer = self.varve("tail", self.store, "--after", "0", "--timeout", "0.3", "--json", *options)
            return [event["position"] for event in answer.json]
        self.assertEqual(positions("--types", "OrderPlaced,OrderPaid"), [1, 2, 5])
        self.assertEqual(positions("--items", '[{"types":["Opened"]},{"types":["OrderPaid"],"tags":["customer/7"]}]'), [3, 4, 5])
        self.assertEqual(positions("--selector", '{"not":{"type":"Opened"}}', "--tags", "customer/7"), [1, 2, 5])
        self.assertEqual(positions("--stream", "order-42", "--types", "OrderPaid,Opened"), [5])
        self.assertEqual(positions("--types", "Missing"), [])
        self.usage("tail", self.store, "--items", "[]")
        self.usage("tail", self.store, "--types", "A,,B")
        tail = self.start("--types", "Opened", "--limit", "1")
        time.sleep(0.5)
        self.fill(1)
        self.fill(1, kind="Opened")
        self.assertIn(b'"position":7', tail.stdout.readline())

    def test_events_that_do_not_match_are_no_events(self):
        self.fill(1)
        tail = self.start("--match", '{"data":{"n":2}}', "--timeout", "1")
        writer = subprocess.Popen([VARVE, "append", self.store, "--each"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(writer.wait)
        self.addCleanup(writer.stdin.close)
        for _ in range(100):  # an event every 100 ms: were they events, the tail would not end before them
            if tail.poll() is not None:
                break
            writer.stdin.write(b"{}\n")
            writer.stdin.flush()
            time.sleep(0.1)
        self.assertEqual(tail.poll(), 0)
        self.assertEqual(tail.stdout.read(), b"")

    def test_live(self):
        self.fill(3)
        tail = self.start("--limit", "2", "--tag", "customer/7")
        time.sleep(0.5)
        self.fill(1)
        self.assertIn(b'"position":4', tail.stdout.readline())
        self.varve("append", self.store, input="{}")
        self.fill(1)
        self.assertIn(b'"position":6', tail.stdout.readline())
        self.assertEqual(tail.wait(20), 0)

    def test_signals(self):
        self.fill(1)
        for number in (signal.SIGINT, signal.SIGTERM):
            tail = self.start("--after", "0")
            tail.stdout.readline()
            tail.send_signal(number)
            self.assertEqual(tail.wait(20), 0)

    def test_nobody_listens(self):
        self.fill(1)
        for more in (0, 1):  # it notices with and without another event
            tail = self.start("--after", "0")
            tail.stdout.readline()
            tail.stdout.close()
            if more:
                self.fill(1)
            self.assertEqual(tail.wait(20), 0)
            self.assertEqual(tail.stderr.read(), b"")

    def test_wrong_arguments(self):
        self.usage("tail")
        self.usage("tail", self.store, "--timeout", "-1")
        self.varve("tail", self.store, code=1)
        self.assertFalse(self.store.exists())

    def test_full_output(self):
        self.fill(1)
        self.into_full_output("tail", self.store, "--after", "0", "--limit", "1")
