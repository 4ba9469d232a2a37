// CARP's loss from embeddings and prototypes, block by block of the partition: logits of all K
// prototypes never exist.
//
// With z the student's embeddings [V B,D], v its prototypes [K,D] before weight norm, w = v / |v|,
// the teacher's likewise, and a block's N_B rows of v given by the permutation:
//   s = z w^T    ds as in loss.cuh    dz += ds w    dw = ds^T z    dv = (dw - w <w, dw>) / |v|
//
// A few tasks share the blocks of the partition (streaming_tasks in tensor/src/order.rs), each with
// its own part of the workspace. In a step, every task takes its next block through all kernels
// here: a step per launch, a task per blockIdx or group of warps. A task that has no block left
// does nothing. dz of a task is added up from block to block; gemm_sum_parts adds up the tasks at
// the end.
//
// A task's rows are probabilities x [R, N_B] of all V B student rows and then of the 2 B teacher
// rows; its prototypes are w [N_B, D], their lengths |v| [N_B] and dw [N_B, D].
#include "loss.cuh"
#include "tile.cuh"

constexpr u32 NONE = 0xffffffff;

// Where the tasks are: their number, and that of the partition's blocks and of the step.
struct Turn {
    u32 tasks, blocks, step;

    // The task's block in this step, or NONE.
    __device__ u32 block(u32 task) const {
        if (task >= tasks) return NONE;
        u32 block = (unsigned long long)task * blocks / tasks + step;
        return block < (unsigned long long)(task + 1) * blocks / tasks ? block : NONE;
    }
};

// w = v / |v| of the block's prototypes, and |v|.
//
// Launch: a warp for each task and prototype of its block.
// Traffic: v twice (the second time from a cache) and w once.
extern "C" __global__ void streaming_prototypes(u32 tasks, u32 blocks, u32 step, u32 size, u32 dim,
                                                const float* v, const u32* permutation, float* w,
                                                float* lengths) {
    u32 warp = row_of_warp(), block = Turn{tasks, blocks, step}.block(warp / size);
    if (block == NONE) return;
    v += (size_t)permutation[block * size + warp % size] * dim;
    w += (size_t)warp * dim;
    float length = sqrtf(row_dot(v, v, dim));
    if (lane() == 0) lengths[warp] = length;
    for (u32 d = lane(); d < dim; d += WARP) w[d] = v[d] / length;
}

// C = A B of each task in chains of `chain`, as gemm in gemm.cu; where `adds`, added to what C
// holds. The matrices of a task are a_task, b_task, c_task elements behind those of the task
// before.
//
// Launch: a block of 256 threads for each 64 x 64 tile of C and each task: grid (ceil(m / 64),
// ceil(n / 64), tasks).
extern "C" __global__ void __launch_bounds__(256)
    streaming_product(u32 tasks, u32 blocks, u32 step, u32 m, u32 n, u32 k, u32 chain, u32 a_task,
                      u32 a_row, u32 a_col, u32 b_task, u32 b_row, u32 b_col, u32 c_task, u32 adds,
                      const float* a, const float* b, float* c) {
    __shared__ Panels<64, 64> panels;
    u32 task = blockIdx.z, first_row = blockIdx.x * 64, first_column = blockIdx.y * 64;
    if (Turn{tasks, blocks, step}.block(task) == NONE) return;
    a += (size_t)task * a_task;
    b += (size_t)task * b_task;
    c += (size_t)task * c_task;
    Tile<64, 64> tile;
    if (adds) tile.take(c, first_row, m, first_column, n);
    tile.add_chains(panels, Strided{a, first_row, m, a_row, a_col, a_col == 1},
                    Strided{b, first_column, n, b_col, b_row, b_row == 1}, 0, k, chain, adds);
    for (u32 u = 0; u < 4; ++u) {
        u32 i = first_row + tile.row(u), j = first_column + tile.column(0);
        if (i < m && j < n) store4(&c[(size_t)i * n + j], tile.sum[u], n - j);
    }
}

// Softmax of each row, in place.
//
// Launch: a warp for each task and row.
extern "C" __global__ void streaming_softmax(u32 tasks, u32 blocks, u32 step, u32 rows, u32 size,
                                             float* x) {
    u32 row = row_of_warp();
    if (Turn{tasks, blocks, step}.block(row / rows) == NONE) return;
    softmax_in_place(x + (size_t)row * size, size);
}

