// Recurrent int8 networks, with the bits that lmic has on every CPU (docs/format/recurrent.md). Every float operation is written
// out with its rounding; sums of products are integers, which are exact in any order.
//
// A row is a symbol of a stream. Blocks of threads share a network's products out: a piece has some rows and some outputs, so that
// weights are read once for 32 or 64 rows. What goes from product to product goes through L2, and a piece waits only for the rows
// that it has.

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// What follows is filled in by src/model.rs, src/plan.rs and src/engine.rs: numbers and addresses in 8 bytes each.

struct Product {
    const uint4 *weights; // by tiles of 16 outputs, steps of 32 inputs, lanes of a warp; 0 for none
    const float *scales;  // one for each output
    u64 outputs;
    u64 steps; // an even number
};

struct Layer {
    const float *mixer_norm, *bias, *mlp_norm;
    Product in_proj, out_proj, gate_up, down, rows;
};

struct Kind {
    u64 order, bits;
    const u8 *buckets;
};

struct Model {
    u64 hidden, state, inner, layers, taps, kinds, size, width;
    const float *embed; // (taps, 257, hidden)
    const float *norm;
    Product head, contexts; // contexts: of rows for contexts, before the last norm
    const Layer *layer;
    const Kind *kind;
};

struct Row {
    float *state; // of its stream, (layers, state); 0 for no row
    float *out;   // 256 floats; 0 if they are not wanted
    u16 last[8];  // symbols of the stream up to this one, the newest first
    u64 word;     // hash of the word so far
};

// What the host has written since: it says that a launch has ended before the driver does, so caches of a multiprocessor may have
// what was there before. For the same reason states, which another multiprocessor may have written, are read from L2.
template <typename T>
__device__ __forceinline__ T read_anew(const T *from) {
    union {
        T value;
        u64 words[sizeof(T) / 8];
    } copy;
    for (u32 i = 0; i < sizeof(T) / 8; i++) copy.words[i] = __ldcv((const u64 *)from + i);
    return copy.value;
}

#define mul __fmul_rn
#define add __fadd_rn
#define sub __fsub_rn
#define divide __fdiv_rn

__device__ __forceinline__ float larger(float a, float b) { return b > a ? b : a; }
__device__ __forceinline__ float smaller(float a, float b) { return b < a ? b : a; }

const float ROUND = 12582912.0f; // 1.5 * 2^23

// e^-x for x of -80 to 80.
__device__ __forceinline__ float exp_of_minus(float x) {
    float power = mul(x, __uint_as_float(0xbfb8aa3b));
    float shifted = add(power, ROUND);
    float f = sub(power, sub(shifted, ROUND));
    float p = __uint_as_float(0x3c1d0168);
    p = add(mul(p, f), __uint_as_float(0x3d64fe25));
    p = add(mul(p, f), __uint_as_float(0x3e7601bc));
    p = add(mul(p, f), __uint_as_float(0x3f317096));
    p = add(mul(p, f), 1.0f);
    return __uint_as_float(__float_as_uint(p) + (__float_as_uint(shifted) << 23));
}

// 1 + e^-x, x clamped to 80 and -80; a NaN counts as 80.
__device__ __forceinline__ float divisor(float x) { return add(1.0f, exp_of_minus(fmaxf(-80.0f, fminf(80.0f, x)))); }

__device__ __forceinline__ float gated(float a, float x) {
    return divide(a, divisor(x));
}

// Whether a row whose largest magnitude is m has integers other than 0.
__device__ __forceinline__ bool is_live(float m) { return m >= 7.888609e-31f && m <= 3.40282347e38f; }

// The low byte is the nearest integer to x * factor.
__device__ __forceinline__ u32 rounded(float x, float factor) {
    return __float_as_uint(smaller(ROUND + 127.0f, add(mul(x, factor), ROUND))) & 255;
}

__device__ __forceinline__ float dequantized(int sum, float row_scale, float scale) {
    return mul(__int2float_rn(sum), mul(row_scale, scale));
}

#ifndef LMIC_EMULATED
__device__ __forceinline__ uint4 read_weights(const uint4 *from) {
    uint4 w;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(w.x), "=r"(w.y), "=r"(w.z), "=r"(w.w)
        : "l"(from));
    return w;
}

// Eight rows of 64 integers in the lanes' registers; each lane says where one of the pieces of 16 bytes is.
__device__ __forceinline__ void read_activations(u32 (&b)[4], u32 from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
                 : "r"(from));
}

// 16 outputs of 8 rows, 32 inputs.
__device__ __forceinline__ void multiply(int (&c)[4], const uint4 &a, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}
#else // what emulated/cuda.h has in their place
__device__ __forceinline__ uint4 read_weights(const uint4 *from) { return *from; }
#define read_activations emulated_ldmatrix
#define multiply emulated_mma
#endif

