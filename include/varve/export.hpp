// Marks what a shared libvarve shows; everything else stays hidden.
#pragma once

#define VARVE_EXPORT __attribute__((visibility("default")))
