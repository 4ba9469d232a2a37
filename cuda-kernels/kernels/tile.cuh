// The register tile that every matrix product here is made of.
//
// C[i,j] = sum over p of A[i,p] B[p,j]: chains of fmaf over p in order from 0, which are added in
// order (tensor/src/order.rs says how long they are). A block owns a tile of M x N elements of C
// and goes through p in slabs of 16. For each slab its threads bring a panel of A, M x 16, and one
// of B, 16 x N, into shared memory; then each thread adds 16 outer products of PER values of A and
// PER of B to the PER x PER elements of C that it keeps in registers.
//
// Traffic: an element of a panel is read once from memory and used M or N times, so a tile of 64
// reads 4 bytes per 32 multiply-adds and one of 128 per 64; a thread reads 2 PER numbers from
// shared memory for PER * PER multiply-adds. Two pairs of panels take turns: the loads of a slab
// are under way, into registers, while the one before it is multiplied, and one barrier per slab
// is enough.
//
// Where A and B come from (a matrix, its transpose, the patches of a convolution, gathered rows,
// shared memory) is the business of a source, a struct with
//   Line line(u32 i)             what the loads of row i (column i for B) of the tile share
//   float load(Line line, u32 p) the element, 0 outside
//   bool along_p                 neighbours in memory are neighbours along p, not along i
#pragma once
#include "common.cuh"

constexpr u32 SLAB = 16;
// Rows of a panel are this much longer than needed. Threads that read along p store down a column
// of the panel; with 4 more the 8 x 4 elements that a warp stores lie in 32 different banks.
constexpr u32 PAD = 4;

// A's and B's panels, [p][i], twice.
template <u32 M, u32 N> struct __align__(16) Panels {
    float a[2][SLAB][M + PAD];
    float b[2][SLAB][N + PAD];
};

// The part of one thread in loading WIDTH x 16 elements of a source.
template <u32 WIDTH, u32 THREADS, class Source> struct Loader {
    static constexpr u32 COUNT = WIDTH * SLAB / THREADS;
    static_assert(THREADS % 64 == 0 && COUNT * THREADS == WIDTH * SLAB, "whole passes");
    Source source;
    typename Source::Line line[COUNT];
    float value[COUNT];

    __device__ explicit Loader(const Source& source) : source(source) {
        for (u32 n = 0; n < COUNT; ++n) line[n] = source.line(i(n));
    }
    // Along p, a warp reads 8 neighbours (32 bytes, what memory hands out at once) of 4 rows, and
    // two warps share 16; along i, all neighbours.
    __device__ u32 i(u32 n) const {
        u32 t = threadIdx.x;
        return source.along_p ? t / 8 % 4 + t / 64 * 4 + n * (THREADS / SLAB) : t % WIDTH;
    }
    __device__ u32 p(u32 n) const {
        u32 t = threadIdx.x;
        return source.along_p ? t % 8 + t / 32 % 2 * 8 : t / WIDTH + n * (THREADS / WIDTH);
    }
    __device__ void fetch(u32 slab, u32 end) {
        for (u32 n = 0; n < COUNT; ++n) {
            value[n] = slab + p(n) < end ? source.load(line[n], slab + p(n)) : 0.0f;
        }
    }
    __device__ void store(float (*panel)[WIDTH + PAD]) const {
        for (u32 n = 0; n < COUNT; ++n) panel[p(n)][i(n)] = value[n];
    }
};

