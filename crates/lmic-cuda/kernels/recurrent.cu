// Recurrent int8 networks, with the bits that lmic has on every CPU (docs/format/recurrent.md). Every float operation is written
// out with its rounding; sums of products are integers, which are exact in any order.
//
// A row is a symbol of a stream. There are two ways to take rows through a network, of which scripts/cuda_ptx.py makes modules:
//
// - By rows: a block of threads takes some rows (ROWS) through all layers, then the next ones of the same streams. Blocks need not
//   wait for each other, as streams know nothing of each other, and what goes from layer to layer stays in shared memory. Weights come
//   from L2, for each block anew: with more rows a block they are read less often, with fewer more multiprocessors work at the same
//   time.
// - By products (WIDE), for networks whose weights are too many for that: each product is a launch of its own, in which a block of
//   threads has some rows and some outputs, and weights are read once for 32 to 128 rows. What goes from product to product goes
//   through L2.

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// What follows is filled in by src/model.rs and src/gather.rs: numbers and addresses in 8 bytes each.

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

// Rows that one block takes, 8 at a time. Those of a stream follow each other, all in one job.
struct Job {
    u32 first, count;
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
    float4 x[2] = {*(const float4 *)(logits + lane * 4), *(const float4 *)(logits + 128 + lane * 4)};
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

// Rounds the norm of a row of the residual stream, with zeros behind: half a warp's work, of which each lane has one of the 16 partial sums.
__device__ __forceinline__ void round_norm_of(const float *h, const float *weight, u32 d, i8 *out, float *scale) {
    const u32 lane = threadIdx.x & 15;
    float squares = 0.0f, m = 0.0f;
#pragma unroll 8
    for (u32 i = lane; i < d; i += 16) {
        float x = h[i];
        squares = add(squares, mul(x, x));
        m = fmaxf(m, fabsf(mul(x, weight[i])));
    }
    const u32 half = 0xffffu << (threadIdx.x & 16);
#pragma unroll
    for (int i = 8; i > 0; i /= 2) {
        squares = add(squares, __shfl_xor_sync(half, squares, i));
        m = fmaxf(m, __shfl_xor_sync(half, m, i));
    }
    const bool live = is_live(m);
    const float factor = divide(127.0f, m);
    for (u32 i = lane * 4; i < padded(d); i += 64) {
        u32 four = 0;
        if (live && i < d) {
#pragma unroll
            for (int k = 0; k < 4; k++) four |= rounded(mul(h[i + k], weight[i + k]), factor) << 8 * k;
        }
        *(u32 *)(out + i) = four;
    }
    if (lane == 0) {
        const float norm = divide(1.0f, __fsqrt_rn(add(divide(squares, (float)d), 1e-5f)));
        *scale = live ? mul(divide(m, 127.0f), norm) : 0.0f;
    }
}

// Rounds a row of y, of which the largest magnitude is known and forgotten then: a warp's work.
__device__ __forceinline__ void round_row(const float *y, u32 k, u32 *largest, i8 *out, float *scale) {
    const u32 lane = threadIdx.x & 31;
    const float m = __uint_as_float(*largest);
    const bool live = is_live(m);
    const float factor = divide(127.0f, m);
    for (u32 i = lane * 4; i < padded(k); i += 128) {
        u32 four = 0;
        if (live && i < k) {
            const float4 x = *(const float4 *)(y + i);
            four = rounded(x.x, factor) | rounded(x.y, factor) << 8 | rounded(x.z, factor) << 16 | rounded(x.w, factor) << 24;
        }
        *(u32 *)(out + i) = four;
    }
    __syncwarp();
    if (lane == 0) {
        *scale = live ? divide(m, 127.0f) : 0.0f;
        *largest = 0;
    }
}

#ifndef WIDE
// Each tile has a job. There is a module for each number of tiles.
#ifndef TILES
#define TILES 1
#endif

const int TILE = 8;
const int ROWS = TILE * TILES;
const int THREADS = TILES == 1 ? 640 : TILES == 2 ? 512 : 320; // at most; src/gather.rs has the same

// Integers of all rows with a scale each, in shared memory. A row has `stride` bytes, an odd number of 16 of them, so that no two of
// eight rows begin in the same banks. Behind a row's integers are zeros up to 64.
struct Rounded {
    i8 *data;
    u32 stride;
    float *scales;
};

// Adds products of some steps of 32 inputs to the sums. All weights are asked for before the first is needed.
template <int N, int STEPS>
__device__ __forceinline__ void go_on(int (&sums)[TILES][N][4], const uint4 *(&weights)[N], u32 &from, u32 stride) {
    uint4 w[STEPS][N];
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
#pragma unroll
        for (int i = 0; i < N; i++) w[k][i] = read_weights(weights[i] + k * 32);
    }
#pragma unroll
    for (int k = 0; k < STEPS; k += 2) {
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            u32 b[4];
            read_activations(b, from + t * TILE * stride + k * 32);
#pragma unroll
            for (int i = 0; i < N; i++) {
                multiply(sums[t][i], w[k][i], b[0], b[1]);
                multiply(sums[t][i], w[k + 1][i], b[2], b[3]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < N; i++) weights[i] += STEPS * 32;
    from += STEPS * 32;
}

// Sums of products of all rows with N times 16 outputs: those of the weights' tiles `tile[i]`. Of `sums[t][i]`, number e is output
// lane / 4 + 8 (e / 2) of row 8 t + 2 (lane % 4) + e % 2.
template <int N>
__device__ __forceinline__ void dot(int (&sums)[TILES][N][4], const Rounded &x, const Product &p, const u32 (&tile)[N]) {
    const u32 lane = threadIdx.x & 31;
    // Lanes 0 to 7 name the rows' first 16 bytes, lanes 8 to 15 the next, and so on.
    u32 from = (u32)__cvta_generic_to_shared(x.data + (lane & 7) * x.stride + (lane >> 3) * 16);
    const uint4 *weights[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
        weights[i] = p.weights + (u64)tile[i] * p.steps * 32 + lane;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
#pragma unroll
            for (int e = 0; e < 4; e++) sums[t][i][e] = 0;
        }
    }
    const int AT_ONCE = N == 1 ? 8 : 4;
    u32 left = (u32)p.steps;
#pragma unroll 1
    for (; left >= AT_ONCE; left -= AT_ONCE) go_on<N, AT_ONCE>(sums, weights, from, x.stride);
#pragma unroll 1
    for (; left > 0; left -= 2) go_on<N, 2>(sums, weights, from, x.stride);
}

// What a block of threads has.
struct Shared {
    float *h; // (ROWS, h_stride): the residual stream
    float *y; // (ROWS, y_stride): what is to be rounded, and logits; where it does not fit, in global memory
    u32 h_stride, y_stride;
    Rounded x, contexts; // what enters products; rows for contexts
    u32 *largest; // (ROWS): of the magnitudes in a row of y, as bits
    Row *rows;
    float *gates; // (3, ROWS, state), in global memory: candidates, divisors, output gates
    // A bit for each row: whether it is one, and whether it is of the same stream as the one before.
    u32 live, follows;
};

// The largest magnitude of the rows' new numbers, two of each tile; a NaN does not count.
__device__ __forceinline__ void note_largest(const Shared &s, float (&largest)[TILES][2]) {
    const u32 lane = threadIdx.x & 31;
#pragma unroll
    for (int t = 0; t < TILES; t++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float m = largest[t][e];
#pragma unroll
            for (int i = 4; i < 32; i *= 2) m = fmaxf(m, __shfl_xor_sync(~0u, m, i));
            if (lane < 4) atomicMax(s.largest + t * TILE + 2 * lane + e, __float_as_uint(m));
        }
    }
}

