// Writes and reads storages of node-event-storage for the round trips of node_test.py.
//
//   varve_nes_rounds write DIR FROM UNTIL [mapped]   events FROM to UNTIL, as an event store writes
//                                                    them; new files in that layout
//   varve_nes_rounds dump DIR                        a line per document, then one per index
//   varve_nes_rounds hold DIR                        holds the lock until standard input ends
#include <iostream>
#include <varve/nes.hpp>

namespace {

using namespace varve::nes;

StorageOptions options_for(const std::string& directory, varve::Access access) {
    StorageOptions options;
    options.name = "store";
    options.index_directory = directory + "/streams";
    options.access = access;
    return options;
}

int failed(const varve::Error& error) {
    std::cerr << to_string(error.code) << ": " << error.message << " " << error.file << '\n';
    return error.code == varve::ErrorCode::locked ? 2 : 1;
}

std::string event(const std::string& stream, std::uint64_t n, std::uint64_t version) {
    return R"({"stream":")" + stream + R"(","payload":{"type":")" + (n % 2 == 0 ? "B" : "A") +
           R"(","n":)" + std::to_string(n) + R"(,"text":"é\"\n"},"metadata":{"commitId":)" +
           std::to_string(n - 1) + R"(,"committedAt":1700000000000,"commitVersion":0,)" +
           R"("commitSize":1,"streamVersion":)" + std::to_string(version) + "}}";
}

int write_events(const std::string& directory, std::uint64_t from, std::uint64_t until,
                 Layout layout) {
    StorageOptions options = options_for(directory, varve::Access::read_write);
    options.layout = layout;
    auto storage = Storage::open(directory, options);
    if (!storage) return failed(storage.error());
    for (std::uint64_t n = from; n <= until; ++n) {
        const std::string stream = "foo-" + std::to_string(n % 3);
        auto made = storage->ensure_index("stream-" + stream, R"({"stream":")" + stream + "\"}");
        if (!made) return failed(made.error());
        auto version = storage->indexes();
        if (!version) return failed(version.error());
        std::uint64_t length = 0;
        for (const IndexInfo& one : *version)
            if (one.name == "stream-" + stream) length = one.length;
        auto number = storage->write(event(stream, n, length), stream);
        if (!number) return failed(number.error());
        if (*number != n) return 1;
    }
    auto closed = storage->close();
    return closed ? 0 : failed(closed.error());
}

int dump(const std::string& directory) {
    auto storage = Storage::open(directory, options_for(directory, varve::Access::read_only));
    if (!storage) return failed(storage.error());
    auto cursor = storage->range();
    if (!cursor) return failed(cursor.error());
    for (StoredDocument one; cursor->next(one);) std::cout << one.data << '\n';
    if (auto status = cursor->status(); !status) return failed(status.error());
    auto indexes = storage->indexes();
    if (!indexes) return failed(indexes.error());
    for (const IndexInfo& one : *indexes) std::cout << one.name << ' ' << one.length << '\n';
    return storage->problems().empty() ? 0 : failed(storage->problems()[0]);
}

int hold(const std::string& directory) {
    auto storage = Storage::open(directory, options_for(directory, varve::Access::read_write));
    if (!storage) return failed(storage.error());
    std::cout << "held" << std::endl;
    std::string line;
    while (std::getline(std::cin, line)) continue;
    auto closed = storage->close();
    return closed ? 0 : failed(closed.error());
}

}  // namespace

int main(int count, char** values) {
    const std::string what = count > 2 ? values[1] : "";
    if (what == "write" && count >= 5)
        return write_events(values[2], std::stoull(values[3]), std::stoull(values[4]),
                            count > 5 ? Layout::mapped : Layout::classic);
    if (what == "dump") return dump(values[2]);
    if (what == "hold") return hold(values[2]);
    std::cerr << "see the head of the source\n";
    return 64;
}
