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
// first. Counted by the emulator at V = 2, B = 8, K = 1024, N_B = 512, nothing cached: 90 bytes per
// logit for loss and gradient, 48 of them asked for.
#include "loss.cuh"

// Probabilities: softmax of each row inside each block.
//
// Launch: a warp for each row and block, blocks of the same row next to each other.
// Traffic: 32 bytes (4 where caches help) gathered per logit, and 24 in order, 4 of them from
// memory.
extern "C" __global__ void partition_softmax(u32 rows, u32 student_rows, u32 prototypes, u32 blocks,
                                             u32 size, const float* student, const float* teacher,
                                             const u32* permutation, float* probabilities) {
    u32 row = row_of_warp() / blocks, block = row_of_warp() % blocks;
    if (row >= rows) return;
    bool is_student = row < student_rows;
    const float* logits = (is_student ? student : teacher) +
                          (size_t)(is_student ? row : row - student_rows) * prototypes;
    const u32* index = permutation + block * size;
    float* p = probabilities + ((size_t)row * blocks + block) * size;
    for (u32 c = lane(); c < size; c += WARP) p[c] = logits[index[c]];
    softmax_in_place(p, size);
}

// g of each column, and its part of the divergence, from the sum of its probabilities.
//
// Launch: a thread for each of the `used` = P N_B columns.
extern "C" __global__ void partition_divergence(u32 rows, u32 used, u32 size, const float* sums,
                                                float* g, float* divergences) {
    u32 c = element();
    if (c < used) divergences[c] = divergence(sums[c] / (float)rows, (float)size, g[c]);
}

// The gradient of each student row in each block, and its sum of -ln d.
//
// Launch: a warp for each student row and block.
// Traffic: per logit 40 bytes read in order (p three times, q_0, q_1, g twice; 16 of them from
// memory) and 32 scattered (4 where caches gather the row before it leaves them).
extern "C" __global__ void partition_gradient(u32 views, u32 batch, u32 prototypes, u32 blocks,
                                              u32 size, float terms, float by_entropy,
                                              const float* probabilities, const float* g,
                                              const u32* permutation, float* grad_student,
                                              double* negative_logs) {
    u32 row = row_of_warp() / blocks, block = row_of_warp() % blocks;
    if (row >= views * batch) return;
    u32 view = row / batch, image = row % batch, q_row = views * batch + image;
    const float* p = probabilities + ((size_t)row * blocks + block) * size;
    const float* q0 = probabilities + ((size_t)q_row * blocks + block) * size;
    const float* q1 = q0 + (size_t)batch * blocks * size;
    const u32* index = permutation + block * size;
    float* grad = grad_student + (size_t)row * prototypes;
    g += block * size;

    RowTerms row_terms(view, p, q0, q1, g, size, terms);
    if (lane() == 0) negative_logs[row_of_warp()] = row_terms.negative_log;
    for (u32 c = lane(); c < size; c += WARP) {
        grad[index[c]] = row_terms.gradient(p[c], q0[c], q1[c], g[c], by_entropy);
    }
    u32 surplus = prototypes - blocks * size;
    for (u32 i = lane(); block == 0 && i < surplus; i += WARP) {
        grad[permutation[blocks * size + i]] = 0.0f;
    }
}

// C = sum of the -ln d over |S| P B terms, H = sum of the divergences over P blocks, and C + H. A
// row's -ln d are a chain, and so are the rows; a block's divergences are a chain, and so are the
// blocks; all in f64, since H near 0 is the small rest of large terms. `negative_logs` and
// `block_sums` become scratch memory.
//
// Launch: one block.
extern "C" __global__ void loss_terms(u32 rows, u32 blocks, u32 size, u32 terms,
                                      double* negative_logs, const float* divergences,
                                      double* block_sums, float* loss, float* consistency,
                                      float* entropy) {
    for (u32 row = threadIdx.x; row < rows; row += blockDim.x) {
        double* of_row = negative_logs + (size_t)row * blocks;
        double sum = 0.0;
        for (u32 block = 0; block < blocks; ++block) sum += of_row[block];
        of_row[0] = (float)sum;
    }
    for (u32 block = threadIdx.x; block < blocks; block += blockDim.x) {
        double sum = 0.0;
        for (u32 c = 0; c < size; ++c) sum += divergences[block * size + c];
        block_sums[block] = sum;
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    double c = 0.0, h = 0.0;
    for (u32 row = 0; row < rows; ++row) c += negative_logs[(size_t)row * blocks];
    for (u32 block = 0; block < blocks; ++block) h += block_sums[block];
    c /= terms;
    h /= blocks;
    *consistency = (float)c;
    *entropy = (float)h;
    *loss = (float)(c + h);
}
