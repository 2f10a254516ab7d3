#include "line_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace varve::cli {

namespace {

constexpr std::size_t kBlock = 256
                               << 10;  // fits the second-level cache beside the parser's own memory

/// The file as it is, counted. A read returns what is there, so that a pipe is followed live.
class FileSource final : public ByteSource {
public:
    explicit FileSource(int descriptor) : descriptor_(descriptor) {}
    FileSource(const FileSource&) = delete;
    FileSource& operator=(const FileSource&) = delete;
    ~FileSource() override {
        if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
    }
    std::size_t read(char* into, std::size_t size) override {
        std::size_t got = std::min(size, pushed_.size());
        std::copy_n(pushed_.begin(), got, into);
        pushed_.erase(0, got);
        if (got == 0) got = read_some(into, size);
        done += got;
        return got;
    }
    /// The first bytes, which stay to be read.
    std::string peek(std::size_t count) {
        std::string head(count, '\0');
        std::size_t length = 0;
        while (length < count) {
            const std::size_t got = read_some(head.data() + length, count - length);
            if (got == 0) break;
            length += got;
        }
        head.resize(length);
        pushed_ = head;
        return head;
    }
    std::uint64_t done = 0;

private:
    std::size_t read_some(char* into, std::size_t size) const {
        ssize_t got = 0;
        do got = ::read(descriptor_, into, size);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            throw std::runtime_error(std::string("it cannot be read: ") + std::strerror(errno));
        return static_cast<std::size_t>(got);
    }

    int descriptor_;
    std::string pushed_;
};

class ZstdSource final : public ByteSource {
public:
    explicit ZstdSource(std::unique_ptr<FileSource> file)
        : file_(std::move(file)),
          stream_(ZSTD_createDStream(), &ZSTD_freeDStream),
          buffer_(ZSTD_DStreamInSize()) {}
    std::size_t read(char* into, std::size_t size) override {
        ZSTD_outBuffer out{into, size, 0};
        while (out.pos == 0) {
            if (in_.pos == in_.size) {
                in_ = {buffer_.data(), file_->read(buffer_.data(), buffer_.size()), 0};
                if (in_.size == 0 && whole_) return 0;
                if (in_.size == 0) throw std::runtime_error("it is cut short");
            }
            const std::size_t left = ZSTD_decompressStream(stream_.get(), &out, &in_);
            if (ZSTD_isError(left) != 0)
                throw std::runtime_error(std::string("it is damaged: ") + ZSTD_getErrorName(left));
            whole_ = left == 0;
        }
        return out.pos;
    }

private:
    std::unique_ptr<FileSource> file_;
    std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream_;
    std::vector<char> buffer_;
    ZSTD_inBuffer in_{nullptr, 0, 0};
    bool whole_ = true;
};

class GzipSource final : public ByteSource {
public:
    explicit GzipSource(std::unique_ptr<FileSource> file)
        : file_(std::move(file)), buffer_(kBlock) {
        if (inflateInit2(&stream_, 15 + 16) != Z_OK)
            throw std::runtime_error("there is no memory to decompress it");
    }
    GzipSource(const GzipSource&) = delete;
    GzipSource& operator=(const GzipSource&) = delete;
    ~GzipSource() override { inflateEnd(&stream_); }
    std::size_t read(char* into, std::size_t size) override {
        stream_.next_out = reinterpret_cast<Bytef*>(into);
        stream_.avail_out = static_cast<uInt>(size);
        while (stream_.avail_out == size) {
            if (stream_.avail_in == 0) {
                stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
                stream_.avail_in = static_cast<uInt>(file_->read(buffer_.data(), buffer_.size()));
                if (stream_.avail_in == 0 && whole_) return 0;
                if (stream_.avail_in == 0) throw std::runtime_error("it is cut short");
            }
            if (whole_)
                inflateReset(&stream_);  // files may be several streams one behind the other
            const int state = inflate(&stream_, Z_NO_FLUSH);
            if (state != Z_OK && state != Z_STREAM_END)
                throw std::runtime_error("it is damaged: not valid gzip");
            whole_ = state == Z_STREAM_END;
        }
        return size - stream_.avail_out;
    }

private:
    std::unique_ptr<FileSource> file_;
    std::vector<char> buffer_;
    z_stream stream_{};
    bool whole_ = true;
};

}  // namespace

std::unique_ptr<ByteSource> open_source(const std::string& path, std::uint64_t& size,
                                        const std::uint64_t*& done) {
    const int file = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw InputRefused("cannot open " + path + ": " + std::strerror(errno));
    auto plain = std::make_unique<FileSource>(file);
    struct stat status {};
    const bool known = ::fstat(file, &status) == 0;
    if (known && S_ISDIR(status.st_mode))
        throw InputRefused(path + " is a directory, not a file of events");
    size = known && S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
    done = &plain->done;
    const std::string head = plain->peek(4);
    if (head == "\x28\xB5\x2F\xFD") return std::make_unique<ZstdSource>(std::move(plain));
    if (head.starts_with("\x1F\x8B")) return std::make_unique<GzipSource>(std::move(plain));
    return plain;
}

LineSource::LineSource(std::unique_ptr<ByteSource> source, std::size_t padding, bool eager)
    : source_(std::move(source)), padding_(padding), eager_(eager) {}

bool LineSource::next_block(std::vector<char>& block, std::size_t& length) {
    length = rest_.size();
    if (ended_ && length == 0) {
        if (broken_) std::rethrow_exception(std::exchange(broken_, nullptr));
        return false;
    }
    block.resize(std::max(block.size(), std::max(kBlock, 2 * length) + padding_));
    std::copy(rest_.begin(), rest_.end(), block.begin());
    rest_.clear();
    while (!ended_) {
        if (length + padding_ >= block.size()) {
            const char* begin = block.data();
            if (std::memchr(begin, '\n', length) != nullptr) break;
            block.resize(block.size() * 2);  // one line longer than the block
        }
        try {
            const std::size_t got =
                source_->read(block.data() + length, block.size() - padding_ - length);
            ended_ = got == 0;
            length += got;
            const char* const fresh = block.data() + length - got;
            if (eager_ && std::memchr(fresh, '\n', got) != nullptr) break;
        } catch (const std::runtime_error&) {
            broken_ = std::current_exception();
            ended_ = true;
            // The line that broke off is not handed out.
            while (length > 0 && block[length - 1] != '\n') --length;
            if (length == 0) return next_block(block, length);
        }
    }
    if (!ended_) {
        std::size_t end = length;
        while (end > 0 && block[end - 1] != '\n') --end;
        if (end == 0) return next_block(block, length);
        rest_.assign(block.begin() + static_cast<std::ptrdiff_t>(end),
                     block.begin() + static_cast<std::ptrdiff_t>(length));
        length = end;
    }
    return length > 0;
}

}  // namespace varve::cli
