// What the calls that look after a store take and answer: verify, doctor, backup, restore, salvage,
// repair.
//
// Thread rule: plain values. The calls themselves are members of `Store` (`varve/store.hpp`).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

/// What is done and what there is in all: bytes, or events where a call says so. Return false to
/// cancel.
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// One damaged place, as `verify` names it.
struct Damage {
    std::string file;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  ///< bytes that could not be read as records
    Position first{};          ///< first position concerned; 0 if unknown
    Position last{};           ///< last position concerned; 0 if unknown
    std::string what;
};

/// How to verify.
struct VerifyOptions {
    /// Goes on behind what an interrupted verification with `resume` has checked, and keeps how far
    /// this one comes, in file `verify.state` of the store's directory: nothing else is written.
    /// Without it nothing is. The file goes when a verification with `resume` ends.
    bool resume = false;
};

struct VerifyReport {
    bool complete = true;  ///< false: cancelled; the rest of the store was not looked at
    /// Bytes of `bytes` that earlier runs have read; damage found by them is in `damaged`.
    std::uint64_t resumed_bytes = 0;
    /// Of a cancelled run: bytes behind which the next one can go on; 0: it begins again.
    std::uint64_t kept_bytes = 0;
    std::string note;  ///< why it began again, or why nothing could be kept; else empty
    std::uint64_t events = 0;
    std::uint64_t commits = 0;
    std::uint64_t segments = 0;
    std::uint64_t bytes = 0;
    std::uint64_t erased = 0;  ///< events whose content is gone because it was asked for: no damage
    std::vector<Damage> damaged;
    /// Sealed index files that fail a check. They are made again from the log: nothing is lost.
    std::vector<Damage> indexes_damaged;
    /// Sealed index files that the manifest names and that are not there, with their whole path.
    std::vector<std::string> indexes_missing;
};

/// In what state the files of a store are, in words that do not change: `clean`, `running`,
/// `crashed`, `power cut`, `cut tail`, `damaged middle`, `damaged index`, `damaged store file`,
/// `half-made`, `failed sync`, `newer format`, `copied while live`, `foreign directory`, `empty`.
struct Diagnosis {
    std::string state;
    std::string cause;                 ///< what was found that says so, one sentence
    std::vector<std::string> safe;     ///< what can be done without losing anything
    std::vector<std::string> unsafe;   ///< what loses something, or must not be done
    std::vector<std::string> foreign;  ///< files that are none of ours, relative; left alone
    std::vector<std::string> indexes;  ///< damaged index files, relative; derivable
    std::vector<std::string> missing;  ///< index files that ought to be there, relative; derivable
    bool damaged = false;              ///< something that was stored cannot be read
    bool open = false;                 ///< a writer has it open: nothing but that was looked at
};

/// How to make a backup.
struct BackupOptions {
    /// Finished segments become second names of the store's own files where the file system can do
    /// that: no space and no time, but damage to one is damage to both, and what is erased in the
    /// store is erased in the backup.
    bool link = false;
    bool verify = false;  ///< read the whole backup again when it is written
};

/// What a backup did. Everything up to `end` is in it.
struct BackupReport {
    bool complete = true;            ///< false: cancelled; the next run goes on
    Position first{};                ///< first position that this run added; 0: nothing was new
    Position end{};                  ///< last position in the backup
    std::uint64_t left_out = 0;      ///< published events that are not durable yet and not in it
    std::uint64_t segments = 0;      ///< in the backup
    std::uint64_t linked = 0;        ///< of them by this run as second names
    std::uint64_t copied_bytes = 0;  ///< by this run
};

/// What a restore did.
struct RestoreReport {
    bool complete = true;  ///< false: cancelled; nothing is left of it
    Position end{};        ///< last position in the new store
    std::uint32_t epoch = 0;
    std::uint64_t segments = 0;
    std::uint64_t bytes = 0;
};

/// One place that a salvage had to leave out.
struct Skipped {
    Position first{};  ///< positions in the damaged store
    Position last{};
    std::string what;
};

/// Where a run of events went: `first`… of the old store are `to`… of the new one.
struct Moved {
    Position first{};
    Position last{};
    Position to{};  ///< new position of `first`; the others follow one by one
};

struct SalvageReport {
    bool complete = true;      ///< false: cancelled; nothing is left of it
    std::uint64_t copied = 0;  ///< events
    std::vector<Moved> moved;
    std::vector<Skipped> skipped;
};

struct RepairOptions {
    bool confirmed = false;  ///< false: only say what would be done; not one byte is changed
};

/// What a repair does, or would do. What can be read of the dropped events is copied by `salvage`,
/// which therefore comes first.
struct RepairReport {
    bool complete = true;              ///< false: cancelled; nothing was dropped
    bool needed = false;               ///< there is something to repair
    bool done = false;                 ///< it was done
    Position first{};                  ///< first position that is dropped; 0: none is
    Position last{};                   ///< last position that is dropped, as far as it can be told
    std::uint64_t events = 0;          ///< from `first` to `last`
    std::uint64_t readable = 0;        ///< of them whole: `salvage` copies these
    std::uint64_t bytes = 0;           ///< of the log that are dropped
    std::string cause;                 ///< why the first of them is not believed
    std::vector<std::string> copies;   ///< where those bytes are kept, relative
    bool manifest = false;             ///< the manifest is made anew
    bool control = false;              ///< the control page is made anew
    std::vector<std::string> indexes;  ///< index files that are made anew, relative
};

}  // namespace v0
}  // namespace varve