// Puts the row for a context of one kind, if it has one, among the numbers of its stream's row; zeros otherwise.
__device__ __forceinline__ void find_row(const Model &model, const Row &row, u32 kind, i8 *out) {
    const Kind of_kind = model.kind[kind];
    const u32 size = (u32)model.size;
    u64 key = row.word;
    if (of_kind.order > 0) {
        u64 power = 1;
        key = 0;
        for (u32 i = 0; i < of_kind.order; i++) {
            key += power * row.last[i];
            power *= 257;
        }
    }
    u64 h = (key * 257 + of_kind.order) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
    const u64 bucket = h >> (66 - of_kind.bits);
    u32 check = (u32)(h >> (50 - of_kind.bits)) & 65535;
    check = check == 0 ? 1 : check;
    const u8 *at = of_kind.buckets + bucket * (8 + 2 * size);
    const u16 *checks = (const u16 *)at;
    int way = -1;
    for (int i = 3; i >= 0; i--) way = checks[i] == check ? i : way;
    const u8 *pairs = at + 8 + max(way, 0) * (size / 2);
    for (u32 i = 0; i < size / 2; i++) {
        const u32 pair = way < 0 ? 0 : pairs[i];
        out[i] = (i8)(((pair & 15) ^ 8) - 8);
        out[size / 2 + i] = (i8)(((pair >> 4) ^ 8) - 8);
    }
}

// Logits of a row to weights of bytes, if they are wanted; a warp's work.
__device__ __forceinline__ void weigh_row(const float *logits, float *to) {
    if (to == 0) return;
    const u32 lane = threadIdx.x & 31;
    float4 x[2] = {__ldcg((const float4 *)(logits + lane * 4)), __ldcg((const float4 *)(logits + 128 + lane * 4))};
    float m = __uint_as_float(0xff800000);
#pragma unroll
    for (int i = 0; i < 2; i++) m = larger(larger(larger(larger(m, x[i].x), x[i].y), x[i].z), x[i].w);
#pragma unroll
    for (int i = 16; i > 0; i /= 2) m = larger(m, __shfl_xor_sync(~0u, m, i));
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float4 w;
        w.x = exp_of_minus(smaller(80.0f, sub(m, x[i].x)));
        w.y = exp_of_minus(smaller(80.0f, sub(m, x[i].y)));
        w.z = exp_of_minus(smaller(80.0f, sub(m, x[i].z)));
        w.w = exp_of_minus(smaller(80.0f, sub(m, x[i].w)));
        *(float4 *)(to + i * 128 + lane * 4) = w;
    }
}

__device__ __forceinline__ u32 padded(u32 k) { return (k + 63) / 64 * 64; }

// A launch has this.
struct Launch {
    Model model;
    const Row *from; // as the host wrote them
    // A row of each for each row, up to `padded` rows:
    Row *row;
    float *h;       // the residual stream
    float *y;       // what is to be rounded, and logits
    float *gates;   // three times: candidates, divisors, output gates
    i8 *x;          // what enters products
    i8 *contexts;   // rows for contexts
    float *scales;  // of x
    u32 *largest;   // of the magnitudes in y, as bits
    u32 *counters;  // the next ticket, blocks of threads that have ended, and of each block of rows how much of it is done
    volatile u64 *done;
    u64 ticket;
    u64 rows, padded;
    u64 follows; // whether a row may be of the same stream as the one before
    u64 x_stride, contexts_stride, y_stride;
};

const int WARPS = 8; // of a product: four times some outputs, twice half the rows
const int THREADS = 32 * WARPS;
const int SHARED = 90112; // bytes of shared memory for the stages of a product
const int MOST_STAGES = 8;
const int STRIDE = 80; // of 64 integers of a row in shared memory: no two of eight rows begin in the same banks

enum { ADDED, LOGITS, RECURRENT, GATED };

// V numbers side by side, which other multiprocessors may have written.
template <int V> __device__ __forceinline__ void read_some(float (&to)[V], const float *from) {
    if (V == 2) {
        const float2 some = __ldcg((const float2 *)from);
        to[0] = some.x;
        to[1] = some.y;
    } else {
        const float4 some = __ldcg((const float4 *)from);
        to[0] = some.x;
        to[1] = some.y;
        to[V - 2] = some.z;
        to[V - 1] = some.w;
    }
}

template <int V> __device__ __forceinline__ void write_some(float *to, const float (&some)[V]) {
    if (V == 2) __stcg((float2 *)to, float2{some[0], some[1]});
    else __stcg((float4 *)to, float4{some[0], some[1], some[V - 2], some[V - 1]});
}