// Rounds the norm of h.
__device__ __forceinline__ void round_norm(const Shared &s, const float *weight, u32 d) {
    for (u32 r = threadIdx.x / 16; r < ROWS; r += blockDim.x / 16) {
        round_norm_of(s.h + r * s.h_stride, weight, d, s.x.data + r * s.x.stride, s.x.scales + r);
    }
}

// Rounds y, of which the largest magnitudes are known.
__device__ __forceinline__ void round_y(const Shared &s, u32 k) {
    for (u32 r = threadIdx.x / 32; r < ROWS; r += blockDim.x / 32) {
        round_row(s.y + r * s.y_stride, k, s.largest + r, s.x.data + r * s.x.stride, s.x.scales + r);
    }
}

// A product, added to h or, as logits, written to y.
template <bool ADDED>
__device__ __forceinline__ void apply(const Shared &s, const Rounded &x, const Product &p) {
    const u32 lane = threadIdx.x & 31;
    for (u32 at = threadIdx.x / 32; at < p.outputs / 16; at += blockDim.x / 32) {
        int sums[TILES][1][4];
        const u32 tile[1] = {at};
        const u32 output = at * 16 + lane / 4;
        const float scales[2] = {p.scales[output], p.scales[output + 8]};
        dot(sums, x, p, tile);
#pragma unroll
        for (int t = 0; t < TILES; t++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const u32 r = t * TILE + lane % 4 * 2 + e % 2, column = output + e / 2 * 8;
                const float product = dequantized(sums[t][0][e], x.scales[r], scales[e / 2]);
                if (ADDED) {
                    float *h = s.h + r * s.h_stride + column;
                    *h = add(*h, product);
                } else {
                    s.y[r * s.y_stride + column] = product;
                }
            }
        }
    }
}

