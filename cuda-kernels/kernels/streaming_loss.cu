// CARP's loss from embeddings and prototypes, each block of the partition from start to end in one
// kernel: the logits of a block live in shared memory and registers only.
//
// With z the student's embeddings [V B,D], v its prototypes [K, D] before weight norm, w = v / |v|,
// the teacher's likewise, and a block's N_B rows of v given by the permutation:
//   s = z w^T    ds as in loss.cuh    dz += ds w    dw = ds^T z    dv = (dw - w <w, dw>) / |v|
//
// Two sweeps over the rows. dH needs m, the mean over all rows, so the first sweep makes the
// probabilities of every row and keeps only their sum, N_B numbers. The second makes them again,
// now with the gradient. To keep them instead is not possible: at B = 64, V = 8 and N_B = 512 they
// are 640 x 512 numbers, 1.3 MB, where a multiprocessor has 0.2 MB. Making them twice costs 2 (V +
// 2) products of B x N_B x D instead of V + 2, beside the 2 V of the gradients: 38 % more at V = 8.
//
// A tile of rows goes through together: T images, of both teacher views (q, 2 T rows) and then of
// up to G student views at a time (p, G T <= 32 rows), N_B probabilities each, in shared memory.
// A row's gradient takes p of its view and q_0, q_1 of its image: all there. The products are
// register tiles (tile.cuh) whose panels come from where the numbers lie: rows of v through the
// permutation, ds from shared memory. 1 / |v| is a factor of a logit, and of ds before it meets v,
// so w is never stored.
//
// Launch: `slots` = min(P, 128) blocks of 256 threads, each with P / slots blocks of the partition
// one after the other and a dz of its own, which gemm_sum_parts adds up in order; dv goes to the
// rows that the block owns. 4 * pitch * ((G + 2) T + 4) bytes of dynamic shared memory, pitch = N_B
// up to a multiple of 32, and 8. T and G are what takes the fewest tiles and fits.
// Traffic, per block of the partition: N_B D of v for each 32 x N_B of logits and of dz, and dw, as
// large, read and written for each tile of student rows. These stay in L2; from memory come each v
// and dw once, the embeddings, and dz. Counted in the emulator at V = 2, B = 8, N_B = 512, D = 256,
// nothing cached: 7.2 MB per block, all transactions of 32 bytes used whole, no access to shared
// memory that waits for a bank.
#include "loss.cuh"
#include "tile.cuh"

constexpr u32 ROWS = 32;          // most rows of a tile
constexpr u32 THREADS = 256;
constexpr u32 WARPS = THREADS / WARP;
constexpr u32 NONE = 0xffffffff;  // no row

struct Place {
    u32 at;
    bool inside;
};

// Rows of a matrix [.., dim] that a list names (embeddings of a tile, prototypes of a block), as A
// or B: i runs over the list, p along a row.
struct ListedRows {
    const float* x;
    const u32* list;
    u32 first, count, dim;
    static constexpr bool along_p = true;

    typedef Place Line;
    __device__ Place line(u32 i) const {
        u32 row = first + i < count ? list[first + i] : NONE;
        return {row * dim, row != NONE};
    }
    __device__ float load(Place line, u32 p) const { return line.inside ? x[line.at + p] : 0.0f; }
};

// The same, transposed: p runs over the list, i along a row.
struct ListedColumns {
    const float* x;
    const u32* list;
    u32 first, dim;
    static constexpr bool along_p = false;

    typedef u32 Line;
    __device__ u32 line(u32 i) const { return first + i; }
    __device__ float load(u32 column, u32 p) const {
        return list[p] != NONE && column < dim ? x[list[p] * dim + column] : 0.0f;
    }
};

// ds of a tile, in shared memory, as A: i runs over its rows, p over N_B. Times 1 / |v| of p, which
// turns the v that it is multiplied by into w.
struct GradientRows {
    const float* ds;
    const float* scale;
    u32 count, pitch;
    static constexpr bool along_p = true;

    typedef Place Line;
    __device__ Place line(u32 i) const { return {i * pitch, i < count}; }
    __device__ float load(Place line, u32 p) const {
        return line.inside ? ds[line.at + p] * scale[p] : 0.0f;
    }
};

// The same, transposed and without the scale: i runs over N_B, p over the tile's rows.
struct GradientColumns {
    const float* ds;
    u32 first, size, pitch;
    static constexpr bool along_p = false;

    typedef u32 Line;
    __device__ u32 line(u32 i) const { return first + i; }
    __device__ float load(u32 c, u32 p) const { return c < size ? ds[p * pitch + c] : 0.0f; }
};

// at = x where it is fresh, else at += x; 4 neighbours, of which `left` are there.
__device__ void add4(float* at, const float* x, u32 left, bool fresh) {
    float sum[4] = {x[0], x[1], x[2], x[3]};
    if (!fresh && left >= 4 && (unsigned long long)at % 16 == 0) {
        float4 old = *(const float4*)at;
        sum[0] += old.x;
        sum[1] += old.y;
        sum[2] += old.z;
        sum[3] += old.w;
    } else if (!fresh) {
        for (u32 v = 0; v < 4; ++v) {
            if (v < left) sum[v] += at[v];
        }
    }
    store4(at, sum, left);
}