#ifndef LMIC_EMULATED
__device__ __forceinline__ void copy_later(void *to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void end_of_stage() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// A line into L2.
__device__ __forceinline__ void prefetch(const void *at) { asm volatile("prefetch.global.L2 [%0];" ::"l"(at)); }
// Waits until at most `STAGES - 2` stages are under way.
template <int STAGES> __device__ __forceinline__ void wait_for_stage() { asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory"); }
__device__ __forceinline__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
// Waits until a counter has reached a number; what was written before it was raised is seen after this.
__device__ __forceinline__ void wait_for_counter(const u32 *counter, u32 wanted) {
    u32 n;
    do asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(n) : "l"(counter) : "memory");
    while (n < wanted);
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
}
__device__ __forceinline__ void raise_counter(u32 *counter) {
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}
#else
__device__ __forceinline__ void copy_later(void *to, const void *from) { *(uint4 *)to = *(const uint4 *)from; }
__device__ __forceinline__ void end_of_stage() {}
template <int STAGES> __device__ __forceinline__ void wait_for_stage() {}
__device__ __forceinline__ void prefetch(const void *) {}
__device__ __forceinline__ void wait_for_copies() {}
#define wait_for_counter emulated_wait
__device__ __forceinline__ void raise_counter(u32 *counter) { ++*counter; }
#endif

// The steps of a launch, in order; those from CONTEXTS to DOWN for each layer.
enum {
    EMBED, CONTEXTS, MIXER_NORM, RECUR, GO_THROUGH, ROUND_STATE, MIXER_OUT, MLP_NORM, GATE, ROUND_INNER, DOWN,
    LAST_CONTEXTS, LAST_NORM, HEAD, WEIGH, END
};

// Groups of outputs of a product that is added to h, or of logits: smaller ones where there are few rows.
template <int BLOCK_ROWS> struct Width { static const int N = BLOCK_ROWS == 32 ? 1 : 2; };

// A step has pieces, so many of each block of rows, and each piece has a ticket. Tickets are given out in order, so
// whatever a piece waits for is done or has been begun by a block of threads that waits only for earlier ones. Thus it does not
// matter how many blocks of threads run at the same time.
template <int BLOCK_ROWS> struct Step {
    u32 what, layer;
    u32 first, pieces; // tickets
    u32 of_rows;       // pieces of a block of rows
    u32 before;        // what the counter of a block of rows has reached when the step before is done

    __device__ __forceinline__ void count(const Launch &l) {
        const Model &model = l.model;
        const u32 blocks_of_rows = (u32)l.padded / BLOCK_ROWS;
        const u32 wide = 64 * Width<BLOCK_ROWS>::N;
        switch (what) {
        case RECUR: of_rows = ((u32)model.state + 63) / 64; break;
        case GATE: of_rows = ((u32)model.inner + 63) / 64; break;
        case CONTEXTS: case MIXER_OUT: case DOWN: case LAST_CONTEXTS: of_rows = ((u32)model.hidden + wide - 1) / wide; break;
        case GO_THROUGH: of_rows = ((u32)model.state + THREADS - 1) / THREADS; break;
        case HEAD: of_rows = (256 + wide - 1) / wide; break;
        default: of_rows = BLOCK_ROWS / WARPS;
        }
        pieces = of_rows * blocks_of_rows;
    }

    __device__ __forceinline__ void begin(const Launch &l) {
        what = EMBED;
        layer = first = before = 0;
        count(l);
    }

    __device__ __forceinline__ void next(const Launch &l, const Layer *layers) {
        first += pieces;
        before += of_rows;
        what++;
        if (what == LAST_CONTEXTS && layer + 1 < l.model.layers) {
            layer++;
            what = CONTEXTS;
        }
        if (what == CONTEXTS && layers[layer].rows.weights == 0) what++;
        if (what == GO_THROUGH && !l.follows) what++;
        if (what == LAST_CONTEXTS && l.model.contexts.weights == 0) what++;
        count(l);
    }

    // Waits until the step before has done all of a block of rows.
    __device__ __forceinline__ void wait(const Launch &l, u32 block) const {
        if (threadIdx.x == 0) wait_for_counter(l.counters + 2 + block, before);
        __syncthreads();
    }
};

// The residual stream of a row from its last symbols, and its rows for contexts: a warp's work.
__device__ __forceinline__ void embed_row(const Launch &l, u32 r, bool first_of_block) {
    const u32 lane = threadIdx.x & 31, d = (u32)l.model.hidden, size = (u32)l.model.size;
    // Each lane reads a word over the bus, and all get all.
    const u32 count = sizeof(Row) / 8;
    u64 own = lane == 2 || lane == 3 ? 0x0100010001000100 : 0;
    if (r < l.rows && lane < count) own = __ldcv((const u64 *)(l.from + r) + lane);
    union {
        Row row;
        u64 words[count];
    } all;
#pragma unroll
    for (u32 i = 0; i < count; i++) all.words[i] = __shfl_sync(~0u, own, i);
    Row row = all.row;
    const u64 word = row.word;
    // For GO_THROUGH, which has no use for the word: whether the first row of a block goes on with the stream of the last one before.
    if (first_of_block) row.word = r > 0 && r < l.rows && read_anew(l.from + r - 1).state == row.state;
    if (lane == 0) {
        l.row[r] = row;
        l.largest[r] = 0;
    }
    row.word = word;
    i8 *contexts = l.contexts + r * l.contexts_stride;
    for (u32 kind = lane; kind < l.model.kinds; kind += 32) find_row(l.model, row, kind, contexts + kind * size);
    for (u32 i = (u32)l.model.width + lane; i < l.contexts_stride; i += 32) contexts[i] = 0;
    for (u32 i = lane * 4; i < d; i += 128) {
        float4 h = *(const float4 *)(l.model.embed + (u64)row.last[0] * d + i);
#pragma unroll 4
        for (u32 tap = 1; tap < l.model.taps; tap++) {
            const float4 more = *(const float4 *)(l.model.embed + (u64)(tap * 257 + row.last[tap]) * d + i);
            h.x = add(h.x, more.x);
            h.y = add(h.y, more.y);
            h.z = add(h.z, more.z);
            h.w = add(h.w, more.w);
        }
        *(float4 *)(l.h + (u64)r * d + i) = h;
    }
}

// Rounds the norm of a row of h: a warp's work. Both halves of the warp add the same 16 partial sums up.
__device__ __forceinline__ void norm_row(const Launch &l, u32 r, const float *weight, float *own) {
    const u32 lane = threadIdx.x & 31, d = (u32)l.model.hidden;
    const float *h = l.h + (u64)r * d;
    for (u32 i = lane * 4; i < d; i += 128) copy_later(own + i, h + i);
    wait_for_copies();
    __syncthreads(); // the weights, too
    float squares = 0.0f, m = 0.0f;
    const float *x = own + (lane & 15);
    for (u32 left = d / 16; left > 0;) {
        const u32 now = min(left, 8u);
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            if (i < now) squares = add(squares, mul(x[16 * i], x[16 * i]));
        }
        x += 128;
        left -= now;
    }
#pragma unroll 2
    for (u32 i = lane * 4; i < d; i += 128) {
        const float4 x = *(const float4 *)(own + i), w = *(const float4 *)(weight + i);
        m = fmaxf(fmaxf(m, fabsf(mul(x.x, w.x))), fabsf(mul(x.y, w.y)));
        m = fmaxf(fmaxf(m, fabsf(mul(x.z, w.z))), fabsf(mul(x.w, w.w)));
    }
#pragma unroll
    for (int i = 8; i > 0; i /= 2) squares = add(squares, __shfl_xor_sync(~0u, squares, i));
    m = __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(m)));
    const bool live = is_live(m);
    const float factor = divide(127.0f, m);
    const float norm = divide(1.0f, __fsqrt_rn(add(divide(squares, (float)d), 1e-5f)));
    if (lane == 0) l.scales[r] = live ? mul(divide(m, 127.0f), norm) : 0.0f;
