// What kernels/recurrent.cu uses of CUDA, on a CPU: the threads of a block are fibers, which go on in turn. For tests on machines
// without a GPU; slow. Included before the kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

struct uint4 {
    unsigned x, y, z, w;
};
struct float2 {
    float x, y;
};
struct float4 {
    float x, y, z, w;
};
struct Index {
    unsigned x;
};

#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline __attribute__((always_inline))
#define __grid_constant__
#define __launch_bounds__(...)

extern float4 memory[]; // of the block that runs

namespace emulated {
Index thread_index();
extern Index block_index, block_size, grid_size;

// What a lane hands to the others of its warp.
struct Words {
    unsigned word[8];
};
// Hands `own` in, waits until all lanes have, and returns what they handed in, lane by lane.
const Words *exchange(const Words &own);
// The same between two lanes.
unsigned exchange_with(unsigned own, unsigned mask);
void wait_for_block();
} // namespace emulated

#define threadIdx emulated::thread_index()
#define blockIdx emulated::block_index
#define blockDim emulated::block_size
#define gridDim emulated::grid_size

static inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
static inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    return bits;
}
// Compiled without contraction; x86-64 and AArch64 round each.
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __int2float_rn(int n) { return (float)n; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned atomicMax(unsigned *at, unsigned n) {
    unsigned old = *at;
    if (n > old) *at = n;
    return old;
}
static inline unsigned atomicAdd(unsigned *at, unsigned n) {
    unsigned old = *at;
    *at += n;
    return old;
}
template <typename T> static inline T __ldcg(const T *at) { return *at; }
template <typename T> static inline T __ldcv(const T *at) { return *at; }
template <typename T> static inline void __stcg(T *at, T value) { *at = value; }
static inline void __syncthreads() { emulated::wait_for_block(); }
static inline void __syncwarp() { emulated::exchange({}); }
static inline void __threadfence() {}
static inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline float __shfl_xor_sync(unsigned, float x, int mask) {
    return __uint_as_float(emulated::exchange_with(__float_as_uint(x), mask));
}
static inline unsigned long long __shfl_sync(unsigned, unsigned long long n, int lane) {
    const emulated::Words &of = emulated::exchange({{(unsigned)n, (unsigned)(n >> 32)}})[lane];
    return of.word[0] | (unsigned long long)of.word[1] << 32;
}
static inline float __shfl_sync(unsigned mask, float x, int lane) {
    return __uint_as_float((unsigned)__shfl_sync(mask, (unsigned long long)__float_as_uint(x), lane));
}
static inline unsigned __reduce_max_sync(unsigned, unsigned n) {
    const emulated::Words *all = emulated::exchange({{n}});
    for (int lane = 0; lane < 32; lane++) n = max(n, all[lane].word[0]);
    return n;
}
static inline unsigned __cvta_generic_to_shared(const void *at) { return (unsigned)((const char *)at - (const char *)memory); }

// Blocks of threads run one after the other, so all that a piece waits for has been done.
static inline void emulated_wait(const unsigned *counter, unsigned wanted) {
    if (*counter < wanted) abort();
}

// ldmatrix.x4: lanes 8 i to 8 i + 7 say where the rows of matrix i are.
static inline void emulated_ldmatrix(unsigned (&b)[4], unsigned from) {
    const emulated::Words *all = emulated::exchange({{from}});
    const unsigned lane = threadIdx.x & 31;
    for (int i = 0; i < 4; i++) memcpy(&b[i], (const char *)memory + all[8 * i + lane / 4].word[0] + lane % 4 * 4, 4);
}

// mma.m16n8k32 of signed bytes.
static inline void emulated_mma(int (&c)[4], const uint4 &a, unsigned b0, unsigned b1) {
    const emulated::Words *all = emulated::exchange({{a.x, a.y, a.z, a.w, b0, b1}});
    const unsigned lane = threadIdx.x & 31;
    for (int e = 0; e < 4; e++) {
        const unsigned row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        for (unsigned k = 0; k < 32; k++) {
            const unsigned register_a = row / 8 + k / 16 * 2, lane_a = row % 8 * 4 + k % 16 / 4;
            const unsigned register_b = 4 + k / 16, lane_b = column * 4 + k % 16 / 4;
            const signed char x = (signed char)(all[lane_a].word[register_a] >> 8 * (k % 4));
            const signed char y = (signed char)(all[lane_b].word[register_b] >> 8 * (k % 4));
            c[e] += x * y;
        }
    }
}
