// Sums in fixed trees: what is added to what depends on the shape alone.
//
// A tree has two stages. First every block adds up a part of the data and writes one partial sum;
// then one block adds the partial sums. A second launch is the only barrier between blocks, and it
// costs some microseconds and no memory traffic to speak of.
#include "common.cuh"

// y[part,c] = sum over the rows r of a part of x[r,c]; x is [rows, columns], y [parts, columns].
// Called on x, and then once more on the partial sums with one part: y[c] = sum over r of x[r,c].
//
// Launch: 2-D blocks, threadIdx.x on columns (see common.cuh); blockIdx.x is the part, blockIdx.y
// the tile of columns. Each thread adds every blockDim.y-th row of its part, then the threads above
// each other add up in a tree.
// Traffic: x once; parts * columns partial sums written and read, rows_per_part times less.
extern "C" __global__ void sum_rows(const float* x, float* y, u32 rows, u32 columns,
                                    u32 rows_per_part) {
    u32 c = blockIdx.y * blockDim.x + threadIdx.x;
    u32 first = blockIdx.x * rows_per_part, end = min(first + rows_per_part, rows);
    u32 count = c < columns ? steps(first + threadIdx.y, end, blockDim.y) : 0;
    x += (size_t)(first + threadIdx.y) * columns + c;
    float sum = 0.0f;
#pragma unroll 4
    for (u32 k = 0; k < count; ++k) sum += x[(size_t)k * blockDim.y * columns];
    sum = sum_over_y(sum);
    if (threadIdx.y == 0 && c < columns) y[(size_t)blockIdx.x * columns + c] = sum;
}

// y[r] = sum over c of x[r,c]; x is [rows, columns].
//
// Launch: one block of whole warps per row. Each thread adds every blockDim.x-th element, so a
// warp reads 128 bytes at a time; then shuffles within warps and one exchange between them.
// Traffic: x once, y once.
extern "C" __global__ void sum_columns(const float* x, float* y, u32 columns) {
    x += (size_t)blockIdx.x * columns;
    float sum = 0.0f;
    for (u32 c = threadIdx.x; c < columns; c += blockDim.x) sum += x[c];
    sum = block_sum(sum);
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

// dx[r,c] = dy[r]; n = rows * columns. One thread per element. Traffic: dy once, dx once.
extern "C" __global__ void sum_columns_backward(const float* dy, float* dx, u32 n, u32 columns) {
    u32 i = element();
    if (i < n) dx[i] = dy[i / columns];
}

// parts[block] = sum of the elements of x that fall to a block: thread t of the grid takes elements
// t, t + T, t + 2T .. with T threads in all.
//
// Launch: blocks of 256 threads, at most 1024 of them: a number that depends on n alone.
// Traffic: x once.
extern "C" __global__ void sum_parts(const float* x, float* parts, u32 n) {
    u32 threads = gridDim.x * blockDim.x, count = steps(element(), n, threads);
    x += element();
    float sum = 0.0f;
#pragma unroll 4
    for (u32 k = 0; k < count; ++k) sum += x[(size_t)k * threads];
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// As sum_parts, of 1 for every element that is infinite or NaN: the exponent's bits are all set.
extern "C" __global__ void count_not_finite(const u32* x, float* parts, u32 n) {
    const u32 EXPONENT = 0x7f800000u;
    float count = 0.0f;
    for (size_t i = element(); i < n; i += gridDim.x * blockDim.x) {
        if ((x[i] & EXPONENT) == EXPONENT) count += 1.0f;
    }
    count = block_sum(count);
    if (threadIdx.x == 0) parts[blockIdx.x] = count;
}

// y[0] = alpha times the sum of all parts. Launch: one block.
extern "C" __global__ void sum_of_parts(float alpha, const float* parts, float* y, u32 count) {
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *y = alpha * sum;
}