#pragma unroll 4
    for (u32 i = lane * 4; i < padded(d); i += 128) {
        u32 four = 0;
        if (live && i < d) {
            const float4 x = *(const float4 *)(own + i), w = *(const float4 *)(weight + i);
            four = rounded(mul(x.x, w.x), factor) | rounded(mul(x.y, w.y), factor) << 8 | rounded(mul(x.z, w.z), factor) << 16 |
                   rounded(mul(x.w, w.w), factor) << 24;
        }
        *(u32 *)(l.x + r * l.x_stride + i) = four;
    }
}

// Rounds a row of y with k numbers, of which the largest magnitude is known and forgotten then: a warp's work.
__device__ __forceinline__ void round_y(const Launch &l, u32 k, u32 r) {
    const int AT_ONCE = 8;
    const u32 lane = threadIdx.x & 31;
    const float m = __uint_as_float(__ldcg(l.largest + r));
    const bool live = is_live(m);
    const float factor = divide(127.0f, m);
    for (u32 from = lane * 4; from < padded(k); from += AT_ONCE * 128) {
        float4 x[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            if (from + j * 128 < k) x[j] = __ldcg((const float4 *)(l.y + r * l.y_stride + from + j * 128));
        }
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const u32 i = from + j * 128;
            u32 four = 0;
            if (live && i < k) {
                four = rounded(x[j].x, factor) | rounded(x[j].y, factor) << 8 | rounded(x[j].z, factor) << 16 | rounded(x[j].w, factor) << 24;
            }
            if (i < padded(k)) *(u32 *)(l.x + r * l.x_stride + i) = four;
        }
    }
    __syncwarp();
    if (lane == 0) {
        l.scales[r] = live ? divide(m, 127.0f) : 0.0f;
        l.largest[r] = 0;
    }
}

