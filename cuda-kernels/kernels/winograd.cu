// Convolution of channels-last images by Winograd's F(MxM,3x3), for 3x3 of stride 1, and its
// gradients.
//
// Y = A^T [(G g G^T) * (B^T d B)] A for a TxT tile d of the input, a 3x3 filter g and an MxM tile Y
// of the output, with T = M + 2 and `*` elementwise (docs/convolution.md derives it). Summed over
// channels, each of the T^2 places of a tile is a matrix product. Transposed, with E = A dY A^T: dg
// = G^T [sum over tiles of E * (B^T d B)] G.
//
// In memory: tiles image by image and row by row, with as many as cover the output;
//   u [place][o][c] from the filters, v [place][tile][c] from the input,
//   m [place][tile][o] products, e [place][tile][o] from the output's gradient.
// The transforms are those of tensor/src/cpu/conv2d/winograd/f2.rs and f4.rs, operation by operation.
#include "tile.cuh"

// The matrices of F(2x2,3x3), each applied to a column.
struct F2 {
    static constexpr u32 M = 2, T = 4;

    __device__ static void input(const float (&d)[4], float (&v)[4]) {
        v[0] = d[0] - d[2];
        v[1] = d[1] + d[2];
        v[2] = d[2] - d[1];
        v[3] = d[1] - d[3];
    }
    __device__ static void filter(const float (&g)[3], float (&u)[4]) {
        float outer = g[0] + g[2];
        u[0] = g[0];
        u[1] = (outer + g[1]) * 0.5f;
        u[2] = (outer - g[1]) * 0.5f;
        u[3] = g[2];
    }
    __device__ static void output(const float (&m)[4], float (&y)[2]) {
        y[0] = m[0] + m[1] + m[2];
        y[1] = m[1] - m[2] - m[3];
    }
    __device__ static void output_backward(const float (&y)[2], float (&e)[4]) {
        e[0] = y[0];
        e[1] = y[0] + y[1];
        e[2] = y[0] - y[1];
        e[3] = -y[1];
    }
    __device__ static void filter_backward(const float (&u)[4], float (&g)[3]) {
        float sum = (u[1] + u[2]) * 0.5f;
        g[0] = u[0] + sum;
        g[1] = (u[1] - u[2]) * 0.5f;
        g[2] = sum + u[3];
    }
};

// The matrices of F(4x4,3x3), with the points p, -p, q, -q; of the filter's, the scales are rounded
// once.
struct F4 {
    static constexpr u32 M = 4, T = 6;
    static constexpr float P = 5.0f / 8.0f, Q = 3.0f / 2.0f, A = P * P, B = Q * Q;
    static constexpr float SCALE_0 = (float)(1.0 / ((double)A * B));
    static constexpr float SCALE_P = (float)(0.5 / ((double)A * ((double)A - B)));
    static constexpr float SCALE_Q = (float)(0.5 / ((double)B * ((double)B - A)));

    __device__ static void input(const float (&d)[6], float (&v)[6]) {
        float even_p = fmaf(d[2], -B, d[4]), odd_p = fmaf(d[1], -B, d[3]) * P;
        float even_q = fmaf(d[2], -A, d[4]), odd_q = fmaf(d[1], -A, d[3]) * Q;
        v[0] = fmaf(d[0], A * B, fmaf(d[2], -A - B, d[4]));
        v[1] = even_p + odd_p;
        v[2] = even_p - odd_p;
        v[3] = even_q + odd_q;
        v[4] = even_q - odd_q;
        v[5] = fmaf(d[1], A * B, fmaf(d[3], -A - B, d[5]));
    }
    __device__ static void filter(const float (&g)[3], float (&u)[6]) {
        float even_p = fmaf(g[2], A, g[0]) * SCALE_P, odd_p = g[1] * (P * SCALE_P);
        float even_q = fmaf(g[2], B, g[0]) * SCALE_Q, odd_q = g[1] * (Q * SCALE_Q);
        u[0] = g[0] * SCALE_0;
        u[1] = even_p + odd_p;
        u[2] = even_p - odd_p;
        u[3] = even_q + odd_q;
        u[4] = even_q - odd_q;
        u[5] = g[2];
    }
    __device__ static void output(const float (&m)[6], float (&y)[4]) {
        float even_p = m[1] + m[2], odd_p = (m[1] - m[2]) * P;
        float even_q = m[3] + m[4], odd_q = (m[3] - m[4]) * Q;
        y[0] = m[0] + even_p + even_q;
        y[1] = odd_p + odd_q;
        y[2] = fmaf(even_p, A, even_q * B);
        y[3] = fmaf(odd_p, A, fmaf(odd_q, B, m[5]));
    }
    __device__ static void output_backward(const float (&y)[4], float (&e)[6]) {
        float even_p = fmaf(y[2], A, y[0]), odd_p = fmaf(y[3], A, y[1]) * P;
        float even_q = fmaf(y[2], B, y[0]), odd_q = fmaf(y[3], B, y[1]) * Q;
        e[0] = y[0];
        e[1] = even_p + odd_p;
        e[2] = even_p - odd_p;
        e[3] = even_q + odd_q;
        e[4] = even_q - odd_q;
        e[5] = y[3];
    }
    __device__ static void filter_backward(const float (&u)[6], float (&g)[3]) {
        float even_p = (u[1] + u[2]) * SCALE_P, odd_p = (u[1] - u[2]) * (P * SCALE_P);
        float even_q = (u[3] + u[4]) * SCALE_Q, odd_q = (u[3] - u[4]) * (Q * SCALE_Q);
        g[0] = fmaf(u[0], SCALE_0, even_p + even_q);
        g[1] = odd_p + odd_q;
        g[2] = fmaf(even_p, A, fmaf(even_q, B, u[5]));
    }
};

