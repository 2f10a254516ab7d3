// importStorage of the addon: carries a storage of node-event-storage over into a store.
#include "import_function.hpp"

#include "convert.hpp"
#include "varve/nes_import.hpp"

namespace varve::node {

namespace {

/// The events alone: what streams there are besides is kept by JavaScript, without positions.
nes::ImportOptions import_options(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    nes::ImportOptions options;
    options.directory = text_of(env, info[1]);
    options.name = text_of(env, info[2]);
    options.index_directory = text_of(env, info[3]);
    options.type_path = text_of(env, info[4]);
    options.tag_path = text_of(env, info[5]);
    options.define = false;
    return options;
}

}  // namespace

Napi::Value import_storage(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    OpenOptions open;
    open.create = Create::if_missing;
    open.durability = Durability::os;
    auto store = Store::open(text_of(env, info[0]), open);
    if (!store) {
        raise(env, store.error());
        return {};
    }
    Napi::Array told = Napi::Array::New(env);
    nes::ImportOptions options = import_options(info);
    options.tell = [&](const nes::Found& found) {
        if (nes::weight_of(found.finding) != nes::Weight::note && told.Length() < 10)
            told.Set(told.Length(), found.what);
    };
    auto report = nes::import_storage(*store, options);
    if (!report) {
        raise(env, report.error());
        return {};
    }
    Napi::Object answer = Napi::Object::New(env);
    answer.Set("documents", static_cast<double>(report->documents));
    answer.Set("leftOut", static_cast<double>(report->left_out));
    answer.Set("damaged", report->weight() == nes::Weight::damage);
    answer.Set("told", told);
    if (auto closed = store->close(); !closed) {
        raise(env, closed.error());
        return {};
    }
    return answer;
}

}  // namespace varve::node