// A product, or those that meet in a gate, of BLOCK_ROWS rows and four groups of N times 16 outputs.
//
// Of 64 rows each half of the warps has 32, and weights and rows go through stages of shared memory. Of 32 rows each half has all, and
// every other 32 inputs: weights go from L2 to registers, ahead, and all inputs of the rows to shared memory at once, so that no warp
// waits for another before its sums are done. For three parts there are too few registers for that.
template <int BLOCK_ROWS, int USE, int N>
__device__ __forceinline__ void product(
    const Launch &l, const Product &p, const float *bias_of, const Step<BLOCK_ROWS> &step, bool of_contexts, u32 block, u32 piece, u8 *stages) {
    const bool SPLIT = BLOCK_ROWS == 32 && N < 3;
    const int TILES_OF_ROWS = SPLIT ? 4 : BLOCK_ROWS / 16; // of a warp
    const int AHEAD = N == 2 ? 3 : 6;
    const int WEIGHTS = 4 * N * 1024, STAGE = WEIGHTS + BLOCK_ROWS * STRIDE, MOST = SHARED / STAGE;
    const int STAGES = MOST > MOST_STAGES ? MOST_STAGES : MOST, OF_ROWS = (BLOCK_ROWS * 4 + THREADS - 1) / THREADS;
    const bool parts = USE == RECURRENT || USE == GATED;
    const u32 thread = threadIdx.x, lane = thread & 31, warp = thread / 32, half = warp / 4;
    const u32 first_row = block * BLOCK_ROWS, first_group = piece * 4;
    const u32 tiles = (u32)p.outputs / 16, groups = parts ? tiles / N : (tiles + N - 1) / N;
    const u32 times = (u32)p.steps / 2;

    // Past the last group or tile, the last one is computed again and thrown away.
    auto tile_of = [&](u32 group, u32 i) {
        const u32 tile = parts ? min(group, groups - 1) + i * groups : group * N + i;
        return min(tile, tiles - 1);
    };
    const uint4 *weights[N];
#pragma unroll
    for (int j = 0; j < N; j++) {
        const u32 tile = thread / 64 + 4 * j;
        const u32 own = SPLIT ? tile_of(first_group + warp % 4, j) : tile_of(first_group + tile / N, tile % N);
        weights[j] = p.weights + (u64)own * p.steps * 32 + (SPLIT ? half * 32 + lane : thread % 64);
    }
    uint4 w_ahead[AHEAD][N];
    auto read_ahead = [&](int at) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            w_ahead[at][j] = read_weights(weights[j]);
            weights[j] += 64;
        }
    };
    auto load_weights = [&](u8 *stage) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            copy_later(stage + (thread + THREADS * j) * 16, weights[j]);
            weights[j] += 64;
        }
    };
    const u64 stride = of_contexts ? l.contexts_stride : l.x_stride;
    const i8 *x = (of_contexts ? l.contexts : l.x) + (first_row + thread / 4) * stride + thread % 4 * 16;
    auto load_rows = [&](u8 *stage) {
        u8 *to = stage + WEIGHTS + thread / 4 * STRIDE + thread % 4 * 16;
#pragma unroll
        for (int j = 0; j < OF_ROWS; j++) {
            const u32 r = j * (THREADS / 4);
            if (BLOCK_ROWS % (THREADS / 4) == 0 || thread / 4 + r < BLOCK_ROWS) copy_later(to + r * STRIDE, x + r * stride);
        }
        x += 64;
    };
    int sums[TILES_OF_ROWS][N][4];
