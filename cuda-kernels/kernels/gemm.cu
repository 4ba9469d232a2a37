// Matrix products C[m,n] = A[m,k] B[k,n] in f32, row-major, each of A and B possibly transposed.
//
// A transposed matrix needs no kernel of its own: element (i, p) of A is at i * a_row + p * a_col,
// and a transposed A has its two steps swapped. Only the order in which threads load a panel
// follows the layout, so that neighbouring threads read neighbouring elements.
#include "tile.cuh"

// The first rung: one thread per element of C, kept to measure and to check the others against.
//
// Launch: blocks of 16 x 16 threads, grid (ceil(n / 16), ceil(m / 16)).
// Traffic: 8 bytes for each of the m n k multiply-adds. A warp asks for two words of A and for 16
// neighbours of B at a time, so a quarter of it reaches the caches: 67 MB at 256 x 256 x 256,
// counted by the emulator, where the tiles below move 2.4 MB.
extern "C" __global__ void gemm_naive(u32 m, u32 n, u32 k, u32 a_row, u32 a_col, u32 b_row,
                                      u32 b_col, const float* a, const float* b, float* c) {
    u32 i = blockIdx.y * blockDim.y + threadIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= m || j >= n) return;
    float sum = 0.0f;
    for (u32 p = 0; p < k; ++p) {
        sum = fmaf(a[(size_t)i * a_row + (size_t)p * a_col],
                   b[(size_t)p * b_row + (size_t)j * b_col], sum);
    }
    c[(size_t)i * n + j] = sum;
}

// Register-tiled: see tile.cuh.
//
// Launch: a block for each M x N tile of C and each part of k: grid (ceil(m / M), ceil(n / N),
// parts), M N / PER^2 threads. Where C has few rows and k is large (gradients of weights), k is
// cut into `parts` of `part` each; part z writes its product to the z-th matrix [m,n] behind c, and
// gemm_sum_parts adds these up. A part is chains of `chain`. bias [n], unless it is null,
// is added to every row; where k is cut, only by gemm_sum_parts.
// Traffic: m n k (1/M + 1/N) elements read, parts * m n written. In the emulator, for all four
// transposes: every transaction of 32 bytes used whole, no bank conflicts, and 57 % of the
// instructions are multiply-adds (64 x 64, k = 256; 63 % for 128 x 128 at k = 64).
template <u32 M, u32 N, u32 PER>
__device__ void gemm(u32 m, u32 n, u32 k, u32 part, u32 chain, u32 a_row, u32 a_col,
                     u32 b_row, u32 b_col, const float* a, const float* b, const float* bias,
                     float* c) {
    __shared__ Panels<M, N> panels;
    u32 first_row = blockIdx.x * M, first_column = blockIdx.y * N;
    u32 first = blockIdx.z * part, end = min(first + part, k);
    Tile<M, N, PER> tile;
    tile.add_chains(panels, Strided{a, first_row, m, a_row, a_col, a_col == 1},
                    Strided{b, first_column, n, b_col, b_row, b_row == 1}, first, end, chain,
                    false);
    if (bias != nullptr) {
        for (u32 v = 0; v < PER; ++v) {
            u32 j = first_column + tile.column(v);
            float of_column = j < n ? bias[j] : 0.0f;
            for (u32 u = 0; u < PER; ++u) tile.sum[u][v] += of_column;
        }
    }
    c += (size_t)blockIdx.z * m * n;
    for (u32 u = 0; u < PER; ++u) {
        for (u32 v = 0; v < PER; v += 4) {
            u32 i = first_row + tile.row(u), j = first_column + tile.column(v);
            if (i < m && j < n) store4(&c[(size_t)i * n + j], &tile.sum[u][v], n - j);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    gemm_128x128(u32 m, u32 n, u32 k, u32 part, u32 chain, u32 a_row, u32 a_col, u32 b_row,
                 u32 b_col, const float* a, const float* b, const float* bias, float* c) {
    gemm<128, 128, 8>(m, n, k, part, chain, a_row, a_col, b_row, b_col, a, b, bias, c);
}

extern "C" __global__ void __launch_bounds__(256)
    gemm_64x64(u32 m, u32 n, u32 k, u32 part, u32 chain, u32 a_row, u32 a_col, u32 b_row, u32 b_col,
               const float* a, const float* b, const float* bias, float* c) {
    gemm<64, 64, 4>(m, n, k, part, chain, a_row, a_col, b_row, b_col, a, b, bias, c);
}

// For C of few columns, and the next for C of few rows: a square tile would be mostly empty.
extern "C" __global__ void __launch_bounds__(64)
    gemm_64x16(u32 m, u32 n, u32 k, u32 part, u32 chain, u32 a_row, u32 a_col, u32 b_row, u32 b_col,
               const float* a, const float* b, const float* bias, float* c) {
    gemm<64, 16, 4>(m, n, k, part, chain, a_row, a_col, b_row, b_col, a, b, bias, c);
}

extern "C" __global__ void __launch_bounds__(64)
    gemm_16x64(u32 m, u32 n, u32 k, u32 part, u32 chain, u32 a_row, u32 a_col, u32 b_row, u32 b_col,
               const float* a, const float* b, const float* bias, float* c) {
    gemm<16, 64, 4>(m, n, k, part, chain, a_row, a_col, b_row, b_col, a, b, bias, c);
}

// c[e] = sum over z of parts[z][e], in order: the same bits each time; and bias [columns] is added
// to every row unless it is null.
//
// Launch: one thread per element. Traffic: (parts + 1) * elements * 4 bytes.
extern "C" __global__ void gemm_sum_parts(u32 parts, u32 elements, u32 columns, const float* x,
                                          const float* bias, float* c) {
    u32 e = element();
    if (e >= elements) return;
    float sum = 0.0f;
#pragma unroll 8
    for (u32 z = 0; z < parts; ++z) sum += x[(size_t)z * elements + e];
    c[e] = bias == nullptr ? sum : sum + bias[e % columns];
}
