// One thread per element.
//
// Geometry: blocks of 256 threads, ceil(n / 256) of them; the last one checks the bound.
// Traffic: every input read once, every output written once.

// y = value in every element. Writes 4 bytes per element.
extern "C" __global__ void fill(float value, unsigned n, float *y) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = value;
}