#pragma unroll
    for (int t = 0; t < TILES_OF_ROWS; t++) {
#pragma unroll
        for (int i = 0; i < N; i++) {
#pragma unroll
            for (int e = 0; e < 4; e++) sums[t][i][e] = 0;
        }
    }
    // What is done with sums: a warp has some rows, a lane some columns of each part.
    const int OF_WARP = BLOCK_ROWS / WARPS, PARTS = parts ? N : 1, V = parts ? 2 : 2 * N, TILE_STRIDE = 64 * N + 4;
    const u32 size = parts ? groups * 16 : (u32)p.outputs, column = piece * 32 * V + lane * V;
    const bool inside = column < size;
    // Weights are there before the rows are.
    if (SPLIT) {
#pragma unroll
        for (u32 k = 0; k < AHEAD; k++) {
            if (k < times) read_ahead(k);
        }
    } else {
        for (u32 k = 0; k < STAGES - 1 && k < times; k++) load_weights(stages + k * STAGE);
    }
    step.wait(l, block);
    const u32 row_stride = (u32)p.steps * 32 + 16; // an odd number of 16 bytes: no two of eight rows begin in the same banks
    if (SPLIT) {
        const i8 *from = (of_contexts ? l.contexts : l.x) + (first_row + thread / 8) * stride;
        for (u32 c = thread % 8; c < (u32)p.steps * 2; c += 8) copy_later(stages + thread / 8 * row_stride + c * 16, from + c * 16);
    } else {
        for (u32 k = 0; k < STAGES - 1; k++) {
            if (k < times) load_rows(stages + k * STAGE);
            end_of_stage();
        }
    }
    const bool of_states = USE == RECURRENT && !l.follows;
    const u32 own_first = first_row + warp * OF_WARP;
    // Lane i asks for what is of row i of the warp. States are in memory, and asked for before they are needed.
    float scale_of = 1.0f / 7.0f;
    u64 state_of = 0;
    if (lane < OF_WARP && !of_contexts) scale_of = __ldcg(l.scales + own_first + lane);
    if (lane < OF_WARP && of_states) {
        state_of = __ldcg((const u64 *)&l.row[own_first + lane].state);
        if (state_of) {
            state_of += 4 * ((u64)step.layer * size + piece * 32 * V);
            prefetch((const void *)state_of);
            prefetch((const void *)(state_of + 128));
        }
    }
    if (SPLIT) {
        wait_for_copies();
        __syncthreads();
        // Lanes name 16 inputs, the next 16, and those of the next eight rows.
        const u8 *rows = stages + ((lane >> 4) * 8 + (lane & 7)) * row_stride + half * 32 + (lane >> 3 & 1) * 16;
        u32 from = (u32)__cvta_generic_to_shared(rows);
#pragma unroll 1
        for (u32 k = 0; k < times; k += AHEAD) {
#pragma unroll
            for (int j = 0; j < AHEAD; j++) {
                if (k + j >= times) break;
#pragma unroll
                for (int t = 0; t < TILES_OF_ROWS; t += 2) {
                    u32 b[4];
                    read_activations(b, from + t * 8 * row_stride);
#pragma unroll
                    for (int i = 0; i < N; i++) {
                        multiply(sums[t][i], w_ahead[j][i], b[0], b[1]);
                        multiply(sums[t + 1][i], w_ahead[j][i], b[2], b[3]);
                    }
                }
                from += 64;
                if (k + j + AHEAD < times) read_ahead(j);
            }
        }
    }
    u8 *stage = stages, *ahead = stages + (STAGES - 1) * STAGE, *const end = stages + STAGES * STAGE;
#pragma unroll 1
    for (u32 k = SPLIT ? times : 0; k < times; k++) {
        wait_for_stage<STAGES>();
        __syncthreads();
        if (k + STAGES - 1 < times) {
            load_weights(ahead);
            load_rows(ahead);
        }
        end_of_stage();
        ahead = ahead + STAGE == end ? stages : ahead + STAGE;
        uint4 w[2][N];
#pragma unroll
        for (int i = 0; i < N; i++) {
#pragma unroll
            for (int step = 0; step < 2; step++) w[step][i] = ((const uint4 *)stage)[((warp % 4 * N + i) * 2 + step) * 32 + lane];
        }
        const u8 *rows = stage + WEIGHTS + (half * (BLOCK_ROWS / 2) + (lane & 7)) * STRIDE + (lane >> 3) * 16;
        const u32 from = (u32)__cvta_generic_to_shared(rows);
#pragma unroll
        for (int t = 0; t < TILES_OF_ROWS; t++) {
            u32 b[4];
            read_activations(b, from + t * 8 * STRIDE);
#pragma unroll
            for (int i = 0; i < N; i++) {
                multiply(sums[t][i], w[0][i], b[0], b[1]);
                multiply(sums[t][i], w[1][i], b[2], b[3]);
            }
        }
        stage = stage + STAGE == end ? stages : stage + STAGE;
    }
    float scales[PARTS][V], bias[V];
#pragma unroll
    for (int i = 0; i < PARTS; i++) read_some<V>(scales[i], p.scales + i * size + (inside ? column : 0));
    if (USE == RECURRENT) read_some<V>(bias, bias_of + (inside ? column : 0));
    if (!SPLIT) __syncthreads();
    // Where the rows are not. Of halves of the inputs there are two.
    int *tile = (int *)(stages + (SPLIT ? 32 * row_stride : 0));
    const u32 of_half = BLOCK_ROWS * TILE_STRIDE;
#pragma unroll
    for (int t = 0; t < TILES_OF_ROWS; t++) {
#pragma unroll
        for (int i = 0; i < N; i++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const u32 r = (SPLIT ? half * BLOCK_ROWS : half * (BLOCK_ROWS / 2)) + t * 8 + lane % 4 * 2 + e % 2;
                const u32 first = parts ? i * 64 + warp % 4 * 16 : (warp % 4 * N + i) * 16;
                tile[r * TILE_STRIDE + first + lane / 4 + e / 2 * 8] = sums[t][i][e];
            }
        }
    }
    __syncthreads();

    const int AT_ONCE = parts ? 2 : 4;
    const u32 d = (u32)l.model.hidden;
