// Long sums in f64: chunks of numbers, added in a tree (CHUNK of tensor/src/order.rs).
//
// The tree over n chunks is that over the first n / 2 of them plus that over the rest. Its nodes of
// depth d have numbers below 2^d, whose bits say left (0) or right (1) at each step from the root;
// nodes beyond a leaf are empty but for the rightmost, which is the leaf. So a block can take a
// node, and what is added to what depends on n alone.
#pragma once
#include "common.cuh"

constexpr u32 CHUNK = 16384;
constexpr u32 CHUNK_THREADS = 256;
constexpr u32 PIECE = 1024;
constexpr u32 PIECE_LANES = 16;
constexpr u32 PIECES = CHUNK / PIECE;
static_assert(PIECES * PIECE_LANES == CHUNK_THREADS, "a thread for each chain");

// Chunks first .. first + count.
struct Node {
    u32 first, count;
};

__device__ inline Node node(u32 chunks, u32 depth, u32 number) {
    Node n = {0, chunks};
    for (u32 bit = 1u << depth >> 1; bit > 0; bit /= 2) {
        u32 half = n.count / 2;
        n = number & bit ? Node{n.first + half, n.count - half} : Node{n.first, half};
    }
    return n;
}

// How many sums end with this chunk: the right turns at the end of its path from the node.
__device__ inline u32 ending(Node n, u32 chunk) {
    u32 turns = 0;
    while (n.count > 1) {
        u32 half = n.count / 2;
        bool right = chunk >= n.first + half;
        n = right ? Node{n.first + half, n.count - half} : Node{n.first, half};
        turns = right ? turns + 1 : 0;
    }
    return turns;
}

// A node's sum, right in thread 0: `chunk(i)` is the sum of chunk i, right in thread 0 as well. All
// threads of the block call it. 0 for an empty node.
template <class Chunk> __device__ double sum_node(Node n, Chunk chunk) {
    __shared__ double open[WARP];  // sums that wait for their right half: at most one at each depth
    u32 count = 0;
    double root = 0.0;
    for (u32 i = n.first; i < n.first + n.count; ++i) {
        double sum = chunk(i);
        if (threadIdx.x == 0) {
            for (u32 turns = ending(n, i); turns > 0; --turns) sum = open[--count] + sum;
            open[count++] = root = sum;
        }
    }
    return root;
}

// The sum of f(x) over the `len` numbers of a chunk, right in thread 0; blocks of CHUNK_THREADS.
// Thread t has chain t % 16 of piece t / 16.
template <class F> __device__ double sum_chunk(const float* x, u32 len, F f) {
    __shared__ double pieces[PIECES];
    u32 piece = threadIdx.x / PIECE_LANES, end = min((piece + 1) * PIECE, len);
    float chain = 0.0f;
    for (u32 i = piece * PIECE + threadIdx.x % PIECE_LANES; i < end; i += PIECE_LANES) {
        chain += f(x[i]);
    }
    double sum = 0.0;
    for (u32 i = 0; i < PIECE_LANES; ++i) sum += __shfl_sync(FULL, chain, i, PIECE_LANES);
    __syncthreads();  // the chunk before may still be read
    if (threadIdx.x % PIECE_LANES == 0) pieces[piece] = sum;
    __syncthreads();
    sum = 0.0;
    for (u32 i = 0; i < PIECES; ++i) sum += pieces[i];
    return sum;
}

// The root from its 2^depth nodes of this depth. `nodes` is overwritten; one thread. That of an
// empty node is 0, which changes nothing.
__device__ inline double sum_root(double* nodes, u32 depth) {
    for (u32 count = 1u << depth >> 1; count > 0; count /= 2) {
        for (u32 i = 0; i < count; ++i) nodes[i] = nodes[2 * i] + nodes[2 * i + 1];
    }
    return nodes[0];
}
