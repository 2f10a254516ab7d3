// Lines of a file, plain, gzip or zstd, or of standard input.
//
// One thread. Views are valid until the next block is read; kPadding readable bytes follow each
// line.
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace varve::cli {

/// There is no such file to read, or it is no file: nothing was begun.
struct InputRefused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Bytes of one file, decompressed. Throws std::runtime_error with half a sentence ("it is …") when
/// the file is broken.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    /// Fills up to `size` bytes; 0 at the end.
    virtual std::size_t read(char* into, std::size_t size) = 0;
};

/// Opens `path` ("-": standard input) by its first bytes, not by its name. `size` gets its length
/// on disk, `done` a counter.
std::unique_ptr<ByteSource> open_source(const std::string& path, std::uint64_t& size,
                                        const std::uint64_t*& done);

/// Cuts blocks of whole lines out of a source.
class LineSource {
public:
    /// `eager`: lines are handed out as soon as they are there, not when a block is full.
    explicit LineSource(std::unique_ptr<ByteSource> source, std::size_t padding,
                        bool eager = false);

    /// The next whole lines, line ends included, in memory of the caller's. False at the end. What
    /// was read before a broken place is handed out first; then its error is thrown.
    bool next_block(std::vector<char>& block, std::size_t& length);

private:
    std::unique_ptr<ByteSource> source_;
    std::size_t padding_;
    bool eager_;
    std::vector<char> rest_;
    bool ended_ = false;
    std::exception_ptr broken_;
};

}  // namespace varve::cli
