// The fused loss: logits in, loss and gradient out, nothing else in memory
//
//     d = <p, q>        loss = -ln d        ds[c] = p[c] * (1 - q[c] / d)
//
// p is the softmax of the student's logits s, q that of the teacher's t, both of one block of 27
// prototypes: CARP's consistency and its gradient, for one pair of views. Step by step it would take
// two softmax kernels, an inner product, a logarithm and a gradient kernel, with p, q and d written
// and read again in between. In one kernel each logit is read once, and only what was asked for is
// written. That, and streaming, is how carp's loss over 65,536 prototypes takes 11 MiB: docs/fusion.md.
//
// From here, read cuda-kernels/kernels/partition_loss.cu: the same for all views, with the entropy term.

__device__ float warp_max(float value) {
    for (int distance = 16; distance > 0; distance /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffff, value, distance));
    return value;
}

__device__ float warp_sum(float value) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffff, value, distance);
    return value;
}

// s, t, ds [rows,27] and loss [rows]; a row per block of 32 threads.
extern "C" __global__ void fused_loss(const float *s, const float *t, float *loss, float *ds) {
    unsigned row = blockIdx.x, lane = threadIdx.x, i = 27 * row + lane;
    bool inside = lane < 27;
    const float infinity = __int_as_float(0x7f800000);
    float es = inside ? s[i] : -infinity;
    float et = inside ? t[i] : -infinity;
    es = expf(es - warp_max(es));
    et = expf(et - warp_max(et));
    // YOUR CODE BEGINS
    // p = es / (the warp's sum of es), q = et / (the warp's sum of et), d = the warp's sum of p * q
    // lane 0: loss[row] = -ln d, by logf
    // lanes that are inside: ds[i] = p * (1 - q / d)
    // YOUR CODE ENDS
}