// g of each prototype, and its part of the divergence, from the mean of its probabilities.
//
// Launch: a thread for each task and prototype, which goes down all rows.
extern "C" __global__ void streaming_divergence(u32 tasks, u32 blocks, u32 step, u32 rows, u32 size,
                                                const float* x, float* g, float* divergences) {
    u32 i = element(), task = i / size;
    if (Turn{tasks, blocks, step}.block(task) == NONE) return;
    x += (size_t)task * rows * size + i % size;
    float sum = 0.0f;
#pragma unroll 4
    for (u32 row = 0; row < rows; ++row) sum += x[(size_t)row * size];
    divergences[i] = divergence(sum / (float)rows, (float)size, g[i]);
}

// The gradient of each student row in place of its probabilities, and its sum of -ln d.
//
// Launch: a warp for each task and student row.
extern "C" __global__ void streaming_gradient(u32 tasks, u32 blocks, u32 step, u32 views, u32 batch,
                                              u32 size, float terms, float by_entropy, float* x,
                                              const float* g, double* negative_logs) {
    u32 students = views * batch, task = row_of_warp() / students, row = row_of_warp() % students;
    if (Turn{tasks, blocks, step}.block(task) == NONE) return;
    x += (size_t)task * (students + 2 * batch) * size;
    g += (size_t)task * size;
    float* p = x + (size_t)row * size;
    const float* q0 = x + (size_t)(students + row % batch) * size;
    const float* q1 = q0 + (size_t)batch * size;
    RowTerms row_terms(row / batch, p, q0, q1, g, size, terms);
    if (lane() == 0) negative_logs[row_of_warp()] = row_terms.negative_log;
    for (u32 c = lane(); c < size; c += WARP) {
        p[c] = row_terms.gradient(p[c], q0[c], q1[c], g[c], by_entropy);
    }
}

// dv = (dw - w <w, dw>) / |v|, into the prototype's row.
//
// Launch: a warp for each task and prototype.
extern "C" __global__ void streaming_prototypes_backward(u32 tasks, u32 blocks, u32 step, u32 size,
                                                         u32 dim, const float* w,
                                                         const float* lengths, const float* dw,
                                                         const u32* permutation,
                                                         float* grad_prototypes) {
    u32 warp = row_of_warp(), block = Turn{tasks, blocks, step}.block(warp / size);
    if (block == NONE) return;
    w += (size_t)warp * dim;
    dw += (size_t)warp * dim;
    float* grad = grad_prototypes + (size_t)permutation[block * size + warp % size] * dim;
    float length = lengths[warp], along = row_dot(w, dw, dim);
    for (u32 d = lane(); d < dim; d += WARP) grad[d] = (dw[d] - w[d] * along) / length;
}

// Adds the block's sums of -ln d and of divergences to the task's, [2] each; all are chains in f64,
// since H near 0 is the small rest of large terms.
//
// Launch: a thread for each task.
extern "C" __global__ void streaming_sums(u32 tasks, u32 blocks, u32 step, u32 rows, u32 size,
                                          const double* negative_logs, const float* divergences,
                                          double* sums) {
    u32 task = element();
    if (Turn{tasks, blocks, step}.block(task) == NONE) return;
    double c = 0.0, h = 0.0;
    for (u32 row = 0; row < rows; ++row) c += negative_logs[task * rows + row];
    for (u32 i = 0; i < size; ++i) h += divergences[task * size + i];
    sums += 2 * task;
    sums[0] = step == 0 ? c : sums[0] + c;
    sums[1] = step == 0 ? h : sums[1] + h;
}

// C, H and C + H from the tasks' sums.
//
// Launch: one thread.
extern "C" __global__ void streaming_terms(u32 tasks, u32 blocks, u32 terms, const double* sums,
                                           float* loss, float* consistency, float* entropy) {
    double c = 0.0, h = 0.0;
    for (u32 task = 0; task < tasks; ++task) {
        c += sums[2 * task];
        h += sums[2 * task + 1];
    }
    c /= terms;
    h /= blocks;
    *consistency = (float)c;
    *entropy = (float)h;
    *loss = (float)(c + h);
}

// 0 in the rows of the prototypes that sit out this step: `surplus` of them, from `first` in the
// permutation on.
//
// Launch: one thread per element.
extern "C" __global__ void streaming_surplus(u32 first, u32 surplus, u32 dim,
                                             const u32* permutation, float* grad_prototypes) {
    u32 i = element();
    if (i >= surplus * dim) return;
    grad_prototypes[(size_t)permutation[first + i / dim] * dim + i % dim] = 0.0f;
}
