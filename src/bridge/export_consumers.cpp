// Consumers to files of the original: how many entries of its index each has consumed, and its
// state. One thread.
#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "bridge/consumer_names.hpp"
#include "bridge/exporting.hpp"
#include "nes/json.hpp"
#include "varve/nes_files.hpp"

namespace varve::bridge {

using nes::Loss;

namespace {

constexpr std::string_view kAll = "_all";

/// Errors that are no fault of this one consumer.
bool ends_the_export(const Error& error) noexcept {
    return error.code == ErrorCode::io || error.code == ErrorCode::no_space ||
           error.code == ErrorCode::closed || error.code == ErrorCode::out_of_memory;
}

}  // namespace

void Exporting::stays_behind(const std::string& consumer, Position position,
                             const std::string& why) {
    lose(Loss::unusable_consumer, "consumer " + consumer + " stays behind, at position " +
                                      std::to_string(position.value) + ": " + why);
}

Result<void> Exporting::collect_consumers() {
    auto consumers = Consumer::list(store_);
    if (!consumers) return std::move(consumers).error();
    for (const ConsumerInfo& one : *consumers) {
        const Position at = one.checkpoint.position;
        if (one.health != ConsumerInfo::Health::good) {
            stays_behind(one.name, at, one.error);
            continue;
        }
        if (one.lanes > 0) {
            stays_behind(one.name, at,
                         "it is a group, whose lanes have come to places of their own");
            continue;
        }
        auto content = Consumer::content(store_, one.name);
        if (!content) {
            if (ends_the_export(content.error())) return std::move(content).error();
            stays_behind(one.name, at, content.error().message);
            continue;
        }
        collect(one, std::move(*content));
    }
    return {};
}

/// What it follows may not be found yet: indexes are made later.
void Exporting::collect(const ConsumerInfo& consumer, ConsumerContent content) {
    if (content.state.empty()) content.state = "{}";
    if (!nes::is_json_object(content.state)) {
        stays_behind(consumer.name, content.checkpoint.position, "its state is no JSON object");
        return;
    }
    const auto changed = [&](const std::string& what) {
        lose(Loss::changed_consumer, "consumer " + consumer.name + ": " + what);
    };
    if (consumer.waiting > 0)
        changed(std::to_string(consumer.waiting) +
                " parked events stay behind: it has passed them");
    if (consumer.paused) changed("it is paused, which there is none of there");
    std::string index(content.selector.is_all() ? kAll : "");
    consumers_.push_back({consumer.name, std::move(content), std::move(index), 0, false});
}

/// An index of this name has exactly these events, as far as a storage can say that.
void Exporting::holds(const Selector& events, const std::string& name) {
    for (Consuming& one : consumers_)
        if (one.index.empty() && one.content.selector == events) one.index = index_of(name);
}

/// Counts what is written for those that have not come to this event.
void Exporting::leave_consumers(Position before) {
    for (Consuming& one : consumers_) {
        if (one.left || one.content.checkpoint.position >= before) continue;
        one.documents = storage_->length();
        one.left = true;
    }
}

Result<void> Exporting::write_consumers(nes::Storage& storage,
                                        const std::vector<nes::IndexInfo>& indexes) {
    for (const Consuming& one : consumers_) {
        if (one.index.empty()) {
            stays_behind(
                one.name, one.content.checkpoint.position,
                "no stream there has just what it follows, " + one.content.selector.text());
            continue;
        }
        if (auto written = write_consumer(one, storage, indexes); !written) {
            if (ends_the_export(written.error())) return written;
            stays_behind(one.name, one.content.checkpoint.position, written.error().message);
        }
    }
    return {};
}

Result<void> Exporting::write_consumer(const Consuming& consumer, nes::Storage& storage,
                                       const std::vector<nes::IndexInfo>& indexes) {
    nes::ConsumerInfo written{consumer.index, consumer_there(consumer.name, consumer.index), 0,
                              consumer.content.state};
    if (!consumer_names_.emplace(written.index, written.name).second)
        return base::failure(ErrorCode::invalid_argument,
                             "another one of this stream is named " + written.name + " there");
    std::uint64_t position = consumer.documents;
    const auto followed = std::find_if(indexes.begin(), indexes.end(), [&](const auto& index) {
        return index.name == consumer.index;
    });
    const bool closed = followed != indexes.end() && followed->closed;
    if (consumer.index != kAll && followed != indexes.end()) {
        nes::IndexOptions reading;
        reading.env = options_.env;
        auto index = nes::Index::open(followed->path, reading);
        if (!index) return std::move(index).error();
        position = index->find(consumer.documents);
    }
    constexpr std::uint64_t kMost = 0x7FFFFFFF;
    if (position > kMost)
        return base::failure(ErrorCode::too_large, "its position there has more than 31 bits");
    written.position = static_cast<std::uint32_t>(position);
    VARVE_TRY(storage.store_consumer(written));
    ++report_.consumers;
    const auto changed = [&](const std::string& what) {
        lose(Loss::changed_consumer, "consumer " + consumer.name + ": " + what);
    };
    if (closed) changed("the original opens no consumer of a closed stream, as " + written.index);
    if (consumer.name.find('.') != std::string::npos &&
        !consumer.name.ends_with("." + written.name))
        changed("it is named " + written.name + " there");
    return {};
}

}  // namespace varve::bridge