// A thread's elements of a tile. They come in groups of 4 neighbours, so that a warp's reads of
// shared memory and its stores are of 16 bytes per thread and without gaps.
template <u32 M, u32 N, u32 PER = 4> struct Tile {
    static constexpr u32 THREADS = (M / PER) * (N / PER);
    static constexpr u32 GROUPS = PER / 4;
    float sum[PER][PER] = {};

    // The row and the column in the tile of this thread's u-th ones.
    __device__ static u32 row(u32 u) {
        return u / 4 * (M / GROUPS) + threadIdx.x / (N / PER) * 4 + u % 4;
    }
    __device__ static u32 column(u32 v) {
        return v / 4 * (N / GROUPS) + threadIdx.x % (N / PER) * 4 + v % 4;
    }

    // Takes the sums in C [rows, columns], whose element (first_row, first_column) is the
    // tile's first.
    __device__ void take(const float* c, u32 first_row, u32 rows, u32 first_column, u32 columns) {
        for (u32 u = 0; u < PER; ++u) {
            for (u32 v = 0; v < PER; ++v) {
                u32 i = first_row + row(u), j = first_column + column(v);
                if (i < rows && j < columns) sum[u][v] = c[(size_t)i * columns + j];
            }
        }
    }

    // Continues the chains with p from `first` to `end`. All threads of the block call it.
    template <class A, class B>
    __device__ void multiply(Panels<M, N>& panels, const A& a, const B& b, u32 first, u32 end) {
        Loader<M, THREADS, A> left(a);
        Loader<N, THREADS, B> right(b);
        __syncthreads();  // the panels of an earlier product may still be read
        for (u32 slab = first, turn = 0;; slab += SLAB, turn ^= 1) {
            left.fetch(slab, end);
            right.fetch(slab, end);
            u32 before = turn ^ 1;
            if (slab > first) outer_products(panels.a[before], panels.b[before], end - slab + SLAB);
            if (slab >= end) break;
            left.store(panels.a[turn]);
            right.store(panels.b[turn]);
            __syncthreads();
        }
    }

    // The same in chains of `length`, whose sums are added in order: to `sum` if it `adds`, else it
    // becomes the first. All threads of the block call it.
    template <class A, class B>
    __device__ void add_chains(Panels<M, N>& panels, const A& a, const B& b, u32 first, u32 end,
                               u32 length, bool adds) {
        for (; first < end; first += length, adds = true) {
            Tile chain;
            chain.multiply(panels, a, b, first, first + min(length, end - first));
            for (u32 u = 0; u < PER; ++u) {
                for (u32 v = 0; v < PER; ++v) {
                    sum[u][v] = adds ? sum[u][v] + chain.sum[u][v] : chain.sum[u][v];
                }
            }
            if (end - first <= length) break;  // also before `first` would wrap
        }
    }

    // Of the slab's columns of A that are `left`: a product of the zeros behind them would turn a
    // sum of -0 into 0.
    __device__ void outer_products(const float (*a)[M + PAD], const float (*b)[N + PAD], u32 left) {
#pragma unroll 4
        for (u32 p = 0; p < min(left, SLAB); ++p) {
            float x[PER], y[PER];
            for (u32 u = 0; u < PER; u += 4) {
                *(float4*)&x[u] = *(const float4*)&a[p][row(u)];
                *(float4*)&y[u] = *(const float4*)&b[p][column(u)];
            }
            for (u32 u = 0; u < PER; ++u) {
                for (u32 v = 0; v < PER; ++v) sum[u][v] = fmaf(x[u], y[v], sum[u][v]);
            }
        }
    }
};

// Stores the first of 4 neighbours that are `left`, in one piece where the address allows.
__device__ inline void store4(float* at, const float* x, u32 left) {
    if (left >= 4 && (unsigned long long)at % 16 == 0) {
        *(float4*)at = make_float4(x[0], x[1], x[2], x[3]);
    } else {
        for (u32 v = 0; v < 4; ++v) {
            if (v < left) at[v] = x[v];
        }
    }
}

// A matrix in memory, of less than 2^32 elements: element (i, p) of the tile that starts at row
// `first` is x[(first + i) * step_i + p * step_p]. A transposed matrix has its two steps swapped.
struct Strided {
    const float* x;
    u32 first, rows;
    u32 step_i, step_p;
    bool along_p;

    struct Line {
        u32 at;
        bool inside;
    };
    __device__ Line line(u32 i) const { return {(first + i) * step_i, first + i < rows}; }
    __device__ float load(Line line, u32 p) const {
        return line.inside ? x[line.at + p * step_p] : 0.0f;
    }
};
