//! A global allocator that keeps GEMM's packing buffers.
//!
//! `matrixmultiply` allocates a packing buffer in every call and frees it at the end. This
//! allocator keeps such blocks, recognised by their alignment, in a short list per thread, so that
//! a training step allocates nothing from the system. Everything else goes straight to the inner
//! allocator.
//!
//! Programs install it with `#[global_allocator] static ALLOCATOR: PackingPool<System> =
//! PackingPool(System);`

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// Blocks of at least this alignment are packing buffers.
const MIN_ALIGN: usize = 32;
/// Block sizes are rounded up to a power of two of at least this.
const MIN_SIZE: usize = 4096;
/// Powers of two that are kept: from `MIN_SIZE` to 8 MiB, one free block each.
const CLASSES: usize = 12;

thread_local! {
    /// The free block of each size, or null. Without a destructor: the blocks of a finished thread
    /// are leaked, at most 16 MiB per thread; pools keep their threads.
    static FREE: [Cell<*mut u8>; CLASSES] =
        const { [const { Cell::new(std::ptr::null_mut()) }; CLASSES] };
}

/// Keeps packing buffers; all else comes from `A`.
pub struct PackingPool<A>(pub A);

/// The size class of a packing buffer and the actual layout of its block.
fn class(layout: Layout) -> Option<(usize, Layout)> {
    if layout.align() < MIN_ALIGN {
        return None;
    }
    let size = layout.size().max(MIN_SIZE).checked_next_power_of_two()?;
    let class = (size / MIN_SIZE).trailing_zeros() as usize;
    // One alignment for all, so that a block fits every request of its class.
    let block = Layout::from_size_align(size, layout.align().max(64)).ok()?;
    (class < CLASSES && block.align() == 64).then_some((class, block))
}

// SAFETY: a block comes from `A` with the layout that `class` derives from the request, which is
// at least as large and as aligned; `dealloc` derives the same layout from the same request. A kept
// block is in one cell only, and leaves it when it is handed out.
unsafe impl<A: GlobalAlloc> GlobalAlloc for PackingPool<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, block)) = class(layout) else {
            // SAFETY: the caller's promise on `layout`.
            return unsafe { self.0.alloc(layout) };
        };
        let kept = FREE.try_with(|free| free[class].replace(std::ptr::null_mut()));
        match kept {
            Ok(kept) if !kept.is_null() => kept,
            // SAFETY: `block` is not empty, its size being at least `MIN_SIZE`.
            _ => unsafe { self.0.alloc(block) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some((class, block)) = class(layout) else {
            // SAFETY: the caller's promise: `pointer` came from `alloc` with this layout.
            return unsafe { self.0.dealloc(pointer, layout) };
        };
        let spare = FREE.try_with(|free| free[class].replace(pointer)).unwrap_or(pointer);
        if !spare.is_null() {
            // SAFETY: a kept block and `pointer` were both allocated with this class's layout.
            unsafe { self.0.dealloc(spare, block) };
        }
    }
}
