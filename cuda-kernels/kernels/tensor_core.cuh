// Matrix products on tensor cores, with operands in bf16, or rounded on their way into the registers.
//
// C[i,j] = sum over p of A[i,p] B[p,j]. Operands that are f32 in memory are rounded to tf32 (10 bits of
// mantissa) or bf16 (7 bits); a product of two is exact in f32, and the sums are f32. That error, not the
// sum's, is what C carries.
//
//   bf16   to the nearest: off by up to 2^-8 of itself
//   tf32   to the nearest, up to 2^-11 (`to_tf32`), where it is done once for many products;
//          else `to_cut`, up to 2^-10.6, for one instruction instead of two
//
// One instruction is done by a whole warp: mma.sync.m16n8k8 for tf32, D[16,8] += A[16,8] B[8,8], and
// m16n8k16 for bf16, with twice the depth. Lane l = 4 g + t holds
//   A: rows g and g + 8 at depths t and t + 4: 4 registers of one tf32
//   B: column g at depths t and t + 4:         2 registers of one tf32
//   D: rows g and g + 8, columns 2 t and 2 t + 1: 4 registers of f32
// and for bf16 pairs of neighbours along the depth, in as many registers. Which depths are neighbours
// is free as long as A and B agree: where A is f32 in shared memory, they are depths t and t + 4 of the
// registers that tf32 has.
//
// The panels of a slab come by cp.async, which copies from memory to shared memory without registers,
// and writes zeros for what is outside. STAGES slabs are under way or in use at a time.
// Traffic: an element of a panel is read once from memory and used M or N times, so a tile of 128
// reads 4 bytes per 64 multiply-adds.
#pragma once
#include "async_copy.cuh"
#include "bf16.cuh"

// ROUNDED are bf16 of what is f32 in memory, BF16 what is bf16 there.
enum Precision { TF32, ROUNDED, BF16 };

// Four blocks of 8 rows of 16 bytes: lane l gives the address of row l % 8 of block l / 8, and receives
// word l % 4 of row l / 4 of each block.
__device__ inline void load_blocks(u32 (&block)[4], u32 row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(block[0]), "=r"(block[1]), "=r"(block[2]), "=r"(block[3])
                 : "r"(row)
                 : "memory");
}

// The same blocks, rows and columns exchanged.
__device__ inline void load_turned(u32 (&block)[4], u32 row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(block[0]), "=r"(block[1]), "=r"(block[2]), "=r"(block[3])
                 : "r"(row)
                 : "memory");
}

__device__ inline u32 to_tf32(u32 x) {
    u32 rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(x)));
    return rounded;
}

// A tensor core cuts the last 13 bits off, 2^-11 / m of x on average with a mantissa of m. For m as
// common as 1 / m that is SHARE of x: added before, the error has no bias, and what is tf32 already
// stays as it is.
__device__ inline u32 to_cut(u32 x) {
    const float SHARE = 0.72134752f / 2048.0f;  // 1 / (2 ln 2)
    return __float_as_uint(fmaf(__uint_as_float(x), SHARE, __uint_as_float(x)));
}

// The bits of two f32 as a pair of bf16.
__device__ inline u32 to_bf16x2(u32 low, u32 high) {
    return to_pair(__uint_as_float(low), __uint_as_float(high));
}

// A warp's sums, of ROWS times 16 rows and COLUMNS times 8 columns.
template <u32 ROWS, u32 COLUMNS> struct Sums {
    float d[ROWS][COLUMNS][4] = {};

    // Adds the products of 8 depths: a[u] are rows g, g + 8 at depth t, then both at t + 4; b[v]
    // column g at depths t and t + 4.
    __device__ void add_tf32(const u32 (&a)[ROWS][4], const u32 (&b)[COLUMNS][2]) {
        for (u32 u = 0; u < ROWS; ++u) {
            for (u32 v = 0; v < COLUMNS; ++v) {
                float(&sum)[4] = d[u][v];
                asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                    "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                    : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                    : "r"(a[u][0]), "r"(a[u][1]), "r"(a[u][2]), "r"(a[u][3]), "r"(b[v][0]),
                      "r"(b[v][1]));
            }
        }
    }

    // The same of 16 depths, of pairs of bf16.
    __device__ void add_bf16(const u32 (&a)[ROWS][4], const u32 (&b)[COLUMNS][2]) {
        for (u32 u = 0; u < ROWS; ++u) {
            for (u32 v = 0; v < COLUMNS; ++v) {
                float(&sum)[4] = d[u][v];
                asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                    "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                    : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                    : "r"(a[u][0]), "r"(a[u][1]), "r"(a[u][2]), "r"(a[u][3]), "r"(b[v][0]),
                      "r"(b[v][1]));
            }
        }
    }
};

// The operand A of 8 depths, cut.
template <u32 ROWS> __device__ inline void cut_rows(u32 (&a)[ROWS][4]) {
    for (u32 u = 0; u < ROWS; ++u) {
        for (u32 e = 0; e < 4; ++e) a[u][e] = to_cut(a[u][e]);
    }
}

// The operand A of 16 depths from two times 8, as pairs of bf16.
template <u32 ROWS>
__device__ inline void pair_rows(u32 (&pairs)[ROWS][4], const u32 (&a)[2][ROWS][4]) {
    for (u32 u = 0; u < ROWS; ++u) {
        for (u32 e = 0; e < 4; ++e) pairs[u][e] = to_bf16x2(a[e / 2][u][e % 2], a[e / 2][u][e % 2 + 2]);
    }
}

// Runs `fetch(i, stage)` and `multiply(stage)` for i in 0 .. count, STAGES - 1 stages ahead. A stage is
// named by where it begins, a multiple of SIZE.
template <u32 STAGES, u32 SIZE, class Fetch, class Multiply>
__device__ inline void pipeline(u32 count, Fetch fetch, Multiply multiply) {
#pragma unroll 1  // each copy of `fetch` is long
    for (u32 i = 0; i < STAGES - 1; ++i) {
        if (i < count) fetch(i, i * SIZE);
        commit();
    }
    // Round after round, so that where a stage begins is known.
    for (u32 round = 0; round < count; round += STAGES) {
#pragma unroll
        for (u32 s = 0; s < STAGES; ++s) {
            u32 i = round + s;
            if (s > 0 && i >= count) break;
            wait_for_all_but<STAGES - 2>();
            __syncthreads();  // the stage is there for all, and the one before has been used by all
            if (i + STAGES - 1 < count) fetch(i + STAGES - 1, (s + STAGES - 1) % STAGES * SIZE);
            commit();
            multiply(s * SIZE);
        }
    }
}

// Stores FLOATS neighbours of a row of which `left` are inside; `whole`: all or none are, and aligned.
template <u32 FLOATS>
__device__ inline void store_row(float* at, const float (&x)[FLOATS], u32 left, bool whole) {
    if (whole) {
        Neighbours<FLOATS> neighbours;
        for (u32 j = 0; j < FLOATS; ++j) neighbours.of[j] = x[j];
        if (left > 0) neighbours.store(at);
    } else {
        for (u32 j = 0; j < FLOATS; ++j) {
            if (left > j) at[j] = x[j];
        }
    }
}
