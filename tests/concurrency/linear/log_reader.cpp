#include "concurrency/linear/log_reader.hpp"

#include "concurrency/linear/naming.hpp"
#include "log/define.hpp"
#include "store/inside.hpp"

namespace varve::test::linear {

namespace {

/// The meaning with this selector and matcher; one that is none if there is no such.
Name meaning_of(const log::Define& define) {
    for (Name meaning = 0; meaning < meanings().size(); ++meaning) {
        Named named;
        const NewDefinition known = definition_of(0, meaning, named);
        const std::string_view matcher = known.matcher ? known.matcher->text() : "";
        const bool same =
            static_cast<unsigned>(define.defines) == static_cast<unsigned>(known.kind) + 1 &&
            define.selector == known.events.encoded() && define.matcher == matcher &&
            define.field == known.field && define.prefix == known.prefix;
        if (same) return meaning;
    }
    return kNone;
}

Kind kind_of(log::DefineAction action) {
    switch (action) {
        case log::DefineAction::close: return Kind::close;
        case log::DefineAction::remove: return Kind::remove;
        default: return Kind::define;
    }
}

/// Records of definitions, in their order.
class Definitions {
public:
    void add(const log::RecordView& record, Logged& to) {
        const auto define = log::decode_define(record);
        if (!define) return;
        names_.push_back(number_of(kDefinitionPrefix, define->name));  // by their numbers
        to.kind = kind_of(define->action);
        if (to.kind != Kind::define) {
            const bool known = define->number != 0 && define->number < names_.size();
            names_.back() = known ? names_[define->number - 1] : kNone;
        }
        to.defined = names_.back();
        to.meaning = to.kind == Kind::define ? meaning_of(*define) : Name{0};
        to.group = group_of(to.kind, to.defined, to.meaning);
    }

private:
    std::vector<Name> names_;
};

}  // namespace

Result<std::vector<Logged>> read_log(const Store& store) {
    auto snapshot = store.snapshot();
    if (!snapshot) return std::move(snapshot).error();
    std::vector<Logged> log(snapshot->published().value);
    auto seen = snapshot->read(Source::all()).for_each([&](const EventView& event) {
        log[event.position.value - 1] = read_back(event);
    });
    if (!seen) return std::move(seen).error();

    auto view = store::Inside::engine(store)->view();
    if (!view) return std::move(view).error();
    Definitions definitions;
    for (std::size_t n = 0; n < view->segments->items.size(); ++n) {
        const store::Segment& segment = *view->segments->items[n];
        log::SegmentScanner scanner(segment.bytes(), segment.keys, store::first_point(segment),
                                    view->segments->last_of(n, log.size()));
        using Step = log::SegmentScanner::Step;
        for (Step step = scanner.next(); step != Step::end; step = scanner.next()) {
            const log::RecordView& record = scanner.record();
            if (step == Step::record && record.stream() == log::kDefineStream)
                definitions.add(record, log[record.header.position - 1]);
        }
    }
    return log;
}

}  // namespace varve::test::linear