// F x F^T: f multiplies a column by F.
template <u32 N, u32 K, class F>
__device__ void both_sides(const float (&x)[N][N], float (&y)[K][K], F f) {
    float half[K][N];
#pragma unroll
    for (u32 column = 0; column < N; ++column) {
        float from[N], to[K];
#pragma unroll
        for (u32 row = 0; row < N; ++row) from[row] = x[row][column];
        f(from, to);
#pragma unroll
        for (u32 row = 0; row < K; ++row) half[row][column] = to[row];
    }
#pragma unroll
    for (u32 row = 0; row < K; ++row) f(half[row], y[row]);
}

// Where tiles lie: images of `height` x `width` pixels with `down` x `across` tiles each.
struct Tiles {
    u32 height, width, down, across;
};

struct TilePlace {
    u32 image, row, column;  // of the tile's first pixel
};

template <u32 M> __device__ TilePlace tile_place(const Tiles& tiles, u32 tile) {
    u32 column = tile % tiles.across, row = tile / tiles.across % tiles.down;
    return {tile / tiles.across / tiles.down, row * M, column * M};
}

// u = G g G^T of every filter of weight [O,3,3,C]; turned, for the gradient by the input, it is
// that of the weight rotated by 180 degrees with its channels swapped, and `outputs` are its C.
//
// Launch: one thread per output and input channel.
template <class F>
__device__ void filters(u32 outputs, u32 inputs, u32 turned, const float* weight, float* u) {
    u32 i = element(), o = i / inputs, c = i % inputs;
    if (i >= outputs * inputs) return;
    float g[3][3], places[F::T][F::T];
#pragma unroll
    for (u32 place = 0; place < 9; ++place) {
        size_t at = turned ? (size_t)(c * 9 + 8 - place) * outputs + o
                           : (size_t)(o * 9 + place) * inputs + c;
        g[place / 3][place % 3] = weight[at];
    }
    both_sides<3, F::T>(g, places, F::filter);
#pragma unroll
    for (u32 place = 0; place < F::T * F::T; ++place) {
        u[(size_t)place * outputs * inputs + i] = places[place / F::T][place % F::T];
    }
}

// v = B^T d B of every tile of x [N,H,W,C], zeros outside.
//
// Launch: one thread per tile and channel.
template <class F>
__device__ void inputs(const Tiles& tiles, u32 count, u32 channels, u32 padding, const float* x,
                       float* v) {
    u32 i = element(), c = i % channels;
    if (i >= count * channels) return;
    TilePlace at = tile_place<F::M>(tiles, i / channels);
    float d[F::T][F::T], places[F::T][F::T];
#pragma unroll
    for (u32 row = 0; row < F::T; ++row) {
#pragma unroll
        for (u32 column = 0; column < F::T; ++column) {
            u32 h = at.row + row - padding, w = at.column + column - padding;  // below 0 wraps
            bool inside = h < tiles.height && w < tiles.width;
            size_t pixel = ((size_t)at.image * tiles.height + h) * tiles.width + w;
            d[row][column] = inside ? x[pixel * channels + c] : 0.0f;
        }
    }
    both_sides<F::T, F::T>(d, places, F::input);
#pragma unroll
    for (u32 place = 0; place < F::T * F::T; ++place) {
        v[(size_t)place * count * channels + i] = places[place / F::T][place % F::T];
    }
}

