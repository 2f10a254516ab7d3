// Consumers: how far each has come, and its state. One thread.
#include <map>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "bridge/consumer_names.hpp"
#include "bridge/importing.hpp"
#include "nes/json.hpp"
#include "varve/consumer.hpp"

namespace varve::bridge {

using nes::Finding;

namespace {

constexpr std::string_view kAll = "_all";

/// The error if the events or the store are to blame; else it is told of this consumer alone.
bool is_ours(const Error& error) noexcept {
    return error.code == ErrorCode::io || error.code == ErrorCode::no_space ||
           error.code == ErrorCode::poisoned || error.code == ErrorCode::closed ||
           error.code == ErrorCode::out_of_memory;
}

}  // namespace

/// Names need not be unique in the original: it tells consumers apart by their stream as well.
Result<void> Importing::import_consumers() {
    auto consumers = source_->consumers();
    if (!consumers) return std::move(consumers).error();
    std::map<std::string, std::uint64_t> names;
    for (const nes::ConsumerInfo& one : *consumers) ++names[allowed_consumer(one.name)];
    for (const nes::ConsumerInfo& one : *consumers) {
        const auto selector = followed_by(one);
        if (!selector) {
            findings_.add(Finding::unusable_consumer,
                          "consumer " + one.name + " of " + one.index +
                              " stays behind: there is no such stream here");
            continue;
        }
        std::string name = allowed_consumer(one.name);
        if (names[name] > 1) name = allowed_consumer(one.index + "." + one.name);
        VARVE_TRY(import_consumer(one, name, *selector));
    }
    return {};
}

std::optional<Selector> Importing::followed_by(const nes::ConsumerInfo& consumer) {
    if (consumer.index == kAll) return Selector::all();
    for (std::size_t n = 0; n < indexes_.size(); ++n) {
        if (indexes_[n].name != consumer.index) continue;
        if (meanings_[n].means == Means::nothing) return std::nullopt;
        return meanings_[n].means == Means::derived ? Selector::derived(meanings_[n].name)
                                                    : meanings_[n].selector;
    }
    return std::nullopt;
}

/// Of the last event that it has consumed and that is here.
Result<Position> Importing::position_behind(const nes::ConsumerInfo& consumer) {
    auto snapshot = target_.snapshot();
    if (!snapshot) return std::move(snapshot).error();
    for (std::uint32_t place = consumer.position; place > 0; --place) {
        const bool all = consumer.index == kAll;
        auto cursor = source_->range(place, place, all ? std::string_view() : consumer.index);
        nes::StoredDocument document;
        if (!cursor || !cursor->next(document)) continue;  // told when documents were taken
        const auto event = snapshot->find(id_of(document, mark_), Verify::trusted);
        if (event) return event->position;
        if (event.error().code != ErrorCode::not_found) return Error(event.error());
    }
    return Position{};
}

/// One that is here already is moved forwards only: it may have gone on by itself.
Result<void> Importing::import_consumer(const nes::ConsumerInfo& consumer, const std::string& name,
                                        const Selector& selector) {
    const auto told = [&](const Error& error) -> Result<void> {
        if (is_ours(error)) return Error(error);
        findings_.add(Finding::unusable_consumer, "consumer " + consumer.name + " of " +
                                                      consumer.index +
                                                      " stays behind: " + error.message);
        return {};
    };
    std::vector<nes::JsonField> none;
    if (!nes::json_fields(consumer.state, none))
        return told(base::failure(ErrorCode::corrupt, "its state is not a whole JSON object"));
    auto position = position_behind(consumer);
    if (!position) return std::move(position).error();
    ConsumerOptions options;
    options.after = *position;
    const auto known = Consumer::find(target_, name);
    const bool is_new = !known && known.error().code == ErrorCode::not_found;
    auto opened = Consumer::open(target_, name, selector, options);
    if (!opened) return told(opened.error());
    if (is_new || opened->checkpoint().position < *position) {
        if (auto moved = opened->seek(*position, consumer.state); !moved)
            return told(moved.error());
    }
    if (auto closed = opened->close(); !closed) return told(closed.error());
    ++report_.consumers;
    return {};
}

}  // namespace varve::bridge