// Rows that follow each other, column by column; of gates that have been computed.
__device__ __forceinline__ void go_through(const Shared &s, u32 index, u32 size) {
    const u32 lane = threadIdx.x & 31;
    for (u32 from = threadIdx.x / 32 * 32; from < size; from += blockDim.x) {
        const u32 column = from + lane;
        const bool inside = column < size;
        float state = 0.0f;
        for (int r = 0; r < ROWS; r++) {
            if (!(s.live >> r & 1)) continue;
            float *of_stream = s.rows[r].state + (u64)index * size + column;
            float y = 0.0f;
            if (inside) {
                if (!(s.follows >> r & 1)) state = __ldcg(of_stream);
                const float *gates = s.gates + r * size + column;
                const float c = gates[0];
                state = add(divide(sub(state, c), gates[ROWS * size]), c);
                y = mul(state, gates[2 * ROWS * size]);
                s.y[r * s.y_stride + column] = y;
                if (r == ROWS - 1 || !(s.follows >> (r + 1) & 1)) __stcg(of_stream, state);
            }
            const float m = fmaxf(0.0f, fabsf(y));
            const u32 largest = __reduce_max_sync(~0u, __float_as_uint(m));
            if (lane == 0) atomicMax(s.largest + r, largest);
        }
    }
}

// The first product of a layer and its recurrence, to y.
__device__ __forceinline__ void recur(const Shared &s, const Layer &layer, u32 index, u32 size) {
    const u32 lane = threadIdx.x & 31;
    const Product &p = layer.in_proj;
    for (u32 at = threadIdx.x / 32; at < size / 16; at += blockDim.x / 32) {
        const u32 output = at * 16 + lane / 4;
        float state[TILES][4];
        if (s.follows == 0) {
#pragma unroll
            for (int t = 0; t < TILES; t++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const u32 r = t * TILE + lane % 4 * 2 + e % 2;
                    state[t][e] = s.live >> r & 1 ? __ldcg(s.rows[r].state + (u64)index * size + output + e / 2 * 8) : 0.0f;
                }
            }
        }
        float scales[3][2], bias[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            bias[half] = layer.bias[output + 8 * half];
#pragma unroll
            for (int i = 0; i < 3; i++) scales[i][half] = p.scales[i * size + output + 8 * half];
        }
        int sums[TILES][3][4];
        const u32 tile[3] = {at, at + size / 16, at + size / 8};
        dot(sums, s.x, p, tile);
        float largest[TILES][2];
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            largest[t][0] = largest[t][1] = 0.0f;
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const u32 r = t * TILE + lane % 4 * 2 + e % 2, column = output + e / 2 * 8;
                const float of_row = s.x.scales[r];
                const float c = dequantized(sums[t][0][e], of_row, scales[0][e / 2]);
                const float z = add(dequantized(sums[t][1][e], of_row, scales[1][e / 2]), bias[e / 2]);
                const float o = dequantized(sums[t][2][e], of_row, scales[2][e / 2]);
                if (s.follows == 0) {
                    const float now = add(gated(sub(state[t][e], c), z), c);
                    const float y = mul(now, gated(o, o));
                    s.y[r * s.y_stride + column] = y;
                    if (s.live >> r & 1) __stcg(s.rows[r].state + (u64)index * size + column, now);
                    largest[t][e % 2] = fmaxf(largest[t][e % 2], fabsf(y));
                } else {
                    float *gates = s.gates + r * size + column;
                    gates[0] = c;
                    gates[ROWS * size] = divisor(z);
                    gates[2 * ROWS * size] = gated(o, o);
                }
            }
        }
        if (s.follows == 0) note_largest(s, largest);
    }
    if (s.follows != 0) {
        __syncthreads();
        go_through(s, index, size);
    }
}