// y = A^T m A of every tile, inside y [N,P,Q,O]; the tiles' images are those of y.
//
// Launch: one thread per tile and channel.
template <class F>
__device__ void outputs(const Tiles& tiles, u32 count, u32 channels, const float* m, float* y) {
    u32 i = element(), o = i % channels;
    if (i >= count * channels) return;
    TilePlace at = tile_place<F::M>(tiles, i / channels);
    float places[F::T][F::T], pixels[F::M][F::M];
#pragma unroll
    for (u32 place = 0; place < F::T * F::T; ++place) {
        places[place / F::T][place % F::T] = m[(size_t)place * count * channels + i];
    }
    both_sides<F::T, F::M>(places, pixels, F::output);
#pragma unroll
    for (u32 row = 0; row < F::M; ++row) {
#pragma unroll
        for (u32 column = 0; column < F::M; ++column) {
            u32 p = at.row + row, q = at.column + column;
            size_t pixel = ((size_t)at.image * tiles.height + p) * tiles.width + q;
            if (p < tiles.height && q < tiles.width) y[pixel * channels + o] = pixels[row][column];
        }
    }
}

// e = A dy A^T of every tile of dy [N,P,Q,O], zeros outside.
//
// Launch: one thread per tile and channel.
template <class F>
__device__ void outputs_backward(const Tiles& tiles, u32 count, u32 channels, const float* dy,
                                 float* e) {
    u32 i = element(), o = i % channels;
    if (i >= count * channels) return;
    TilePlace at = tile_place<F::M>(tiles, i / channels);
    float pixels[F::M][F::M], places[F::T][F::T];
#pragma unroll
    for (u32 row = 0; row < F::M; ++row) {
#pragma unroll
        for (u32 column = 0; column < F::M; ++column) {
            u32 p = at.row + row, q = at.column + column;
            size_t pixel = ((size_t)at.image * tiles.height + p) * tiles.width + q;
            bool inside = p < tiles.height && q < tiles.width;
            pixels[row][column] = inside ? dy[pixel * channels + o] : 0.0f;
        }
    }
    both_sides<F::M, F::T>(pixels, places, F::output_backward);
#pragma unroll
    for (u32 place = 0; place < F::T * F::T; ++place) {
        e[(size_t)place * count * channels + i] = places[place / F::T][place % F::T];
    }
}

// dweight [O,3,3,C] = G^T u G of the sum u of all parts' sums [part][place][o][c], in order.
//
// Launch: one thread per output and input channel.
template <class F>
__device__ void filters_backward(u32 parts, u32 outputs, u32 inputs, const float* sums,
                                 float* dweight) {
    u32 i = element(), o = i / inputs, c = i % inputs;
    if (i >= outputs * inputs) return;
    float places[F::T][F::T], g[3][3];
#pragma unroll
    for (u32 place = 0; place < F::T * F::T; ++place) {
        float sum = 0.0f;
        for (u32 part = 0; part < parts; ++part) {
            sum += sums[((size_t)part * F::T * F::T + place) * outputs * inputs + i];
        }
        places[place / F::T][place % F::T] = sum;
    }
    both_sides<F::T, 3>(places, g, F::filter_backward);
#pragma unroll
    for (u32 place = 0; place < 9; ++place) {
        dweight[(size_t)(o * 9 + place) * inputs + c] = g[place / 3][place % 3];
    }
}

extern "C" __global__ void winograd2_filters(u32 outputs, u32 inputs, u32 turned,
                                             const float* weight, float* u) {
    filters<F2>(outputs, inputs, turned, weight, u);
}

extern "C" __global__ void winograd2_inputs(u32 height, u32 width, u32 down, u32 across, u32 count,
                                            u32 channels, u32 padding, const float* x, float* v) {
    inputs<F2>({height, width, down, across}, count, channels, padding, x, v);
}

extern "C" __global__ void winograd2_outputs(u32 height, u32 width, u32 down, u32 across, u32 count,
                                             u32 channels, const float* m, float* y) {
    outputs<F2>({height, width, down, across}, count, channels, m, y);
}

extern "C" __global__ void winograd2_outputs_backward(u32 height, u32 width, u32 down, u32 across,
                                                      u32 count, u32 channels, const float* dy,
                                                      float* e) {
    outputs_backward<F2>({height, width, down, across}, count, channels, dy, e);
}

