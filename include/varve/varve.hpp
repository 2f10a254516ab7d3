// The whole public API in one include.
#pragma once

#include "varve/consumer.hpp"
#include "varve/event.hpp"
#include "varve/group.hpp"
#include "varve/maintenance.hpp"
#include "varve/matcher.hpp"
#include "varve/options.hpp"
#include "varve/result.hpp"
#include "varve/store.hpp"
#include "varve/types.hpp"

#define VARVE_VERSION_MAJOR 0
#define VARVE_VERSION_MINOR 1
#define VARVE_VERSION_PATCH 0
#define VARVE_VERSION "0.1.0"