// The gated product of a layer, to y.
__device__ __forceinline__ void gate(const Shared &s, const Product &p, u32 size) {
    const u32 lane = threadIdx.x & 31;
    for (u32 at = threadIdx.x / 32; at < size / 16; at += blockDim.x / 32) {
        const u32 output = at * 16 + lane / 4;
        float scales[2][2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
#pragma unroll
            for (int i = 0; i < 2; i++) scales[i][half] = p.scales[i * size + output + 8 * half];
        }
        int sums[TILES][2][4];
        const u32 tile[2] = {at, at + size / 16};
        dot(sums, s.x, p, tile);
        float largest[TILES][2];
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            largest[t][0] = largest[t][1] = 0.0f;
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const u32 r = t * TILE + lane % 4 * 2 + e % 2;
                const float of_row = s.x.scales[r];
                const float g = dequantized(sums[t][0][e], of_row, scales[0][e / 2]);
                const float y = mul(gated(g, g), dequantized(sums[t][1][e], of_row, scales[1][e / 2]));
                s.y[r * s.y_stride + output + e / 2 * 8] = y;
                largest[t][e % 2] = fmaxf(largest[t][e % 2], fabsf(y));
            }
        }
        note_largest(s, largest);
    }
}

// Logits to weights of bytes, of the rows that are wanted.
__device__ __forceinline__ void weigh(const Shared &s) {
    for (u32 r = threadIdx.x / 32; r < ROWS; r += blockDim.x / 32) weigh_row(s.y + r * s.y_stride, s.rows[r].out);
}

// The residual stream of all rows from their last symbols, and their rows for contexts.
__device__ __forceinline__ void embed(const Shared &s, const Model &model) {
    const u32 d = (u32)model.hidden, kinds = (u32)model.kinds, taps = (u32)model.taps;
    // Reads that wait longest are asked for first.
    for (u32 i = threadIdx.x; i < ROWS * kinds; i += blockDim.x) {
        const u32 r = i % ROWS, kind = i / ROWS;
        find_row(model, s.rows[r], kind, s.contexts.data + r * s.contexts.stride + kind * (u32)model.size);
    }
    for (u32 i = threadIdx.x; i < ROWS * d; i += blockDim.x) {
        const u32 r = i / d, column = i % d;
        float h = model.embed[(u64)s.rows[r].last[0] * d + column];
        for (u32 tap = 1; tap < taps; tap++) {
            h = add(h, model.embed[(u64)(tap * 257 + s.rows[r].last[tap]) * d + column]);
        }
        s.h[r * s.h_stride + column] = h;
    }
}