extern "C" __global__ void winograd2_filters_backward(u32 parts, u32 outputs, u32 inputs,
                                                      const float* sums, float* dweight) {
    filters_backward<F2>(parts, outputs, inputs, sums, dweight);
}

extern "C" __global__ void winograd4_filters(u32 outputs, u32 inputs, u32 turned,
                                             const float* weight, float* u) {
    filters<F4>(outputs, inputs, turned, weight, u);
}

extern "C" __global__ void winograd4_inputs(u32 height, u32 width, u32 down, u32 across, u32 count,
                                            u32 channels, u32 padding, const float* x, float* v) {
    inputs<F4>({height, width, down, across}, count, channels, padding, x, v);
}

extern "C" __global__ void winograd4_outputs(u32 height, u32 width, u32 down, u32 across, u32 count,
                                             u32 channels, const float* m, float* y) {
    outputs<F4>({height, width, down, across}, count, channels, m, y);
}

extern "C" __global__ void winograd4_outputs_backward(u32 height, u32 width, u32 down, u32 across,
                                                      u32 count, u32 channels, const float* dy,
                                                      float* e) {
    outputs_backward<F4>({height, width, down, across}, count, channels, dy, e);
}

extern "C" __global__ void winograd4_filters_backward(u32 parts, u32 outputs, u32 inputs,
                                                      const float* sums, float* dweight) {
    filters_backward<F4>(parts, outputs, inputs, sums, dweight);
}

// m = v u^T, a product [tiles,C] [C,O] for each place.
//
// Launch: a block of 256 threads for each 64 x 64 tile of m and each place: grid (ceil(tiles / 64),
// ceil(O / 64), places).
extern "C" __global__ void __launch_bounds__(256)
    winograd_products(u32 tiles, u32 outputs, u32 inputs, const float* v, const float* u,
                      float* m) {
    __shared__ Panels<64, 64> panels;
    u32 first_tile = blockIdx.x * 64, first_output = blockIdx.y * 64;
    v += (size_t)blockIdx.z * tiles * inputs;
    u += (size_t)blockIdx.z * outputs * inputs;
    m += (size_t)blockIdx.z * tiles * outputs;
    Tile<64, 64> tile;
    tile.multiply(panels, Strided{v, first_tile, tiles, inputs, 1, true},
                  Strided{u, first_output, outputs, inputs, 1, true}, 0, inputs);
    for (u32 k = 0; k < 4; ++k) {
        u32 i = first_tile + tile.row(k), o = first_output + tile.column(0);
        if (i < tiles && o < outputs) store4(&m[(size_t)i * outputs + o], tile.sum[k], outputs - o);
    }
}

// sums [part][place][o][c] = sum over the part's tiles of e v, a product [O,tiles] [tiles,C] for
// each place. The tiles in memory are those of one part after the other, `part_tiles` each, the
// last ones fewer; where `adds`, of a part that has sums already. A part is chains of `chain`
// tiles.
//
// Launch: a block of 256 threads for each 64 x 64 tile of a place and part: grid (ceil(O / 64),
// ceil(C / 64), T^2 * parts).
extern "C" __global__ void __launch_bounds__(256)
    winograd_add_products(u32 tiles, u32 part_tiles, u32 chain, u32 places, u32 outputs, u32 inputs,
                          u32 adds, const float* e, const float* v, float* sums) {
    __shared__ Panels<64, 64> panels;
    u32 first_output = blockIdx.x * 64, first_input = blockIdx.y * 64;
    u32 part = blockIdx.z / places, place = blockIdx.z % places;
    u32 first = part * part_tiles, end = min(first + part_tiles, tiles);
    e += (size_t)place * tiles * outputs;
    v += (size_t)place * tiles * inputs;
    sums += (size_t)blockIdx.z * outputs * inputs;
    Tile<64, 64> tile;
    if (adds) tile.take(sums, first_output, outputs, first_input, inputs);
    tile.add_chains(panels, Strided{e, first_output, outputs, 1, outputs, false},
                    Strided{v, first_input, inputs, 1, inputs, false}, first, end, chain, adds);
    for (u32 k = 0; k < 4; ++k) {
        u32 o = first_output + tile.row(k), c = first_input + tile.column(0);
        if (o < outputs && c < inputs) {
            store4(&sums[(size_t)o * inputs + c], tile.sum[k], inputs - c);
        }
    }
}
