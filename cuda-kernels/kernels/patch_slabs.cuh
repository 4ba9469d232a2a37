// Slabs of the matrix of patches, copied to shared memory: two ways to know where an element is.
#pragma once
#include "slabs.cuh"
#include "windows.cuh"

// The places in x are sums of one of a pixel and one of a tap; below 0 they wrap.
template <class T> __device__ inline u32 place_of(const WindowsOf<T>& windows, const Pixel& pixel) {
    return pixel.image + (pixel.h * (int)windows.width + pixel.w) * (int)windows.c.d;
}
template <class T> __device__ inline u32 place_of(const WindowsOf<T>& windows, const Tap& tap) {
    return (tap.h * (int)windows.width + tap.w) * (int)windows.c.d + tap.c;
}

// x + i: the compiler would add up the parts of an address anew for each row.
template <class T> __device__ inline const T* further(const T* x, int i) {
    const T* at;
    asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(at) : "r"(i), "n"(sizeof(T)), "l"(x));
    return at;
}

// How many T are in a chunk, and in a row of a slab.
template <class T> constexpr u32 PER_CHUNK = CHUNK / sizeof(T);
template <class T> constexpr u32 ROW_DEPTH = 8 * PER_CHUNK<T>;

// Copies stages of M patches' rows where each is SLABS times ROW_DEPTH channels of one tap, and taps are
// 32 at most. A thread has every fourth chunk of COUNT rows: where they begin, and which of their taps are
// inside; one address serves 2 SLABS copies. Eight lanes write to two rows, four apart and so turned to
// different banks.
// What all rows of a stage share is in a table: where its tap lies, seen from a row's pixel, and its bit.
constexpr u32 MOST_STAGES = 256;

template <u32 M, u32 SLABS, u32 NEIGHBOURS, class T> struct WholeSlabs {
    static constexpr u32 ACROSS = 4, COUNT = M * ACROSS / THREADS;
    struct Stage {
        int place;
        u32 bit;
    };
    const T* x;  // this thread's channels of the tile's first image
    const Stage* stages;
    int places[COUNT];
    u32 inside[COUNT], to;

    __device__ WholeSlabs(const WindowsOf<T>& windows, u32 first) {
        __shared__ Stage table[MOST_STAGES];
        constexpr u32 DEPTH = SLABS * ROW_DEPTH<T>;
        for (u32 i = threadIdx.x; i < windows.taps / DEPTH; i += THREADS) {
            u32 c = i * DEPTH, tap = windows.c.split(c);
            table[i] = {(int)place_of(windows, windows.tap(i * DEPTH)), 1u << tap};
        }
        __syncthreads();
        stages = table;
        u32 taps_across = windows.s.d, taps_down = windows.taps / windows.c.d / taps_across;
        u32 chunk = threadIdx.x % ACROSS;
        u32 down = threadIdx.x / WARP * 8 + threadIdx.x / 4 % 2 * 4 + threadIdx.x / 8 % 4;
        u32 image = windows.pixel(first).image;
        x = windows.x + image + PER_CHUNK<T> * chunk;
        to = kept(chunk_at<8>(down, chunk));
        for (u32 n = 0; n < COUNT; ++n) {
            u32 i = first + down + n * (M / COUNT);
            Pixel pixel = windows.pixel(i);
            places[n] = i < windows.pixels ? (int)(place_of(windows, pixel) - image) : 0;
            u32 columns = 0;
            for (u32 s = 0; s < taps_across; ++s) {
                columns |= (u32)((u32)(pixel.w + (int)s) < windows.width) << s;
            }
            inside[n] = 0;
            for (u32 r = 0; r < taps_down; ++r) {
                bool row = (u32)(pixel.h + (int)r) < windows.height;
                inside[n] |= row ? columns << r * taps_across : 0;
            }
        }
    }

    __device__ void fetch(u32 stage, u32 panel) {
        Stage tap = stages[stage];
        const T* from = further(x, tap.place);
#pragma unroll
        for (u32 n = 0; n < COUNT; ++n) {
            const T* row = further(from, places[n]);
#pragma unroll
            for (u32 i = 0; i < 2 * SLABS; ++i) {
                // Chunk c + 4 is where c is, with the bit turned that says which half of the row.
                u32 at = panel + (i % 2 ? to ^ ACROSS * CHUNK : to);
                copy_async<4>(at + (i / 2 * M + n * (M / COUNT)) * 8 * CHUNK,
                              row + i * ACROSS * PER_CHUNK<T>, inside[n] & tap.bit);
            }
        }
    }
};

// Where a row of patches begins: the place in x, and the pixel.
struct Row {
    u32 place;
    int h, w;
};

// The same of any taps, NEIGHBOURS at a time. What belongs to a row is in shared memory.
template <u32 M, u32 SLABS, u32 NEIGHBOURS, class T> struct AnySlabs {
    static constexpr u32 ACROSS = ROW_DEPTH<T> / NEIGHBOURS, PASS = THREADS / ACROSS;
    const WindowsOf<T>& windows;
    Row* rows;

    __device__ AnySlabs(const WindowsOf<T>& windows, u32 first) : windows(windows) {
        __shared__ Row table[M];
        rows = table;
        for (u32 i = threadIdx.x; i < M; i += THREADS) {
            Pixel pixel = windows.pixel(first + i);
            rows[i] = {place_of(windows, pixel), pixel.h, pixel.w};
        }
        __syncthreads();
    }

    __device__ void fetch(u32 stage, u32 panel) {
        u32 across = threadIdx.x % ACROSS * NEIGHBOURS, down = threadIdx.x / ACROSS;
        for (u32 slab = 0; slab < SLABS; ++slab, panel += M * 8 * CHUNK) {
            Tap tap = windows.tap((stage * SLABS + slab) * ROW_DEPTH<T> + across);
            u32 place = place_of(windows, tap);
#pragma unroll 8
            for (u32 n = 0; n < M / PASS; ++n) {
                Row row = rows[down + n * PASS];
                u32 h = row.h + tap.h, w = row.w + tap.w;  // below 0 wraps to a large number
                bool inside = h < windows.height && w < windows.width;
                u32 to = panel + chunk_at<8>(down + n * PASS, across / PER_CHUNK<T>) +
                         across % PER_CHUNK<T> * sizeof(T);
                copy_async<NEIGHBOURS * sizeof(T) / 4>(to, windows.x + (row.place + place), inside);
            }
        }
    }
};
