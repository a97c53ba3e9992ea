// A driver that runs the kernels on this CPU, in place of libcuda.so.1: only what src/driver.rs calls. scripts/cuda_emulated.sh.

#include "cuda.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

alignas(16) float4 memory[16384];

namespace {

// Fibers: x86-64, System V.
extern "C" void emulated_switch(void **from, void *to);
asm(R"(
.text
emulated_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
)");

const size_t STACK = 64 << 10;
const unsigned RING = 16;

struct Fiber {
    void *stack_pointer;
    bool ended;
    unsigned exchanges, pairs;
    emulated::Words handed[2];
    unsigned paired[RING];
};

std::vector<Fiber> fibers;
std::vector<char> stacks;
void *outside;
unsigned current, arrived, generation;
emulated::Words collected[2][32 * 32];
void (*body)();

// Goes on with the next fiber that has not ended.
void yield() {
    const unsigned from = current;
    for (unsigned i = 1; i <= fibers.size(); i++) {
        const unsigned next = (from + i) % fibers.size();
        if (!fibers[next].ended) {
            if (next == from) return;
            current = next;
            emulated_switch(&fibers[from].stack_pointer, fibers[next].stack_pointer);
            return;
        }
    }
}

void run_fiber() {
    body();
    fibers[current].ended = true;
    bool others = false;
    for (const Fiber &fiber : fibers) others |= !fiber.ended;
    if (others) yield();
    void *ignored;
    emulated_switch(&ignored, outside);
}

void run_block(unsigned threads) {
    fibers.assign(threads, Fiber{});
    stacks.resize(threads * STACK + 64);
    arrived = generation = 0;
    for (unsigned i = 0; i < threads; i++) {
        char *top = (char *)(((uintptr_t)stacks.data() + 63) / 64 * 64) + (i + 1) * STACK;
        void **at = (void **)top;
        *--at = nullptr;
        *--at = (void *)run_fiber;
        for (int j = 0; j < 6; j++) *--at = nullptr;
        fibers[i].stack_pointer = at;
    }
    // What nobody has written must not matter.
    memset(memory, 0x5a, sizeof memory);
    current = 0;
    emulated_switch(&outside, fibers[0].stack_pointer);
}

} // namespace

namespace emulated {

Index block_index, block_size, grid_size;

Index thread_index() { return {current}; }

const Words *exchange(const Words &own) {
    Fiber &self = fibers[current];
    const unsigned warp = current / 32, turn = ++self.exchanges;
    Words *all = collected[turn % 2] + warp * 32;
    all[current % 32] = own;
    for (;;) {
        bool all_there = true;
        for (unsigned i = warp * 32; i < warp * 32 + 32; i++) all_there &= fibers[i].exchanges >= turn;
        if (all_there) return all;
        yield();
    }
}

unsigned exchange_with(unsigned own, unsigned mask) {
    Fiber &self = fibers[current];
    const unsigned turn = ++self.pairs;
    self.paired[turn % RING] = own;
    const Fiber &other = fibers[current ^ mask];
    while (other.pairs < turn) yield();
    if (other.pairs >= turn + RING) abort();
    return other.paired[turn % RING];
}

void wait_for_block() {
    const unsigned now = generation;
    if (++arrived == fibers.size()) {
        arrived = 0;
        generation++;
        return;
    }
    while (generation == now) yield();
}

} // namespace emulated

struct Words38 {
    uint64_t word[38];
};

extern "C" void lmic_feed_32(Words38 launch);
extern "C" void lmic_feed_64(Words38 launch);

namespace {
std::mutex lock;
void **arguments;
void (*kernel)(Words38);

struct Named {
    const char *name;
    void (*kernel)(Words38);
};
Named named[] = {{"lmic_feed_32", lmic_feed_32}, {"lmic_feed_64", lmic_feed_64}};

void call() { kernel(*(Words38 *)arguments[0]); }

void *allocate(size_t bytes) {
    void *at = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    memset(at, 0x5a, bytes);
    return at;
}
} // namespace

#define DRIVER extern "C" int
DRIVER cuInit(unsigned) { return 0; }
DRIVER cuDeviceGetCount(int *count) { return *count = 1, 0; }
DRIVER cuDeviceGet(int *device, int) { return *device = 0, 0; }
DRIVER cuDeviceGetName(char *name, int len, int) { return snprintf(name, len, "emulated on the CPU"), 0; }
DRIVER cuDeviceGetAttribute(int *value, int which, int) {
    // Compute capability 8; the shared memory of an H100 or what was asked for.
    const char *shared = getenv("LMIC_EMULATED_SHARED");
    *value = which == 75 ? 8 : which == 97 ? (shared ? atoi(shared) : 232448) : which == 16 ? 3 : 1;
    return 0;
}
DRIVER cuDevicePrimaryCtxRetain(void **context, int) { return *context = &lock, 0; }
DRIVER cuCtxSetCurrent(void *) { return 0; }
DRIVER cuModuleLoadData(void **module, const char *) { return *module = named, 0; }
DRIVER cuModuleGetFunction(void **function, void *, const char *name) {
    for (Named &one : named) {
        if (strcmp(one.name, name) == 0) return *function = &one, 0;
    }
    return 500;
}
DRIVER cuFuncSetAttribute(void *, int, int) { return 0; }
DRIVER cuStreamCreate(void **stream, unsigned) { return *stream = &lock, 0; }
DRIVER cuStreamDestroy_v2(void *) { return 0; }
DRIVER cuStreamQuery(void *) { return 0; }
DRIVER cuStreamSynchronize(void *) { return 0; }
DRIVER cuMemAlloc_v2(void **at, size_t bytes) { return *at = allocate(bytes), 0; }
DRIVER cuMemFree_v2(void *at) { return free(at), 0; }
DRIVER cuMemHostAlloc(void **at, size_t bytes, unsigned) { return *at = allocate(bytes), 0; }
DRIVER cuMemFreeHost(void *at) { return free(at), 0; }
DRIVER cuMemcpyHtoD_v2(void *to, const void *from, size_t bytes) { return memcpy(to, from, bytes), 0; }
DRIVER cuMemsetD8Async(void *at, unsigned char byte, size_t bytes, void *) { return memset(at, byte, bytes), 0; }
DRIVER cuGetErrorString(int, const char **text) { return *text = "an error", 0; }
DRIVER cuGetErrorName(int, const char **text) { return *text = "an error", 0; }
DRIVER cuLaunchKernel(void *function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned shared, void *,
                      void **kernel_arguments, void **) {
    if (shared > sizeof memory || threads > 1024) return 1;
    std::lock_guard<std::mutex> guard(lock);
    emulated::grid_size = {blocks};
    emulated::block_size = {threads};
    arguments = kernel_arguments;
    kernel = ((Named *)function)->kernel;
    body = call;
    for (unsigned i = 0; i < blocks; i++) {
        emulated::block_index = {i};
        run_block(threads);
    }
    return 0;
}
