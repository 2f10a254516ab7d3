// Names of consumers on both sides. Any thread; no state.
#pragma once

#include <string>

namespace varve::bridge {

/// A name that a consumer of a store may have, made of one that it may not have: it begins with a
/// letter or digit. Empty if nothing is left.
[[nodiscard]] std::string allowed_consumer(std::string name);
/// The name in a storage of a consumer of this index: without what an import puts before names that
/// are there twice, and without dots, which the name of its file cannot have.
[[nodiscard]] std::string consumer_there(const std::string& name, const std::string& index);

}  // namespace varve::bridge