// scale[c] = 1 / |v[index[c]]|, a warp for each prototype.
__device__ void inverse_lengths(const float* v, const u32* index, u32 size, u32 dim, float* scale) {
    for (u32 c = threadIdx.x / WARP; c < size; c += WARPS) {
        float squares = 0.0f;
        for (u32 d = threadIdx.x % WARP; d < dim; d += WARP) {
            float x = v[index[c] * dim + d];
            squares = fmaf(x, x, squares);
        }
        squares = warp_sum(squares);
        if (threadIdx.x % WARP == 0) scale[c] = 1.0f / sqrtf(squares);
    }
}

// Softmax of each row, in place, a warp for each; rows that are not there become 0.
__device__ void softmax_rows(float* rows, const u32* row, u32 count, u32 size, u32 pitch) {
    u32 lane = threadIdx.x % WARP;
    for (u32 i = threadIdx.x / WARP; i < count; i += WARPS) {
        float* x = rows + i * pitch;
        float max = -infinity(), sum = 0.0f;
        for (u32 c = lane; c < size; c += WARP) max = fmaxf(max, x[c]);
        max = warp_max(max);
        for (u32 c = lane; c < size; c += WARP) {
            x[c] = row[i] != NONE ? expf(x[c] - max) : 0.0f;
            sum += x[c];
        }
        float scale = row[i] != NONE ? 1.0f / warp_sum(sum) : 0.0f;
        for (u32 c = lane; c < size; c += WARP) x[c] *= scale;
    }
}

// The products need panels one after the other.
union Scratch {
    Panels<32, 128> rows;
    Panels<64, 64> square;
    __device__ Scratch() {}
};