#pragma unroll 1
    for (int from = 0; from < OF_WARP; from += AT_ONCE) {
        // All that is read is asked for before the first is needed.
        float before[AT_ONCE][V]; // numbers of h, or of states
        float *state[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const u32 r = own_first + from + j;
            if (USE == ADDED) read_some<V>(before[j], l.h + (u64)r * d + (inside ? column : 0));
            if (of_states) {
                state[j] = (float *)__shfl_sync(~0u, state_of, from + j);
                if (state[j]) state[j] += lane * V;
#pragma unroll
                for (int v = 0; v < V; v++) before[j][v] = 0.0f;
                if (state[j] && inside) read_some<V>(before[j], state[j]);
            }
        }
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const u32 r = own_first + from + j;
            const float of_row = __shfl_sync(~0u, scale_of, from + j);
            const int *sums = tile + (warp * OF_WARP + from + j) * TILE_STRIDE + lane * V;
            float product[PARTS][V], y[V], largest = 0.0f;
#pragma unroll
            for (int i = 0; i < PARTS; i++) {
#pragma unroll
                for (int v = 0; v < V; v++) {
                    const int sum = sums[i * 64 + v] + (SPLIT ? sums[of_half + i * 64 + v] : 0);
                    product[i][v] = dequantized(sum, of_row, scales[i][v]);
                }
            }
            if (USE == ADDED) {
#pragma unroll
                for (int v = 0; v < V; v++) y[v] = add(before[j][v], product[0][v]);
                if (inside) write_some<V>(l.h + (u64)r * d + column, y);
                continue;
            }
            if (USE == LOGITS) {
                if (inside) write_some<V>(l.y + r * l.y_stride + column, product[0]);
                continue;
            }
            if (USE == RECURRENT && l.follows) {
                float divisors[V], o[V];
#pragma unroll
                for (int v = 0; v < V; v++) {
                    divisors[v] = divisor(add(product[1 % PARTS][v], bias[v]));
                    o[v] = gated(product[PARTS - 1][v], product[PARTS - 1][v]);
                }
                float *gates = l.gates + (u64)r * size + column;
                if (inside) {
                    write_some<V>(gates, product[0]);
                    write_some<V>(gates + l.padded * size, divisors);
                    write_some<V>(gates + 2 * l.padded * size, o);
                }
                continue;
            }
            float now[V];
#pragma unroll
            for (int v = 0; v < V; v++) {
                if (USE == GATED) {
                    y[v] = mul(gated(product[0][v], product[0][v]), product[1 % PARTS][v]);
                } else {
                    const float c = product[0][v], z = add(product[1 % PARTS][v], bias[v]), o = product[PARTS - 1][v];
                    now[v] = add(gated(sub(before[j][v], c), z), c);
                    y[v] = mul(now[v], gated(o, o));
                }
                largest = fmaxf(largest, fabsf(y[v]));
            }
            if (inside) {
                write_some<V>(l.y + r * l.y_stride + column, y);
                if (of_states && state[j]) write_some<V>(state[j], now);
            }
            const u32 of_all = __reduce_max_sync(~0u, inside ? __float_as_uint(largest) : 0);
            if (lane == 0) atomicMax(l.largest + r, of_all);
        }
    }
}

// Rows that follow each other, of gates that have been computed: a thread has a column of a block of rows.
__device__ __forceinline__ void go_through(const Launch &l, u32 first, u32 rows, u32 index, u32 column) {
    const int AT_ONCE = 8;
    const u32 size = (u32)l.model.state, end = min(first + rows, (u32)l.rows);
    const bool inside = column < size;
    float state = 0.0f;
    u64 stream = 0; // of the row before
    for (u32 from = first; from < end; from += AT_ONCE) {
        u64 streams[AT_ONCE + 1];
        float c[AT_ONCE], divisors[AT_ONCE], o[AT_ONCE];
#pragma unroll
        for (int j = 0; j <= AT_ONCE; j++) streams[j] = from + j < end ? __ldcg((const u64 *)&l.row[from + j].state) : 0;
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const float *gates = l.gates + (u64)(from + j) * size + column;
            const bool is_one = inside && from + j < end;
            c[j] = is_one ? __ldcg(gates) : 0.0f;
            divisors[j] = is_one ? __ldcg(gates + l.padded * size) : 1.0f;
            o[j] = is_one ? __ldcg(gates + 2 * l.padded * size) : 0.0f;
        }
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const u32 r = from + j;
            float *of_stream = (float *)streams[j] + (u64)index * size + column;
            const bool is_one = inside && r < end;
            if (is_one && streams[j] != stream) state = __ldcg(of_stream);
            state = add(divide(sub(state, c[j]), divisors[j]), c[j]);
            const float y = is_one ? mul(state, o[j]) : 0.0f;
            if (is_one) {
                l.y[r * l.y_stride + column] = y;
                if (streams[j + 1] != streams[j]) __stcg(of_stream, state);
            }
            stream = streams[j];
            const u32 largest = __reduce_max_sync(~0u, __float_as_uint(fmaxf(0.0f, fabsf(y))));
            if ((threadIdx.x & 31) == 0 && r < end) atomicMax(l.largest + r, largest);
        }
    }
}

