// Loaded before node: a disk that takes long for every sync, of data and of mappings.
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>

namespace {

constexpr useconds_t kDelayUs = 300'000;

template <class Function>
Function next(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int fdatasync(int file) {
    usleep(kDelayUs);
    return next<int (*)(int)>("fdatasync")(file);
}

int fsync(int file) {
    usleep(kDelayUs);
    return next<int (*)(int)>("fsync")(file);
}

int msync(void* address, std::size_t length, int flags) {
    usleep(kDelayUs);
    return next<int (*)(void*, std::size_t, int)>("msync")(address, length, flags);
}

}  // extern "C"
