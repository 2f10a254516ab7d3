"""Writes storages of node-event-storage byte by byte, as docs/format/nes.md has them: a writer that shares no code with the library.

Everything is kept in memory and may be spoilt before `save`.
"""
import json
import struct

EPOCH_MS = 1_700_000_000_000


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def header(magic, metadata):
    text = metadata.encode()
    padding = -(13 + len(text)) % 16
    return magic + struct.pack(">I", len(text) + padding + 1) + text + b" " * padding + b"\n"


def partition_id(name):
    units = name.encode("utf-16-le")
    value = 5381 if units else 0
    for at in range(len(units) - 2, -1, -2):
        value = value * 33 % 2**32 ^ int.from_bytes(units[at:at + 2], "little")
    return value


def mapped(content):
    size = (len(content) + 65536 + 4 + 4095) // 4096 * 4096
    return content + bytes(size - len(content) - 4) + struct.pack(">I", size - len(content))


class Source:
    def __init__(self, directory, name="es", layout="classic", streams="streams"):
        self.directory, self.name, self.layout = directory, name, layout
        self.index_directory = directory / streams if streams else directory
        self.partitions, self.entries, self.indexes, self.versions = {}, [], {}, {}
        self.metadata = {}

    def file_of(self, partition):
        return f"{self.name}.{partition}" if partition else self.name

    def document(self, data, partition, indexed=True, number=None, time_us=None):
        """Appends a document; returns its number, 1-based."""
        data = data if isinstance(data, bytes) else (data if isinstance(data, str) else compact(data)).encode()
        body = self.partitions.setdefault(partition, bytearray())
        number = number or len(self.entries) + 1
        position = len(body)
        body += struct.pack(">IId", len(data), number - 1, float(time_us if time_us is not None else number * 10))
        body += data + b" " * (-len(data) % 4) + struct.pack(">I", len(data)) + b"\x00\x00\x1e\x0a"
        if indexed:
            self.entries.append([number, position, len(data), partition_id(self.file_of(partition))])
        return number

    def commit(self, stream, payloads, unfinished=0, **metadata):
        """Events as an event store writes them, and the index of their stream."""
        first, size, numbers = len(self.entries), len(payloads) + unfinished, []
        for version, payload in enumerate(payloads):
            count = self.versions.get(stream, 0)
            self.versions[stream] = count + 1
            numbers.append(self.document({"stream": stream, "payload": payload, "metadata": {
                "commitId": first, "committedAt": EPOCH_MS + first, "commitVersion": version, "commitSize": size, **metadata,
                "streamVersion": count}}, stream))
        self.add_to("stream-" + stream, {"stream": stream}, numbers)
        return numbers

    def add_to(self, index, matcher, numbers, **more):
        known = self.indexes.setdefault(index, {"matcher": matcher, "numbers": [], "closed": False})
        known["numbers"] += numbers
        known.update(more)

    def consumer(self, index, name, position, state):
        path = self.index_directory / "consumers" / f"{self.name}.{index}.{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(struct.pack("<i", position) + (state if isinstance(state, str) else compact(state)).encode())

    def put(self, path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mapped(content) if self.layout == "mapped" else content)

    def index_bytes(self, more, entries):
        metadata = {"entryClass": "Entry", "entrySize": 16, **more}
        return header(b"nesidx01", compact(metadata)) + b"".join(struct.pack("<IIII", *entry) for entry in entries)

    def contents(self):
        """Path and content of each file, the primary index last."""
        for partition, body in self.partitions.items():
            metadata = compact({"epoch": EPOCH_MS, **self.metadata.get(partition, {})})
            yield self.directory / self.file_of(partition), header(b"nesprt03", metadata) + bytes(body)
        by_number = {entry[0]: entry for entry in self.entries}
        for name, index in self.indexes.items():
            more = {"matcher": index["matcher"]} if index["matcher"] is not None else {}
            if "hmac" in index:
                more["hmac"] = index["hmac"]
            end = ".closed.index" if index["closed"] else ".index"
            yield (self.index_directory / f"{self.name}.{name}{end}",
                   self.index_bytes(more, [by_number[number] for number in index["numbers"]]))
        yield self.index_directory / f"{self.name}.index", self.index_bytes({}, self.entries)

    def save(self):
        for path, content in self.contents():
            self.put(path, content)
        return self