// `scratch` is for each block of threads (3, ROWS, state) floats and, if `y_outside`, (ROWS, y_stride).
extern "C" __global__ void __launch_bounds__(THREADS) lmic_feed(
    const __grid_constant__ Model model, const Row *rows, const Job *jobs, u32 count, u32 *blocks_done, volatile u64 *done, u64 ticket,
    float *scratch, u32 y_outside) {
    // src/model.rs adds the same parts up.
    extern __shared__ float4 memory[];
    const u32 d = (u32)model.hidden, n_state = (u32)model.state, inner = (u32)model.inner;
    Shared s;
    u8 *next = (u8 *)memory;
    s.h_stride = d + 4;
    s.h = (float *)next;
    next += ROWS * s.h_stride * 4;
    s.y_stride = max(max(n_state, inner), 256u) + 4;
    s.gates = scratch + (u64)blockIdx.x * ROWS * (3 * n_state + (y_outside ? s.y_stride : 0));
    if (y_outside) {
        s.y = s.gates + ROWS * 3 * n_state;
    } else {
        s.y = (float *)next;
        next += ROWS * s.y_stride * 4;
    }
    s.x.stride = max(max(padded(d), padded(n_state)), padded(inner)) + 16;
    s.x.data = (i8 *)next;
    next += ROWS * s.x.stride;
    s.contexts.stride = padded((u32)model.width) + 16;
    s.contexts.data = (i8 *)next;
    next += ROWS * s.contexts.stride;
    s.rows = (Row *)next;
    next += ROWS * sizeof(Row);
    s.x.scales = (float *)next;
    next += ROWS * 4;
    s.contexts.scales = (float *)next;
    next += ROWS * 4;
    s.largest = (u32 *)next;

    const u32 thread = threadIdx.x;
    for (u32 i = thread; i < ROWS * s.contexts.stride / 4; i += blockDim.x) ((u32 *)s.contexts.data)[i] = 0;
    if (thread < ROWS) {
        s.contexts.scales[thread] = 1.0f / 7.0f;
        s.largest[thread] = 0;
    }
    u32 longest = 0;
    Job job = {0, 0};
    for (u32 tile = 0; tile < TILES; tile++) {
        const u32 index = blockIdx.x * TILES + tile;
        const Job of_tile = index < count ? read_anew(jobs + index) : Job{0, 0};
        if (thread / TILE == tile) job = of_tile;
        longest = max(longest, of_tile.count);
    }
    for (u32 from = 0; from < longest; from += TILE) {
        if (thread < ROWS) {
            const u32 at = from + thread % TILE;
            Row row;
            row.state = row.out = 0;
            row.word = 0;
            for (int i = 0; i < 8; i++) row.last[i] = 256;
            if (at < job.count) row = read_anew(rows + job.first + at);
            s.rows[thread] = row;
        }
        __syncthreads();
        s.live = s.follows = 0;
        bool wanted = false;
        for (int r = 0; r < ROWS; r++) {
            const float *state = s.rows[r].state;
            s.live |= (u32)(state != 0) << r;
            s.follows |= (u32)(r % TILE != 0 && state != 0 && state == s.rows[r - 1].state) << r;
            wanted |= s.rows[r].out != 0;
        }
        embed(s, model);
        __syncthreads();
        // Each function stands here once, as all become one piece of code: half a layer ends with what is added to h.
        for (u32 half = 0;; half++) {
            const bool last = half == 2 * (u32)model.layers, odd = half & 1;
            const Layer &layer = model.layer[half / 2];
            for (int added = 0; added < 2; added++) {
                const Product *p = odd ? &layer.out_proj : &model.layer[half / 2 - 1].down;
                if (added == 1) p = last ? &model.contexts : &layer.rows;
                if (added == 0 ? half == 0 : odd || (last && !wanted) || p->weights == 0) continue;
                Rounded x;
                x.data = added == 0 ? s.x.data : s.contexts.data;
                x.stride = added == 0 ? s.x.stride : s.contexts.stride;
                x.scales = added == 0 ? s.x.scales : s.contexts.scales;
                apply<true>(s, x, *p);
                __syncthreads();
            }
            if (last && !wanted) break;
            round_norm(s, last ? model.norm : odd ? layer.mlp_norm : layer.mixer_norm, d);
            __syncthreads();
            if (last) break;
            if (odd) gate(s, layer.gate_up, inner);
            else recur(s, layer, half / 2, n_state);
            __syncthreads();
            round_y(s, odd ? inner : n_state);
            __syncthreads();
        }
        if (wanted) {
            apply<false>(s, s.x, model.head);
            __syncthreads();
            weigh(s);
            __syncthreads();
        }
    }

    // The last block tells the host, which then sees what all blocks wrote to its memory.
    __threadfence_system();
    __syncthreads();
    if (thread == 0 && atomicAdd(blocks_done, 1) == gridDim.x - 1) {
        *blocks_done = 0;
        __threadfence_system();
        *done = ticket;
    }
}

#else // WIDE

// A launch of each kernel below has this.
struct Launch {
    Model model;
    const Row *from; // as the host wrote them
    const Job *jobs;
    // A row of each for each row, up to `padded` rows:
    Row *row;
    float *h;       // the residual stream
    float *y;       // what is to be rounded, and logits
    float *gates;   // three times: candidates, divisors, output gates
    i8 *x;          // what enters products
    i8 *contexts;   // rows for contexts
    float *scales;  // of x
    u32 *largest;   // of the magnitudes in y, as bits
    volatile u64 *done;
    u64 ticket;
    u64 rows, padded;
    u64 follows; // whether a row may be of the same stream as the one before
    u64 x_stride, contexts_stride, y_stride;
};

