// cp.async: copies from memory to shared memory that pass through no register, so that a thread can have
// many under way.
#pragma once
#include "common.cuh"

// The address of an element of shared memory there.
__device__ inline u32 shared_address(const void* at) { return (u32)__cvta_generic_to_shared(at); }

// Copies 16 or 4 bytes to an address in shared memory, or writes zeros there.
template <u32 FLOATS>
__device__ inline void copy_async(u32 to, const void* from, bool copies) {
    if (FLOATS == 4) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                     "r"(copies ? 16 : 0)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from),
                     "r"(copies ? 4 : 0)
                     : "memory");
    }
}

// Ends a group of copies.
__device__ inline void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most N groups of this thread are under way.
template <u32 N> __device__ inline void wait_for_all_but() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
