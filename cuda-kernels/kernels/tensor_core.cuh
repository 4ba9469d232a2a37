// Matrix products on tensor cores, with operands rounded on their way into the registers.
//
// C[i,j] = sum over p of A[i,p] B[p,j], all f32 in memory. The operands are rounded to the nearest tf32
// (10 bits of mantissa: off by up to 2^-11 of itself) or bf16 (7 bits: 2^-8); a product of two is exact
// in f32, and the sums are f32. That error, not the sum's, is what C carries.
//
// One instruction is done by a whole warp: mma.sync.m16n8k8 for tf32, D[16,8] += A[16,8] B[8,8], and
// m16n8k16 for bf16, with twice the depth. Lane l = 4 g + t holds
//   A: rows g and g + 8 at depths t and t + 4: 4 registers of one tf32
//   B: column g at depths t and t + 4:         2 registers of one tf32
//   D: rows g and g + 8, columns 2 t and 2 t + 1: 4 registers of f32
// and for bf16 pairs of neighbours along the depth, in as many registers. Which depths are neighbours
// is free as long as A and B agree, so the pairs here are depths t and t + 4 of the same registers, and
// both precisions read shared memory alike.
//
// A block of 128 threads has a tile of M x N, and each of its 4 warps a quarter, (M / 2) x (N / 2). The
// panels of a slab come by cp.async, which copies from memory to shared memory without registers, and
// writes zeros for what is outside. STAGES slabs are under way or in use at a time.
// Traffic: an element of a panel is read once from memory and used M or N times, so a tile of 128
// reads 4 bytes per 64 multiply-adds.
#pragma once
#include "async_copy.cuh"

enum Precision { TF32, BF16 };

constexpr u32 THREADS = 128;

// Four 8 x 4 blocks of f32: lane l gives the address of row l % 8 of block l / 8, and receives element
// l % 4 of row l / 4 of each block. (The instruction's blocks are of 8 x 8 halves.)
__device__ inline void load_blocks(u32 (&block)[4], const float* row) {
    u32 address = (u32)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(block[0]), "=r"(block[1]), "=r"(block[2]), "=r"(block[3])
                 : "r"(address)
                 : "memory");
}

__device__ inline u32 to_tf32(u32 x) {
    u32 rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(x)));
    return rounded;
}

__device__ inline u32 to_bf16x2(u32 low, u32 high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;"
        : "=r"(pair)
        : "f"(__uint_as_float(high)), "f"(__uint_as_float(low)));
    return pair;
}

// A warp's sums, of ROWS times 16 rows and COLUMNS times 8 columns.
template <u32 ROWS, u32 COLUMNS> struct Sums {
    float d[ROWS][COLUMNS][4] = {};

    // Adds the products of 8 depths: a[u] are rows g, g + 8 at depth t, then both at t + 4; b[v]
    // column g at depths t and t + 4.
    __device__ void add_tf32(u32 (&a)[ROWS][4], u32 (&b)[COLUMNS][2]) {
        for (u32 u = 0; u < ROWS; ++u) {
            for (u32 e = 0; e < 4; ++e) a[u][e] = to_tf32(a[u][e]);
        }
        for (u32 v = 0; v < COLUMNS; ++v) {
            for (u32 e = 0; e < 2; ++e) b[v][e] = to_tf32(b[v][e]);
        }
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

    // The same of 16 depths, as two times 8.
    __device__ void add_bf16(u32 (&a)[2][ROWS][4], u32 (&b)[2][COLUMNS][2]) {
        u32 x[ROWS][4], y[COLUMNS][2];
        for (u32 half = 0; half < 2; ++half) {
            for (u32 u = 0; u < ROWS; ++u) {
                x[u][2 * half] = to_bf16x2(a[half][u][0], a[half][u][2]);
                x[u][2 * half + 1] = to_bf16x2(a[half][u][1], a[half][u][3]);
            }
            for (u32 v = 0; v < COLUMNS; ++v) y[v][half] = to_bf16x2(b[half][v][0], b[half][v][1]);
        }
        for (u32 u = 0; u < ROWS; ++u) {
            for (u32 v = 0; v < COLUMNS; ++v) {
                float(&sum)[4] = d[u][v];
                asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                    "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                    : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                    : "r"(x[u][0]), "r"(x[u][1]), "r"(x[u][2]), "r"(x[u][3]), "r"(y[v][0]),
                      "r"(y[v][1]));
            }
        }
    }
};

// Goes through a slab of DEPTH with `load(depth, a, b)`, which fetches the operands of 8 depths.
template <Precision PRECISION, u32 DEPTH, u32 ROWS, u32 COLUMNS, class Load>
__device__ inline void multiply_slab(Sums<ROWS, COLUMNS>& sums, Load load) {
    if (PRECISION == TF32) {
#pragma unroll
        for (u32 depth = 0; depth < DEPTH; depth += 8) {
            u32 a[ROWS][4], b[COLUMNS][2];
            load(depth, a, b);
            sums.add_tf32(a, b);
        }
    } else {
#pragma unroll
        for (u32 depth = 0; depth < DEPTH; depth += 16) {
            u32 a[2][ROWS][4], b[2][COLUMNS][2];
            load(depth, a[0], b[0]);
            load(depth + 8, a[1], b[1]);
            sums.add_bf16(a, b);
        }
    }
}

// Runs `fetch(slab, stage)` and `multiply(stage)` for the slabs 0 .. slabs, STAGES - 1 slabs ahead.
template <u32 STAGES, class Fetch, class Multiply>
__device__ inline void pipeline(u32 slabs, Fetch fetch, Multiply multiply) {
#pragma unroll 1  // each copy of `fetch` is long
    for (u32 slab = 0; slab < STAGES - 1; ++slab) {
        if (slab < slabs) fetch(slab, slab);
        commit();
    }
    for (u32 slab = 0, stage = 0; slab < slabs; ++slab) {
        wait_for_all_but<STAGES - 2>();
        __syncthreads();  // the slab is there for all, and the one before has been used by all
        u32 ahead = slab + STAGES - 1, free = stage == 0 ? STAGES - 1 : stage - 1;
        if (ahead < slabs) fetch(ahead, free);
        commit();
        multiply(stage);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    }
}

// Stores two neighbours of a row of which `left` are inside; FLOATS = 4: pairs are whole and aligned.
template <u32 FLOATS> __device__ inline void store2(float* at, float first, float second, u32 left) {
    if (FLOATS == 4) {
        if (left > 0) *(float2*)at = make_float2(first, second);
    } else {
        if (left > 0) at[0] = first;
        if (left > 1) at[1] = second;
    }
}

// A thread's place in the sums of a tile: its warp's first row and column, and of those its own.
template <u32 M, u32 N> struct Place {
    u32 row, column, g, t;

    __device__ Place() {
        u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
        row = warp / 2 * (M / 2);
        column = warp % 2 * (N / 2);
        g = lane / 4;
        t = lane % 4;
    }
};
