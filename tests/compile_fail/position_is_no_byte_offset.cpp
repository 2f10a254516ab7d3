// A position and a byte offset are not compared.
// expects: no match for|invalid operands
#include <varve/types.hpp>

bool same(varve::Position position, varve::ByteOffset offset) {
#ifdef CANARY
    return position.value == offset.value;
#else
    return position == offset;
#endif
}
