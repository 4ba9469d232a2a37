// CARP's loss over logits, with its gradient: formulas in loss.cuh.
//
// Student logits are [V B, K], the teacher's [2 B, K], view by view; the permutation [K] puts the
// prototypes in order, block k of the partition being places k N_B .. (k + 1) N_B. The surplus
// behind the P blocks sits out: its gradient is 0.
//
// A row's places in a block are scattered over the row, and memory hands out 32 bytes at a time: a
// gather reads 32 bytes for each logit of 4, unless caches still hold the row when the other blocks
// come for the rest. So logits are gathered once and gradients scattered once; in between
// everything lies in order, in the workspace: probabilities [R, P N_B] of all rows, the student's
// first.
#include "loss.cuh"

constexpr u32 THREADS = 256;
constexpr u32 WARPS = THREADS / WARP;

// The sum of x over the block, right in thread 0.
__device__ double block_sum(double x) {
    __shared__ double of_warp[WARPS];
    x = warp_sum(x);
    if (threadIdx.x % WARP == 0) of_warp[threadIdx.x / WARP] = x;
    __syncthreads();
    double sum = 0.0;
    for (u32 w = 0; w < WARPS; ++w) sum += of_warp[w];
    return sum;
}

// Probabilities: softmax of each row inside each block.
//
// Launch: a warp for each row and block, blocks of the same row next to each other.
// Traffic: 32 bytes (4 where caches help) gathered per logit, and 16 in order.
extern "C" __global__ void __launch_bounds__(THREADS)
    partition_softmax(u32 rows, u32 student_rows, u32 prototypes, u32 blocks, u32 size,
                      const float* student, const float* teacher, const u32* permutation,
                      float* probabilities) {
    u32 warp = element() / WARP, lane = threadIdx.x % WARP;
    u32 row = warp / blocks, block = warp % blocks;
    if (row >= rows) return;
    bool is_student = row < student_rows;
    const float* logits = (is_student ? student : teacher) +
                          (size_t)(is_student ? row : row - student_rows) * prototypes;
    const u32* index = permutation + block * size;
    float* p = probabilities + ((size_t)row * blocks + block) * size;

    // A lane only comes back to what it wrote itself.
    float max = -infinity(), sum = 0.0f;
    for (u32 c = lane; c < size; c += WARP) {
        p[c] = logits[index[c]];
        max = fmaxf(max, p[c]);
    }
    max = warp_max(max);
    for (u32 c = lane; c < size; c += WARP) sum += expf(p[c] - max);
    float scale = 1.0f / warp_sum(sum);
    for (u32 c = lane; c < size; c += WARP) p[c] = expf(p[c] - max) * scale;
}

// g of each column, and the divergence of each thread block's columns.
//
// Launch: a thread for each of the `used` = P N_B columns, which goes down all rows.
// Traffic: 4 bytes per probability.
extern "C" __global__ void __launch_bounds__(THREADS)
    partition_divergence(u32 rows, u32 used, u32 size, const float* probabilities, float* g,
                         float* divergences) {
    u32 c = element();
    double h = 0.0;
    if (c < used) {
        float sum = 0.0f;
        for (u32 row = 0; row < rows; ++row) sum += probabilities[(size_t)row * used + c];
        h = divergence(sum / (float)rows, (float)size, g[c]);
    }
    h = block_sum(h);
    if (threadIdx.x == 0) divergences[blockIdx.x] = (float)h;
}

// The gradient of each student row in each block, and -ln d of each thread block's.
//
// Launch: a warp for each student row and block.
// Traffic: per logit 32 bytes read in order (p, q_0, q_1, g, twice; the second time from L1) and 32
// scattered (4 where caches gather the row before it leaves them).
extern "C" __global__ void __launch_bounds__(THREADS)
    partition_gradient(u32 views, u32 batch, u32 prototypes, u32 blocks, u32 size, float terms,
                       float by_entropy, const float* probabilities, const float* g,
                       const u32* permutation, float* grad_student, float* negative_logs) {
    u32 warp = element() / WARP, lane = threadIdx.x % WARP;
    u32 row = warp / blocks, block = warp % blocks;
    double negative_log = 0.0;
    if (row < views * batch) {
        u32 view = row / batch, image = row % batch, q_row = views * batch + image;
        const float* p = probabilities + ((size_t)row * blocks + block) * size;
        const float* q0 = probabilities + ((size_t)q_row * blocks + block) * size;
        const float* q1 = q0 + (size_t)batch * blocks * size;
        const u32* index = permutation + block * size;
        float* grad = grad_student + (size_t)row * prototypes;
        g += block * size;

        float d[2] = {}, mean_g = 0.0f;
        for (u32 c = lane; c < size; c += WARP) {
            d[0] = fmaf(p[c], q0[c], d[0]);
            d[1] = fmaf(p[c], q1[c], d[1]);
            mean_g = fmaf(p[c], g[c], mean_g);
        }
        d[0] = warp_sum(d[0]);
        d[1] = warp_sum(d[1]);
        mean_g = warp_sum(mean_g);
        RowTerms row_terms(view, d, terms);
        if (lane == 0) negative_log = row_terms.negative_log;
        for (u32 c = lane; c < size; c += WARP) {
            grad[index[c]] = row_terms.gradient(p[c], q0[c], q1[c], g[c] - mean_g, by_entropy);
        }
        u32 surplus = prototypes - blocks * size;
        for (u32 i = lane; block == 0 && i < surplus; i += WARP) {
            grad[permutation[blocks * size + i]] = 0.0f;
        }
    }
    negative_log = block_sum(negative_log);
    if (threadIdx.x == 0) negative_logs[blockIdx.x] = (float)negative_log;
}

// C = sum of the -ln d over |S| P B terms, H = sum of the divergences over P blocks, and C + H.
//
// Launch: one block.
extern "C" __global__ void __launch_bounds__(THREADS)
    loss_terms(u32 rows, u32 columns, u32 terms, u32 blocks, const float* negative_logs,
               const float* divergences, float* loss, float* consistency, float* entropy) {
    double c = 0.0, h = 0.0;
    for (u32 i = threadIdx.x; i < rows; i += THREADS) c += negative_logs[i];
    for (u32 i = threadIdx.x; i < columns; i += THREADS) h += divergences[i];
    c = block_sum(c) / terms;
    __syncthreads();  // the sum's scratch memory
    h = block_sum(h) / blocks;
    if (threadIdx.x == 0) {
        *consistency = (float)c;
        *entropy = (float)h;
        *loss = (float)(c + h);
    }
}