const int WARPS = 8; // of a product: four times some outputs, twice half the rows
const int STAGES = 4;
const int STRIDE = 80; // of 64 integers of a row in shared memory: no two of eight rows begin in the same banks

enum { ADDED, LOGITS, RECURRENT, GATED };

#ifndef LMIC_EMULATED
__device__ __forceinline__ void copy_later(void *to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void end_of_stage() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `STAGES - 2` stages are under way.
__device__ __forceinline__ void wait_for_stage() { asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory"); }
#else
__device__ __forceinline__ void copy_later(void *to, const void *from) { *(uint4 *)to = *(const uint4 *)from; }
__device__ __forceinline__ void end_of_stage() {}
__device__ __forceinline__ void wait_for_stage() {}
#endif

// The residual stream of a row from its last symbols, and its rows for contexts: a warp's work, of which each lane reads the row.
extern "C" __global__ void __launch_bounds__(32) lmic_embed(const __grid_constant__ Launch l, u32, u32) {
    const u32 r = blockIdx.x, d = (u32)l.model.hidden, size = (u32)l.model.size;
    Row row;
    row.state = row.out = 0;
    row.word = 0;
    for (int i = 0; i < 8; i++) row.last[i] = 256;
    if (r < l.rows) row = read_anew(l.from + r);
    if (threadIdx.x == 0) {
        l.row[r] = row;
        l.largest[r] = 0;
    }
    i8 *contexts = l.contexts + r * l.contexts_stride;
    for (u32 kind = threadIdx.x; kind < l.model.kinds; kind += blockDim.x) find_row(l.model, row, kind, contexts + kind * size);
    for (u32 i = l.model.width + threadIdx.x; i < l.contexts_stride; i += blockDim.x) contexts[i] = 0;
    for (u32 i = threadIdx.x; i < d; i += blockDim.x) {
        float h = l.model.embed[(u64)row.last[0] * d + i];
        for (u32 tap = 1; tap < l.model.taps; tap++) h = add(h, l.model.embed[(u64)(tap * 257 + row.last[tap]) * d + i]);
        l.h[(u64)r * d + i] = h;
    }
}

// Rounds the norm of h before the recurrence of a layer (0), before its MLP (1), or after all layers (2).
extern "C" __global__ void __launch_bounds__(128) lmic_norm(const __grid_constant__ Launch l, u32 index, u32 which) {
    const Layer *layer = l.model.layer + index;
    const float *weight = which == 2 ? l.model.norm : which == 1 ? layer->mlp_norm : layer->mixer_norm;
    const u32 r = blockIdx.x * 8 + threadIdx.x / 16, d = (u32)l.model.hidden;
    round_norm_of(l.h + (u64)r * d, weight, d, l.x + r * l.x_stride, l.scales + r);
}

// Rounds y, of which the largest magnitudes are known: rows of `k`.
extern "C" __global__ void __launch_bounds__(128) lmic_round(const __grid_constant__ Launch l, u32, u32 k) {
    const u32 r = blockIdx.x * 4 + threadIdx.x / 32;
    round_row(l.y + r * l.y_stride, k, l.largest + r, l.x + r * l.x_stride, l.scales + r);
}

// A product, or those that meet in a gate, of BLOCK_ROWS rows and four groups of N times 16 outputs.
template <int BLOCK_ROWS, int USE>
__device__ __forceinline__ void wide_product(const Launch &l, const Product &p, const Layer &layer, u32 index, bool of_contexts) {
    const int N = USE == RECURRENT ? 3 : 2, TILES_OF_ROWS = BLOCK_ROWS / 16; // of half the rows
    const int WEIGHTS = 4 * N * 1024, STAGE = WEIGHTS + BLOCK_ROWS * STRIDE;
    const bool parts = USE == RECURRENT || USE == GATED;
    extern __shared__ float4 memory[];
    u8 *stages = (u8 *)memory;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32, half = warp / 4;
    const u32 rows_of = (u32)l.padded / BLOCK_ROWS, first_row = blockIdx.x % rows_of * BLOCK_ROWS, first_group = blockIdx.x / rows_of * 4;
    const u32 tiles = (u32)p.outputs / 16, groups = parts ? tiles / N : (tiles + N - 1) / N;
    const u32 group = first_group + warp % 4;
    const i8 *x = of_contexts ? l.contexts : l.x;
    const u64 stride = of_contexts ? l.contexts_stride : l.x_stride;
    const u32 times = (u32)p.steps / 2;

    // Past the last group or tile, the last one is computed again and thrown away.
    auto tile_of = [&](u32 group, u32 i) {
        const u32 tile = parts ? min(group, groups - 1) + i * groups : group * N + i;
        return min(tile, tiles - 1);
    };
    auto load = [&](u32 k) {
        u8 *stage = stages + k % STAGES * STAGE;
        for (u32 c = threadIdx.x; c < WEIGHTS / 16; c += WARPS * 32) {
            const u32 piece = c / 64;
            const u32 tile = tile_of(first_group + piece / N, piece % N);
            copy_later(stage + c * 16, p.weights + ((u64)tile * p.steps + 2 * k) * 32 + c % 64);
        }
        for (u32 c = threadIdx.x; c < BLOCK_ROWS * 4; c += WARPS * 32) {
            const i8 *from = x + (first_row + c / 4) * stride + k * 64 + c % 4 * 16;
            copy_later(stage + WEIGHTS + c / 4 * STRIDE + c % 4 * 16, from);
        }
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
    for (u32 k = 0; k < STAGES - 1; k++) {
        if (k < times) load(k);
        end_of_stage();
    }
#pragma unroll 1
    for (u32 k = 0; k < times; k++) {
        wait_for_stage();
        __syncthreads();
        if (k + STAGES - 1 < times) load(k + STAGES - 1);
        end_of_stage();
        const u8 *stage = stages + k % STAGES * STAGE;
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
    }
    if (group >= groups) return;

    const u32 size = groups * 16; // of a part
    float scales[N][2], bias[2];
#pragma unroll
    for (int i = 0; i < N; i++) {
        const u32 output = tile_of(group, i) * 16 + lane / 4;
        scales[i][0] = p.scales[output];
        scales[i][1] = p.scales[output + 8];
    }
    if (USE == RECURRENT) {
        bias[0] = layer.bias[group * 16 + lane / 4];
        bias[1] = layer.bias[group * 16 + lane / 4 + 8];
    }
#pragma unroll
    for (int t = 0; t < TILES_OF_ROWS; t++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const u32 r = first_row + half * (BLOCK_ROWS / 2) + t * 8 + lane % 4 * 2 + e;
            const float of_row = of_contexts ? 1.0f / 7.0f : l.scales[r];
            float *stream = USE == RECURRENT ? l.row[r].state : 0;
            float largest = 0.0f;
#pragma unroll
            for (int upper = 0; upper < 2; upper++) {
                float product[N];
#pragma unroll
                for (int i = 0; i < N; i++) product[i] = dequantized(sums[t][i][2 * upper + e], of_row, scales[i][upper]);
                const u32 column = group * 16 + lane / 4 + 8 * upper;
                if (!parts) {
#pragma unroll
                    for (int i = 0; i < N; i++) {
                        const u32 tile = group * N + i;
                        if (tile >= tiles) continue;
                        const u32 at = tile * 16 + lane / 4 + 8 * upper;
                        if (USE == ADDED) {
                            float *h = l.h + (u64)r * l.model.hidden + at;
                            *h = add(*h, product[i]);
                        } else {
                            l.y[r * l.y_stride + at] = product[i];
                        }
                    }
                } else if (USE == GATED) {
                    const float y = mul(gated(product[0], product[0]), product[1]);
                    l.y[r * l.y_stride + column] = y;
                    largest = fmaxf(largest, fabsf(y));
                } else {
                    const float c = product[0], z = add(product[1], bias[upper]), o = product[N - 1];
                    if (l.follows) {
                        float *gates = l.gates + (u64)r * size + column;
                        gates[0] = c;
                        gates[l.padded * size] = divisor(z);
                        gates[2 * l.padded * size] = gated(o, o);
                    } else {
                        float *state = stream + (u64)index * size + column;
                        const float now = add(gated(sub(stream ? __ldcg(state) : 0.0f, c), z), c);
                        const float y = mul(now, gated(o, o));
                        l.y[r * l.y_stride + column] = y;
                        if (stream) __stcg(state, now);
                        largest = fmaxf(largest, fabsf(y));
                    }
                }
            }
            if (USE == GATED || (USE == RECURRENT && !l.follows)) {
#pragma unroll
                for (int i = 4; i < 32; i *= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, i));
                if (lane < 4) atomicMax(l.largest + r, __float_as_uint(largest));
            }
        }
    }
}

// Products of a layer: those of its rows for contexts (0), behind its recurrence (1), behind its MLP (2); or of the contexts behind all
// layers (3).
template <int BLOCK_ROWS>
__device__ __forceinline__ void wide_add(const Launch &l, u32 index, u32 which) {
    const Layer &layer = l.model.layer[index];
    const Product &p = which == 3 ? l.model.contexts : which == 2 ? layer.down : which == 1 ? layer.out_proj : layer.rows;
    wide_product<BLOCK_ROWS, ADDED>(l, p, layer, index, which == 0 || which == 3);
}

#define WIDE_PRODUCTS(BLOCK_ROWS)                                                                                                  \
    extern "C" __global__ void __launch_bounds__(WARPS * 32) lmic_add_##BLOCK_ROWS(const __grid_constant__ Launch l, u32 index, u32 which) { \
        wide_add<BLOCK_ROWS>(l, index, which);                                                                                     \
    }                                                                                                                              \
    extern "C" __global__ void __launch_bounds__(WARPS * 32) lmic_logits_##BLOCK_ROWS(const __grid_constant__ Launch l, u32, u32) { \
        wide_product<BLOCK_ROWS, LOGITS>(l, l.model.head, l.model.layer[0], 0, false);                                             \
    }                                                                                                                              \
    extern "C" __global__ void __launch_bounds__(WARPS * 32) lmic_recur_##BLOCK_ROWS(const __grid_constant__ Launch l, u32 index, u32) { \
        wide_product<BLOCK_ROWS, RECURRENT>(l, l.model.layer[index].in_proj, l.model.layer[index], index, false);                  \
    }                                                                                                                              \
    extern "C" __global__ void __launch_bounds__(WARPS * 32) lmic_gate_##BLOCK_ROWS(const __grid_constant__ Launch l, u32 index, u32) { \
        wide_product<BLOCK_ROWS, GATED>(l, l.model.layer[index].gate_up, l.model.layer[index], index, false);                      \
    }