// Two blocks to a multiprocessor, so up to 128 registers: fewer would spill.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    streaming_loss(u32 views, u32 batch, u32 prototypes, u32 blocks, u32 size, u32 dim, u32 images,
                   u32 views_at_once, u32 pitch, float terms, float by_entropy,
                   const float* student, const float* teacher, const float* student_prototypes,
                   const float* teacher_prototypes, const u32* permutation, float* grad_student,
                   float* grad_prototypes, float* sums) {
    extern __shared__ __align__(16) float memory[];
    __shared__ Scratch panels;
    __shared__ u32 row[ROWS];            // the tile's rows in z
    float* p = memory;                               // [G T, pitch], then ds
    float* q = p + views_at_once * images * pitch;   // [2 T, pitch]
    float* g = q + 2 * images * pitch;               // [N_B]: sum of probabilities, m, g
    float* scale = g + pitch;                        // [2, N_B]: 1 / |v|, student and teacher
    u32* index = (u32*)(scale + 2 * pitch);          // [N_B]: the block's prototypes
    u32 thread = threadIdx.x, lane = thread % WARP, warp = thread / WARP;
    u32 first_block = (unsigned long long)blockIdx.x * blocks / gridDim.x;
    u32 end_block = (unsigned long long)(blockIdx.x + 1) * blocks / gridDim.x;
    grad_student += (size_t)blockIdx.x * views * batch * dim;
    double consistency = 0.0, entropy = 0.0;  // of this thread's rows and columns

    for (u32 block = first_block; block < end_block; ++block) {
        __syncthreads();  // the block before may still be read
        for (u32 c = thread; c < pitch; c += THREADS) {
            index[c] = c < size ? permutation[block * size + c] : NONE;
            g[c] = scale[c] = scale[pitch + c] = 0.0f;
        }
        __syncthreads();
        inverse_lengths(student_prototypes, index, size, dim, scale);
        inverse_lengths(teacher_prototypes, index, size, dim, scale + pitch);

        // Two sweeps over the images; for each tile of images, the teacher's views first and then
        // the student's in groups.
        u32 groups = (views + views_at_once - 1) / views_at_once;
        u32 tiles = (batch + images - 1) / images;
        for (u32 turn = 0; turn < 2 * tiles * (groups + 1); ++turn) {
            bool is_last_sweep = turn >= tiles * (groups + 1);
            u32 first_image = turn / (groups + 1) % tiles * images, group = turn % (groups + 1);
            bool is_teacher = group == 0;
            u32 first_view = is_teacher ? 0 : (group - 1) * views_at_once;
            u32 end_view = is_teacher ? 2 : min(first_view + views_at_once, views);
            u32 count = (end_view - first_view) * images;
            const float* z = is_teacher ? teacher : student;
            const float* v = is_teacher ? teacher_prototypes : student_prototypes;
            const float* inverse_length = is_teacher ? scale + pitch : scale;
            float* x = is_teacher ? q : p;

            __syncthreads();  // the tile before may still be read
            if (thread < ROWS) {
                u32 image = first_image + thread % images, view = first_view + thread / images;
                row[thread] = thread < count && image < batch ? view * batch + image : NONE;
            }
            if (turn == tiles * (groups + 1)) {
                for (u32 c = thread; c < size; c += THREADS) {
                    float m = g[c] / (float)((views + 2) * batch);
                    entropy += divergence(m, size, g[c]);
                }
            }
            __syncthreads();

            // x = logits
            for (u32 first = 0; first < size; first += 128) {
                Tile<32, 128> tile;
                tile.multiply(panels.rows, ListedRows{z, row, 0, count, dim},
                              ListedRows{v, index, first, size, dim}, 0, dim);
                u32 c = first + tile.column(0);  // rows of x are long enough for 4 from here
                for (u32 u = 0; u < 4; ++u) {
                    u32 i = tile.row(u);
                    if (i >= count || c >= size) continue;
                    const float* y = tile.sum[u];
                    float4 s = *(const float4*)&inverse_length[c];
                    *(float4*)&x[i * pitch + c] =
                        make_float4(y[0] * s.x, y[1] * s.y, y[2] * s.z, y[3] * s.w);
                }
            }
            __syncthreads();
            softmax_rows(x, row, count, size, pitch);
            __syncthreads();

            if (!is_last_sweep) {
                for (u32 c = thread; c < size; c += THREADS) {
                    float sum = 0.0f;
                    for (u32 i = 0; i < count; ++i) sum += x[i * pitch + c];
                    g[c] += sum;
                }
                continue;
            }
            if (is_teacher) continue;

            // p = ds, a warp for each row
            for (u32 i = warp; i < count; i += WARPS) {
                if (row[i] == NONE) continue;
                float* p_row = p + i * pitch;
                const float* q0 = q + i % images * pitch;
                const float* q1 = q0 + images * pitch;
                float d[2] = {}, mean_g = 0.0f;
                for (u32 c = lane; c < size; c += WARP) {
                    d[0] = fmaf(p_row[c], q0[c], d[0]);
                    d[1] = fmaf(p_row[c], q1[c], d[1]);
                    mean_g = fmaf(p_row[c], g[c], mean_g);
                }
                d[0] = warp_sum(d[0]);
                d[1] = warp_sum(d[1]);
                mean_g = warp_sum(mean_g);
                RowTerms part(first_view + i / images, d, terms);
                consistency += part.negative_log;
                for (u32 c = lane; c < size; c += WARP) {
                    p_row[c] = part.gradient(p_row[c], q0[c], q1[c], g[c] - mean_g, by_entropy);
                }
            }

            // dz += ds w
            for (u32 first = 0; first < dim; first += 128) {
                Tile<32, 128> tile;
                tile.multiply(panels.rows, GradientRows{p, scale, count, pitch},
                              ListedColumns{v, index, first, dim}, 0, size);
                u32 d = first + tile.column(0);
                for (u32 u = 0; u < 4; ++u) {
                    u32 i = tile.row(u);
                    if (row[i] != NONE && d < dim) {
                        add4(&grad_student[(size_t)row[i] * dim + d], tile.sum[u], dim - d,
                             block == first_block);
                    }
                }
            }

            // dw += ds^T z
            for (u32 first = 0; first < size; first += 64) {
                for (u32 first_d = 0; first_d < dim; first_d += 64) {
                    Tile<64, 64> tile;
                    tile.multiply(panels.square, GradientColumns{p, first, size, pitch},
                                  ListedColumns{z, row, first_d, dim}, 0, count);
                    u32 d = first_d + tile.column(0);
                    for (u32 u = 0; u < 4; ++u) {
                        u32 c = first + tile.row(u);
                        if (c < size && d < dim) {
                            add4(&grad_prototypes[index[c] * dim + d], tile.sum[u], dim - d,
                                 first_image == 0 && group == 1);
                        }
                    }
                }
            }
        }
        __syncthreads();

        // dv = (dw - w <w, dw>) / |v|, a warp for each prototype
        for (u32 c = warp; c < size; c += WARPS) {
            const float* v = student_prototypes + index[c] * dim;
            float* grad = grad_prototypes + index[c] * dim;
            float along = 0.0f;
            for (u32 d = lane; d < dim; d += WARP) along = fmaf(v[d] * scale[c], grad[d], along);
            along = warp_sum(along);
            for (u32 d = lane; d < dim; d += WARP) {
                grad[d] = (grad[d] - v[d] * scale[c] * along) * scale[c];
            }
        }
    }

    // Prototypes that sit out this step.
    for (u32 c = blocks * size + blockIdx.x; c < prototypes; c += gridDim.x) {
        for (u32 d = thread; d < dim; d += THREADS) grad_prototypes[permutation[c] * dim + d] = 0;
    }

    // Every lane of a warp has added up the same rows, but columns of its own.
    __shared__ double of_warp[2][WARPS];
    entropy = warp_sum(entropy);
    if (lane == 0) {
        of_warp[0][warp] = consistency;
        of_warp[1][warp] = entropy;
    }
    __syncthreads();
    if (thread < 2) {
        double sum = 0.0;
        for (u32 w = 0; w < WARPS; ++w) sum += of_warp[thread][w];
        sums[thread * gridDim.x + blockIdx.x] = (float)sum;
    }
}
