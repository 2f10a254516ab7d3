#include "line_source.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace varve::cli {

namespace {

constexpr std::size_t kBlock = 256
                               << 10;  // fits the second-level cache beside the parser's own memory

/// The file as it is, counted.
class FileSource final : public ByteSource {
public:
    FileSource(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}
    FileSource(const FileSource&) = delete;
    FileSource& operator=(const FileSource&) = delete;
    ~FileSource() override {
        if (file_ != stdin) std::fclose(file_);
    }
    std::size_t read(char* into, std::size_t size) override {
        std::size_t got = 0;
        while (got < size && !pushed_.empty()) {
            into[got++] = pushed_.front();
            pushed_.erase(0, 1);
        }
        if (got == 0) got = std::fread(into, 1, size, file_);
        if (std::ferror(file_) != 0)
            throw std::runtime_error("cannot read " + path_ + ": " + std::strerror(errno));
        done += got;
        return got;
    }
    /// The first bytes, which stay to be read.
    std::string peek(std::size_t count) {
        std::string head(count, '\0');
        head.resize(std::fread(head.data(), 1, count, file_));
        pushed_ = head;
        return head;
    }
    std::uint64_t done = 0;

private:
    std::FILE* file_;
    std::string path_;
    std::string pushed_;
};

class ZstdSource final : public ByteSource {
public:
    ZstdSource(std::unique_ptr<FileSource> file, std::string path)
        : file_(std::move(file)),
          path_(std::move(path)),
          stream_(ZSTD_createDStream(), &ZSTD_freeDStream),
          buffer_(ZSTD_DStreamInSize()) {}
    std::size_t read(char* into, std::size_t size) override {
        ZSTD_outBuffer out{into, size, 0};
        while (out.pos == 0) {
            if (in_.pos == in_.size) {
                in_ = {buffer_.data(), file_->read(buffer_.data(), buffer_.size()), 0};
                if (in_.size == 0 && whole_) return 0;
                if (in_.size == 0) throw std::runtime_error(path_ + " is cut short");
            }
            const std::size_t left = ZSTD_decompressStream(stream_.get(), &out, &in_);
            if (ZSTD_isError(left) != 0)
                throw std::runtime_error(path_ + " is damaged: " + ZSTD_getErrorName(left));
            whole_ = left == 0;
        }
        return out.pos;
    }

private:
    std::unique_ptr<FileSource> file_;
    std::string path_;
    std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream_;
    std::vector<char> buffer_;
    ZSTD_inBuffer in_{nullptr, 0, 0};
    bool whole_ = true;
};

class GzipSource final : public ByteSource {
public:
    GzipSource(std::unique_ptr<FileSource> file, std::string path)
        : file_(std::move(file)), path_(std::move(path)), buffer_(kBlock) {
        if (inflateInit2(&stream_, 15 + 16) != Z_OK)
            throw std::runtime_error("no memory to decompress " + path_);
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
                if (stream_.avail_in == 0) throw std::runtime_error(path_ + " is cut short");
            }
            if (whole_)
                inflateReset(&stream_);  // files may be several streams one behind the other
            const int state = inflate(&stream_, Z_NO_FLUSH);
            if (state != Z_OK && state != Z_STREAM_END)
                throw std::runtime_error(path_ + " is damaged: not valid gzip");
            whole_ = state == Z_STREAM_END;
        }
        return size - stream_.avail_out;
    }

private:
    std::unique_ptr<FileSource> file_;
    std::string path_;
    std::vector<char> buffer_;
    z_stream stream_{};
    bool whole_ = true;
};

}  // namespace

std::unique_ptr<ByteSource> open_source(const std::string& path, std::uint64_t& size,
                                        const std::uint64_t*& done) {
    std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
    if (file == nullptr)
        throw std::runtime_error("cannot open " + path + ": " + std::strerror(errno));
    size = 0;
    if (file != stdin && std::fseek(file, 0, SEEK_END) == 0) {
        const long end = std::ftell(file);
        size = end > 0 ? static_cast<std::uint64_t>(end) : 0;
        std::rewind(file);
    }
    auto plain = std::make_unique<FileSource>(file, path);
    done = &plain->done;
    const std::string head = plain->peek(4);
    if (head == "\x28\xB5\x2F\xFD") return std::make_unique<ZstdSource>(std::move(plain), path);
    if (head.starts_with("\x1F\x8B")) return std::make_unique<GzipSource>(std::move(plain), path);
    return plain;
}

LineSource::LineSource(std::unique_ptr<ByteSource> source, std::size_t padding)
    : source_(std::move(source)), padding_(padding) {}

bool LineSource::next_block(std::vector<char>& block, std::size_t& length) {
    length = rest_.size();
    if (ended_ && length == 0) return false;
    block.resize(std::max(block.size(), std::max(kBlock, 2 * length) + padding_));
    std::copy(rest_.begin(), rest_.end(), block.begin());
    rest_.clear();
    while (!ended_) {
        if (length + padding_ >= block.size()) {
            const char* begin = block.data();
            if (std::memchr(begin, '\n', length) != nullptr) break;
            block.resize(block.size() * 2);  // one line longer than the block
        }
        const std::size_t got =
            source_->read(block.data() + length, block.size() - padding_ - length);
        ended_ = got == 0;
        length += got;
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