WIDE_PRODUCTS(64)
WIDE_PRODUCTS(128)

// Rows of a job that follow each other, of gates that have been computed: a thread has a column, a block 128 of them.
extern "C" __global__ void __launch_bounds__(128) lmic_go_through(const __grid_constant__ Launch l, u32 index, u32) {
    const u32 size = (u32)l.model.state, blocks = (size + 127) / 128;
    const Job job = read_anew(l.jobs + blockIdx.x / blocks);
    const u32 column = blockIdx.x % blocks * 128 + threadIdx.x;
    const bool inside = column < size;
    float state = 0.0f;
    for (u32 r = job.first; r < job.first + job.count; r++) {
        float *stream = l.row[r].state, *of_stream = stream + (u64)index * size + column;
        float y = 0.0f;
        if (inside) {
            if (r == job.first || l.row[r - 1].state != stream) state = __ldcg(of_stream);
            const float *gates = l.gates + (u64)r * size + column;
            const float c = gates[0];
            state = add(divide(sub(state, c), gates[l.padded * size]), c);
            y = mul(state, gates[2 * l.padded * size]);
            l.y[r * l.y_stride + column] = y;
            if (r + 1 == job.first + job.count || l.row[r + 1].state != stream) __stcg(of_stream, state);
        }
        const u32 largest = __reduce_max_sync(~0u, __float_as_uint(fmaxf(0.0f, fabsf(y))));
        if ((threadIdx.x & 31) == 0) atomicMax(l.largest + r, largest);
    }
}

// Logits to weights of bytes, of the rows that are wanted: a warp has a row.
extern "C" __global__ void __launch_bounds__(128) lmic_weigh(const __grid_constant__ Launch l, u32, u32) {
    const u32 r = blockIdx.x * 4 + threadIdx.x / 32;
    weigh_row(l.y + r * l.y_stride, l.row[r].out);
    __threadfence_system();
}

// Tells the host, after all else.
extern "C" __global__ void lmic_done(const __grid_constant__ Launch l, u32, u32) {
    __threadfence_system();
    *l.done = l.ticket;
}
#endif
