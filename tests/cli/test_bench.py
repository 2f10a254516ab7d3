"""Goal: varve bench is varve-bench."""
import json
import os
import subprocess

from support import CommandLineTest


class Bench(CommandLineTest):
    def test_json(self):
        lines = self.varve("bench", "append", "--events", "2000", "--rounds", "1", "--dir", self.folder, "--json").json
        self.assertEqual({line["scenario"] for line in lines}, {"append"})
        self.assertIn("ns_per_event", lines[0]["metrics"])

    def test_wrong_arguments(self):
        self.varve("bench", code=2)
        self.varve("bench", "nonsense", code=2)
        self.varve("bench", "query", code=2)
        self.varve("bench", "scan", "--conditional", code=2)
        self.varve("bench", "append", "--variant", "rare", code=2)

    def test_full_output(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([os.environ["VARVE_BENCH"], "append", "--events", "2000", "--rounds", "1", "--dir", self.folder],
                                  stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 3)

    def bench(self, *arguments):
        done = subprocess.run([os.environ["VARVE_BENCH"], *map(str, arguments), "--rounds", "1", "--dir", self.folder, "--json"],
                              capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list(self.folder.glob("varve-bench-*")), [], "a run leaves nothing behind")
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def ours(self, *arguments):
        return self.bench(*arguments)[0]["metrics"]

    def test_open(self):
        metrics = self.ours("open", "--events", "20000", "--peer", "none")
        for name in ("clean_ms", "killed_ms", "recovered_ms", "crashed_ms", "crashed_mib", "reader_ms", "reader_killed_ms",
                     "log_bytes", "files"):
            self.assertGreater(metrics[name], 0, name)
        self.assertIn("anon_mb", metrics)
        self.assertIn("index_bytes", metrics)

    def test_whole_store(self):
        self.assertGreater(self.ours("catalogue", "--events", "1000")["names_per_s"], 0)
        metrics = self.ours("rebuild", "--events", "50000")
        self.assertGreater(metrics["sealed_segments"], 0)
        self.assertGreater(metrics["seal_ms"], 0)
        self.assertGreater(metrics["answered_ms"], 0)
        self.assertGreaterEqual(metrics["rebuild_ms"], metrics["answered_ms"])
        self.assertGreater(self.ours("verify", "--events", "2000")["gb_per_s"], 0)

    def test_seal(self):
        line = self.bench("seal", "--events", "100000")[0]
        self.assertEqual(line["params"]["workload"], "wide")
        for name in ("events_per_s", "bytes_per_s", "append_p50_ns", "append_p999_ns", "seals", "merges"):
            self.assertGreater(line["metrics"][name], 0, name)

    def test_consumer(self):
        for options in ((), ("--variant", "state"), ("--readers", "3", "--variant", "each")):
            metrics = self.ours("consumer", "--events", "5000", *options)
            for name in ("events_per_s", "p50_us", "p99_us", "ack_us"):
                self.assertGreater(metrics[name], 0, name)

    def test_cold_reads(self):
        lines = self.bench("tag-read", "--cold", "--events", "2000", "--peer", "none")
        self.assertEqual([line["variant"] for line in lines], ["varve", "one-at-a-time", "ratio"])
        for line in lines[:2]:
            self.assertGreater(line["metrics"]["ns_per_event"], 0)
            self.assert_cold(line)
        self.assertEqual(lines[2]["peer"], "one-at-a-time")
        self.assertIn("ns_per_event", lines[2]["metrics"])
        for scenario in ("scan", "stream-read"):
            self.assert_cold(self.bench(scenario, "--cold", "--events", "2000", "--peer", "none")[0])
        self.assertNotIn("read_bytes", self.ours("tag-read", "--events", "2000", "--peer", "none"))

    def assert_cold(self, line):
        """The disk was read, where there is a disk."""
        self.assertIn("major_faults", line["metrics"])
        if line["environment"]["fs"] in ("ext4", "xfs"):
            self.assertGreater(line["metrics"]["read_bytes"], 0)
            self.assertGreater(line["metrics"]["major_faults"], 0)
        else:
            self.assertGreaterEqual(line["metrics"]["read_bytes"], 0)

    def test_cold_streams_from_the_disk(self):
        self.assert_cold(self.bench("append", "--variant", "cold-streams", "--cold", "--events", "20000")[0])

    def test_variants_of_append(self):
        for variant in ("ids", "cold-streams"):
            line = self.bench("append", "--variant", variant, "--events", "5000")[0]
            self.assertEqual(line["params"]["variant"], variant)
            self.assertGreater(line["metrics"]["p50_ns"], 0)

    def test_matcher(self):
        lines = self.bench("matcher", "--events", "20000")
        self.assertEqual([line["params"]["variant"] for line in lines], ["parse", "absent", "absent-short"])
        for line in lines:
            self.assertGreater(line["metrics"]["ns_per_match"], 0)
        self.assertEqual(len(self.bench("matcher", "--variant", "absent", "--events", "20000")), 1)

    def history(self):
        """Ten thousand events of 5 types and 7 authors, some of which have two rare tags."""
        path = self.folder / "history.ndjson"
        with open(path, "w") as out:
            for n in range(10_000):
                tags = [f"author/{n % 7}"] + ([f"rare/{n // 60}", f"commit/{n // 30}"] if n % 30 == 0 else [])
                out.write(json.dumps({"stream": f"file-{n % 50}", "type": f"Type{n % 5}", "tags": tags, "data": {"n": n}}) + "\n")
        return path

    def test_query(self):
        path = self.history()
        metrics = self.ours("query", path)
        self.assertEqual(metrics["queries"], 104)
        # Types and authors go round independently: one event in 35 has both.
        self.assertAlmostEqual(metrics["events_per_query"], 10_000 / 35, delta=1)
        self.assertGreater(metrics["us_per_query"], 0)
        line = self.bench("query", path, "--variant", "rare", "--verify", "trusted")[0]
        self.assertEqual(line["environment"]["verify"], "trusted")
        self.assertEqual(line["metrics"]["events_per_query"], 1)

    def test_conditional(self):
        lines = self.bench("append", "--conditional", "--events", "5000")
        self.assertEqual([line["variant"] for line in lines], ["varve", "conditional", "ratio"])
        self.assertTrue(lines[0]["params"]["conditional"])
        self.assertGreater(lines[2]["metrics"]["p50_ns"], 0)
        lines = self.bench("append-durable", "--conditional", "--threads", "4")
        self.assertEqual([line["variant"] for line in lines], ["varve", "unconditional", "ratio"])
        self.assertGreater(lines[0]["metrics"]["commits_per_s"], 0)

    def test_contention(self):
        lines = self.bench("contention", "--threads", "4")
        self.assertEqual([line["params"]["variant"] for line in lines], ["one", "disjoint"])
        for line in lines:
            self.assertGreater(line["metrics"]["commits_per_s"], 0)
        self.assertEqual(lines[1]["metrics"]["conflicts_per_commit"], 0, "nobody else writes to it")

    def test_speedrun(self):
        metrics = self.ours("speedrun")
        self.assertGreater(metrics["ops_per_s"], 0)
        self.assertGreater(metrics["laps"], 0)
        self.assertIn("ratio_to_raw", self.ours("speedrun", "--level", "disk"))

    def test_peers(self):
        lines = self.bench("append", "--events", "5000", "--peer", "lmdb,sqlite", "--peer", "rocksdb")
        measured = [line["variant"] for line in lines if line["variant"] != "ratio"]
        self.assertEqual(measured[:2], ["varve", "lmdb"])
        self.assertEqual([line["peer"] for line in lines if line["variant"] == "ratio"], measured[1:])
        lines = self.bench("stream-read", "--events", "2000", "--peer", "sqlite,rocksdb")
        for line in lines:
            self.assertGreater(line["metrics"]["ns_per_event"], 0)
