// Matrix products on tensor cores: C[m,n] = A[m,k] B[k,n] with A and B rounded to bf16 on the way
// from memory (f32) into shared memory, and f32 sums.
//
// bf16 is the upper half of an f32: 8 bits of mantissa, so an element is off by up to 2^-9 of
// itself, and a product of two is exact in f32. That error, not the sum's, is what C carries.
//
// One instruction, mma.sync.m16n8k16, is done by a whole warp: D[16,8] = A[16,16] B[16,8] + D, 2048
// multiply-adds, with A, B and D spread over the registers of its 32 lanes (lane l = 4 g + t):
//   A: rows g and g + 8, columns 2 t, 2 t + 1 and the same + 8: 4 registers of two bf16
//   B: rows 2 t, 2 t + 1 and the same + 8 of column g:          2 registers of two bf16
//   D: rows g and g + 8, columns 2 t, 2 t + 1:                  4 registers of f32
// ldmatrix fills A and B like that from 8 x 8 blocks of bf16 in shared memory, four at a time:
// lane l gives the address of the 16 bytes that are row l % 8 of block l / 8, and receives two
// neighbours of row l / 4 of each block.
//
// Launch: a block of 128 threads for each 64 x 64 tile of C, grid (ceil(m / 64), ceil(n / 64)).
// Each of the 4 warps has 32 x 32 of the tile: 2 x 4 times D, 32 registers.
// Traffic: m n k / 32 elements of 4 bytes read, m n written.
#include "tile.cuh"

typedef unsigned short bf16;

constexpr u32 SIDE = 64;     // of the tile
constexpr u32 DEPTH = 32;    // of a slab: two steps of 16
constexpr u32 PITCH = 40;    // of a row of a slab: rows start 80 bytes apart, so that the 8 rows of
                             // a block lie in different banks
constexpr u32 THREADS = 128;
constexpr u32 PAIRS = SIDE * DEPTH / 2 / THREADS;  // pairs of neighbours along p, per thread

// Two f32 rounded to the nearest bf16, ties to even, `low` in the lower half.
__device__ u32 to_bf16x2(float low, float high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

// Four 8 x 8 blocks; `row` is this lane's row of 16 bytes.
__device__ void load_blocks(u32 (&block)[4], const bf16* row) {
    u32 address = (u32)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(block[0]), "=r"(block[1]), "=r"(block[2]), "=r"(block[3])
                 : "r"(address)
                 : "memory");
}

// d += a b
__device__ void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// One thread's part in bringing 64 rows of 32 along p into shared memory.
struct PairLoader {
    Strided source;
    float value[PAIRS][2];

    // Along p, half a warp reads 32 neighbours; along i, a warp reads 32 neighbours of 2 rows p.
    __device__ u32 i(u32 n) const {
        return source.along_p ? threadIdx.x / 16 + n * (THREADS / 16) : threadIdx.x % SIDE;
    }
    __device__ u32 pair(u32 n) const {
        return source.along_p ? threadIdx.x % 16 : threadIdx.x / SIDE + n * (THREADS / SIDE);
    }
    __device__ void fetch(u32 slab, u32 end) {
        for (u32 n = 0; n < PAIRS; ++n) {
            for (u32 half = 0; half < 2; ++half) {
                u32 p = slab + 2 * pair(n) + half;
                value[n][half] = p < end ? source.load(source.line(i(n)), p) : 0.0f;
            }
        }
    }
    __device__ void store(bf16 (*rows)[PITCH]) const {
        for (u32 n = 0; n < PAIRS; ++n) {
            *(u32*)&rows[i(n)][2 * pair(n)] = to_bf16x2(value[n][0], value[n][1]);
        }
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
    gemm_bf16(u32 m, u32 n, u32 k, u32 a_row, u32 a_col, u32 b_row, u32 b_col, const float* a,
              const float* b, float* c) {
    // Both as [i][p]: the columns of B lie as rows.
    __shared__ __align__(16) bf16 panel_a[2][SIDE][PITCH], panel_b[2][SIDE][PITCH];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    u32 first_row = blockIdx.x * SIDE, first_column = blockIdx.y * SIDE;
    u32 warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
    PairLoader left{{a, first_row, m, a_row, a_col, a_col == 1}};
    PairLoader right{{b, first_column, n, b_col, b_row, b_row == 1}};
    float d[2][4][4] = {};

    for (u32 slab = 0, turn = 0;; slab += DEPTH, turn ^= 1) {
        left.fetch(slab, k);
        right.fetch(slab, k);
        for (u32 step = 0; slab > 0 && step < DEPTH; step += 16) {
            u32 x[2][4], y[2][4];
            for (u32 u = 0; u < 2; ++u) {
                // Blocks of A: rows 0-7 and 8-15 of columns 0-7, then both of columns 8-15.
                u32 i = warp_row + 16 * u + lane % 16;
                load_blocks(x[u], &panel_a[turn ^ 1][i][step + lane / 16 * 8]);
                // Blocks of B: rows 0-7 and 8-15 of columns 0-7, then both of columns 8-15.
                u32 j = warp_column + 16 * u + lane / 16 * 8 + lane % 8;
                load_blocks(y[u], &panel_b[turn ^ 1][j][step + lane / 8 % 2 * 8]);
            }
            for (u32 u = 0; u < 2; ++u) {
                for (u32 v = 0; v < 4; ++v) {
                    mma(d[u][v], x[u], y[v / 2][v % 2 * 2], y[v / 2][v % 2 * 2 + 1]);
                }
            }
        }
        if (slab >= k) break;
        left.store(panel_a[turn]);
        right.store(panel_b[turn]);
        __syncthreads();
    }

    for (u32 u = 0; u < 2; ++u) {
        for (u32 v = 0; v < 4; ++v) {
            for (u32 e = 0; e < 4; ++e) {
                u32 i = first_row + warp_row + 16 * u + lane / 4 + e / 2 * 8;
                u32 j = first_column + warp_column + 8 * v + lane % 4 * 2 + e % 2;
                if (i < m && j < n) c[(size_t)i * n + j] = d[u][v][e];
            }
        }
    }
}
