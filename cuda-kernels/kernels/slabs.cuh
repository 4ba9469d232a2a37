// Slabs in shared memory: 128 bytes of each row of a tile, 32 f32 or 64 bf16 that are neighbours in
// memory.
#pragma once
#include "async_copy.cuh"

// A row has 8 chunks of 16 bytes: of row i, chunk c at place c ^ (i % 8). Of 32 bf16 it has 4 chunks, c
// at c ^ (i / 2 % 4). So the 8 rows that ldmatrix reads at once, and the 8 chunks that are
// written at once, lie in different banks.
constexpr u32 THREADS = 128;
constexpr u32 CHUNK = 16;

template <u32 CHUNKS> __device__ inline u32 chunk_at(u32 i, u32 chunk) {
    u32 turn = CHUNKS == 8 ? i % 8 : i / 2 % 4;
    return (i * CHUNKS + (chunk ^ turn)) * CHUNK;
}

// x, kept in a register: ptxas computes what it can anew in each round of a loop, but no shuffle.
__device__ inline u32 kept(u32 x) { return __shfl_sync(FULL, x, threadIdx.x % WARP); }
