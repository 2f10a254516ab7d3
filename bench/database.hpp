// A store of events as a scenario sees it: varve and its peers behind one interface.
//
// `append` from one thread at a time unless `takes_many_writers`; the rest by one thread. Reads may
// go on seeing what was there when the first of them began, until the next append. A child of
// fork does not use what its parent has opened. Invariant: whatever goes wrong ends the program.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench.hpp"

namespace varve::bench {

class Database {
public:
    virtual ~Database() = default;
    /// One commit. Positions follow each other, from 1.
    virtual void append(std::span<const NewEvent> events) = 0;
    /// Position of the last event, which is read; 0 if there is none.
    virtual std::uint64_t read_last(std::uint64_t& sum) = 0;
    /// Reads everything in order; adds the first byte of each event to `sum`; returns how many.
    virtual std::uint64_t scan(std::uint64_t& sum) = 0;
    /// The same for one stream, and for one tag.
    virtual std::uint64_t read_stream(std::string_view name, std::uint64_t& sum) = 0;
    virtual std::uint64_t read_tag(std::string_view name, std::uint64_t& sum) = 0;
    /// Number of events of a stream.
    virtual std::uint64_t version(std::string_view stream) = 0;
    /// False if it keeps no index: then the three calls above do nothing.
    [[nodiscard]] virtual bool finds_names() const { return true; }
    [[nodiscard]] virtual bool takes_many_writers() const { return false; }
};

/// How to open one. `boot` counts restarts of the machine, for varve; the peers do not notice.
struct HowToOpen {
    Durability level = Durability::os;
    std::uint64_t boot = 0;
    bool reader = false;  ///< read-only, for varve
    Verify verify = Verify::always;
    std::uint64_t segment_size = 0;  ///< of a varve that is made, in bytes; 0: as usual
};

/// Opens or makes the database that `name` ("varve", "lmdb", "sqlite", "rocksdb") calls, in a
/// directory that is made if need be. Null if the peer is not in this build.
[[nodiscard]] std::unique_ptr<Database> open_database(const std::string& name,
                                                      const std::string& directory,
                                                      const HowToOpen& how = {});

/// Whether this build has that peer; if not, says so on standard error.
[[nodiscard]] bool peer_is_here(const std::string& name);

/// An event as the peers keep it: its names, then its data. The data begin after what
/// `data_of` skips.
void encode(const NewEvent& event, std::string& into);
[[nodiscard]] std::string_view data_of(std::string_view encoded);

/// Appends `total` events of the workload, 512 a commit, with progress on a terminal. `change` sees
/// each run first, with the number of its first event.
void load(Database& into, Workload& workload, std::uint64_t total,
          const std::function<void(std::vector<NewEvent>&, std::uint64_t)>& change = {});

/// One event, in a commit of its own: a session of varve that appends nothing seals nothing.
void append_one(Database& into);

// The peers; each in its own file.
[[nodiscard]] std::unique_ptr<Database> open_lmdb(const std::string& directory, Durability level);
[[nodiscard]] std::unique_ptr<Database> open_sqlite(const std::string& directory, Durability level);
[[nodiscard]] std::unique_ptr<Database> open_rocksdb(const std::string& directory,
                                                     Durability level);

}  // namespace varve::bench
