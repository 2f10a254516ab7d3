// Events on standard output, as lines for people or as NDJSON.
//
// Main thread only.
#pragma once

#include <string>
#include <varve/event.hpp>

namespace varve::cli {

/// Prints one event. JSON is collected in `buffer` and goes out with it, from time to time and by
/// `flush_events`.
void print_event(const EventView& event, bool json, std::string& buffer);
/// Writes everything printed so far, or throws OutputFailed.
void flush_events(std::string& buffer);

}  // namespace varve::cli