template <int BLOCK_ROWS> __device__ __forceinline__ void feed(const Launch &l) {
    extern __shared__ float4 memory[];
    const int N = Width<BLOCK_ROWS>::N;
    // A number for all threads of the block, the layers, then memory for one piece.
    volatile u32 *told = (volatile u32 *)memory;
    const Model &model = l.model;
    Layer *layers = (Layer *)(memory + 1);
    for (u32 i = threadIdx.x; i < model.layers * sizeof(Layer) / 8; i += THREADS) ((u64 *)layers)[i] = ((const u64 *)model.layer)[i];
    u8 *own = (u8 *)layers + (model.layers * sizeof(Layer) + 15) / 16 * 16;
    const float *norm;
    const u32 warp = threadIdx.x / 32;
    u32 next = 0;
    auto tell = [&]() {
        if (threadIdx.x == 0) *told = next;
        __syncthreads();
        return *told;
    };
    Step<BLOCK_ROWS> step;
    step.begin(l);
    if (threadIdx.x == 0) next = atomicAdd(l.counters, 1);
    for (u32 ticket = tell();; ticket = tell()) {
        while (step.what != END && ticket - step.first >= step.pieces) step.next(l, layers);
        if (step.what == END) break;
        // The next ticket is there when this piece is done.
        if (threadIdx.x == 0) next = atomicAdd(l.counters, 1);
        const u32 piece = ticket - step.first;
        const Layer &layer = layers[step.layer];
        const u32 block = piece / step.of_rows, part = piece % step.of_rows, r = block * BLOCK_ROWS + part * WARPS + warp;
        switch (step.what) {
        case EMBED: embed_row(l, r, r % BLOCK_ROWS == 0); break;
        case MIXER_NORM: case MLP_NORM: case LAST_NORM:
            norm = step.what == MIXER_NORM ? layer.mixer_norm : step.what == MLP_NORM ? layer.mlp_norm : model.norm;
            for (u32 i = threadIdx.x * 4; i < model.hidden; i += THREADS * 4) copy_later((float *)own + i, norm + i);
            step.wait(l, block);
            norm_row(l, r, (float *)own, (float *)own + (1 + warp) * model.hidden);
            break;
        case ROUND_STATE: case ROUND_INNER:
            step.wait(l, block);
            round_y(l, step.what == ROUND_STATE ? (u32)model.state : (u32)model.inner, r);
            break;
        case GO_THROUGH:
            step.wait(l, block);
            if (__ldcg(&l.row[block * BLOCK_ROWS].word) != 0) {
                if (threadIdx.x == 0) wait_for_counter(l.counters + 1 + block, step.before + step.of_rows);
                __syncthreads();
            }
            go_through(l, block * BLOCK_ROWS, BLOCK_ROWS, step.layer, part * THREADS + threadIdx.x);
            break;
        case RECUR: product<BLOCK_ROWS, RECURRENT, 3>(l, layer.in_proj, layer.bias, step, false, block, part, own); break;
        case GATE: product<BLOCK_ROWS, GATED, 2>(l, layer.gate_up, 0, step, false, block, part, own); break;
        case HEAD: product<BLOCK_ROWS, LOGITS, N>(l, model.head, 0, step, false, block, part, own); break;
        case WEIGH:
            step.wait(l, block);
            weigh_row(l.y + r * l.y_stride, (float *)__ldcg((const u64 *)&l.row[r].out));
            break;
        default:
            const Product &p = step.what == CONTEXTS ? layer.rows : step.what == MIXER_OUT ? layer.out_proj :
                               step.what == DOWN ? layer.down : model.contexts;
            product<BLOCK_ROWS, ADDED, N>(l, p, 0, step, step.what == CONTEXTS || step.what == LAST_CONTEXTS, block, part, own);
        }
        __syncthreads();
        if (threadIdx.x == 0) raise_counter(l.counters + 2 + block);
    }

    // The last block tells the host, which then sees what all blocks wrote to its memory, and clears the counters.
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence_system();
        next = atomicAdd(l.counters + 1, 1);
    }
    if (tell() != gridDim.x - 1) return;
    for (u32 i = threadIdx.x; i < 2 + l.padded / BLOCK_ROWS; i += THREADS) l.counters[i] = 0;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence_system();
        *l.done = l.ticket;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) lmic_feed_32(const __grid_constant__ Launch l) { feed<32>(l); }
extern "C" __global__ void __launch_bounds__(THREADS, 2) lmic_feed_64(const __grid_constant__ Launch l) { feed<64>(l); }
