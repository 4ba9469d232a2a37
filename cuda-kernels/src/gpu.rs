//! A device's arena, and kernel launches on it.

use tensor::arena::ALIGN;
use tensor::{Error, Numerics, Result, Slot};

use crate::driver::{Arg, Driver, Graph, Launch};

/// Block size of kernels with one thread per element.
pub const BLOCK: u32 = 256;
/// Threads of a warp.
pub const WARP: usize = 32;
/// Elements of scratch memory after the arena, for sums without a workspace. Kernels run in
/// sequence, so all share it.
const SCRATCH: usize = 4096;
/// Most elements that a kernel counts: its `unsigned` indices still hold the end of the last tile, and
/// the step of a loop beyond it.
const MOST: usize = u32::MAX as usize - (1 << 20);
/// Most where a kernel divides by multiplication, adds the length of a part to an index, or has rows
/// `FAR` outside an image (`kernels/windows.cuh`).
const MOST_DIVIDED: usize = 1 << 29;
/// Most blocks of a grid along x, y and z, on every card.
const GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];

/// A GPU, or the emulator, as a [`Backend`](tensor::Backend).
///
/// The trait's methods cannot fail, and a GPU reports errors late, so the first fault is kept,
/// nothing runs after it, and [`Backend::check`](tensor::Backend::check) reports it.
pub struct Gpu {
    driver: Box<dyn Driver>,
    numerics: Numerics,
    base: u64,
    len: usize,
    fault: Option<Error>,
    sequences: Vec<(usize, Sequence)>,
    /// The sequence being recorded.
    recording: Option<usize>,
}

/// State of a repeated sequence of launches.
#[derive(Clone, Copy)]
enum Sequence {
    /// Run once: all its kernels are loaded, so next time it can be recorded.
    Seen,
    /// Recorded in the driver.
    Recorded(Graph),
}

impl Gpu {
    /// A backend with an arena of `len` elements, all zero: its only allocation.
    ///
    /// # Errors
    /// Too little memory on the device.
    pub fn new(mut driver: Box<dyn Driver>, len: usize, numerics: Numerics) -> Result<Gpu> {
        let base = driver.allocate(4 * (len.next_multiple_of(ALIGN) + SCRATCH))?;
        let (fault, sequences, recording) = (None, Vec::new(), None);
        Ok(Gpu { driver, numerics, base, len, fault, sequences, recording })
    }

    /// How exactly it computes.
    pub fn numerics(&self) -> Numerics {
        self.numerics
    }

    /// Begins a launch of `kernel` of `module`.
    pub fn kernel(&mut self, module: &'static str, kernel: &'static str) -> Call<'_> {
        Call { gpu: self, module, kernel, args: Vec::new(), beyond: None, shared_bytes: 0 }
    }

    /// The scratch memory shared by all kernels; the next kernel overwrites it.
    pub fn scratch(&self) -> Slot {
        Slot::new(self.len.next_multiple_of(ALIGN), SCRATCH)
    }

    /// Launches a kernel unless it has numbers `beyond` its indices; an empty grid is no work. A fault
    /// is kept for later.
    fn launch(&mut self, launch: Launch, beyond: Option<Beyond>) {
        if self.fault.is_some() || launch.grid.contains(&0) {
            return;
        }
        let Launch { kernel, grid, .. } = launch;
        let result = if let Some(Beyond { elements, most }) = beyond {
            let detail = format!("{elements} elements; its 32-bit indices take at most {most}");
            Err(Error::device(format!("kernel {kernel}: {detail}")))
        } else if grid.iter().zip(GRID).any(|(&side, most)| side > most) {
            let detail = format!("a grid of {grid:?} blocks; a card takes at most {GRID:?}");
            Err(Error::device(format!("kernel {kernel}: {detail}")))
        } else {
            self.driver.launch(&launch)
        };
        self.keep(result);
    }

    /// Copies bytes into a slot.
    pub(crate) fn write_bytes(&mut self, to: Slot, data: &[u8]) {
        assert_eq!(4 * to.len, data.len(), "bytes for slot {to:?}");
        let at = self.address(to);
        self.request(|driver| driver.write(at, data));
    }

    /// Copies a slot's bytes to the host; zeros after a fault.
    pub(crate) fn read_bytes(&mut self, from: Slot, data: &mut [u8]) {
        assert_eq!(4 * from.len, data.len(), "bytes of slot {from:?}");
        let at = self.address(from);
        self.request(|driver| driver.read(at, data));
        if self.fault.is_some() {
            data.fill(0);
        }
    }

    /// Exchanges a slot's bytes for those of another rank.
    pub(crate) fn exchange_bytes(&mut self, with: usize, mine: Slot, theirs: Slot) {
        let [from, to] = [mine, theirs].map(|slot| (self.address(slot), 4 * slot.len));
        self.request(|driver| driver.exchange(with, from, to));
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    pub(crate) fn driver_mut(&mut self) -> &mut dyn Driver {
        &mut *self.driver
    }

    /// Replays a recorded sequence; else runs it, and records its second run. Everything that
    /// changes from run to run is in device memory.
    pub(crate) fn begin(&mut self, id: usize) -> bool {
        if self.fault.is_some() {
            return false;
        }
        match self.sequences.iter().find(|(known, _)| *known == id) {
            None => self.sequences.push((id, Sequence::Seen)),
            Some((_, Sequence::Seen)) => match self.driver.capture() {
                Ok(recording) => self.recording = recording.then_some(id),
                Err(error) => self.keep(Err(error)),
            },
            Some(&(_, Sequence::Recorded(graph))) => {
                let result = self.driver.replay(graph);
                self.keep(result);
                return true;
            }
        }
        false
    }

    /// Ends a sequence; one just recorded is run now.
    pub(crate) fn end(&mut self) {
        let Some(id) = self.recording.take() else { return };
        let result = self.driver.end_capture().and_then(|graph| {
            self.sequences.retain(|(known, _)| *known != id);
            self.sequences.push((id, Sequence::Recorded(graph)));
            self.driver.replay(graph)
        });
        self.keep(result);
    }

    /// The first fault, if there was one.
    pub(crate) fn fault(&self) -> Result<()> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Waits until the device is idle.
    pub(crate) fn synchronize(&mut self) {
        self.request(|driver| driver.synchronize());
    }

    /// Asks the driver, unless there was a fault, and keeps its error.
    pub(crate) fn request(&mut self, ask: impl FnOnce(&mut dyn Driver) -> Result<()>) {
        if self.fault.is_none() {
            let result = ask(&mut *self.driver);
            self.keep(result);
        }
    }

    /// Keeps the error of `result` if it is the first one.
    fn keep(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.fault.get_or_insert(error);
        }
    }

    /// # Panics
    /// If the slot is outside the arena: a planner bug.
    pub(crate) fn address(&self, slot: Slot) -> u64 {
        // A slot must not reach into the scratch memory after the arena.
        let scratch = self.scratch();
        let is_scratch = slot.offset >= scratch.offset;
        let end = if is_scratch { scratch.offset + scratch.len } else { self.len };
        assert!(slot.offset + slot.len <= end, "slot {slot:?} in an arena of {}", self.len);
        self.base + 4 * slot.offset as u64
    }
}

/// A launch under construction: arguments in the kernel's order, then a launch method.
#[must_use]
pub struct Call<'a> {
    gpu: &'a mut Gpu,
    module: &'static str,
    kernel: &'static str,
    args: Vec<Arg>,
    beyond: Option<Beyond>,
    shared_bytes: u32,
}

/// More elements than a kernel's indices reach.
#[derive(Clone, Copy)]
struct Beyond {
    elements: usize,
    most: usize,
}

impl Call<'_> {
    /// Remembers the first of these numbers of elements that is more than `most`. Every number from
    /// which a kernel makes an index passes here.
    fn reaches(mut self, elements: impl IntoIterator<Item = usize>, most: usize) -> Self {
        let beyond = elements.into_iter().find(|&elements| elements > most);
        self.beyond = self.beyond.or(beyond.map(|elements| Beyond { elements, most }));
        self
    }

    /// Pointers.
    ///
    /// # Panics
    /// If a slot is outside the arena.
    pub fn slots(mut self, slots: &[Slot]) -> Self {
        let gpu = &*self.gpu;
        self.args.extend(slots.iter().map(|&slot| Arg::Pointer(gpu.address(slot))));
        self.reaches(slots.iter().map(|slot| slot.numbers()), MOST)
    }

    /// A pointer, null without a slot.
    ///
    /// # Panics
    /// If the slot is outside the arena.
    pub fn optional(mut self, slot: Option<Slot>) -> Self {
        self.args.push(Arg::Pointer(slot.map_or(0, |slot| self.gpu.address(slot))));
        self.reaches(slot.map(Slot::numbers), MOST)
    }

    /// Numbers of elements, as `unsigned`.
    pub fn counts(mut self, counts: &[usize]) -> Self {
        self.args.extend(counts.iter().map(|&count| Arg::U32(count as u32)));
        self.reaches(counts.iter().copied(), MOST)
    }

    /// The same, of numbers up to which the kernel divides by multiplication (`Divisor` in
    /// `kernels/windows.cuh`) or goes part by part.
    pub fn divided(self, counts: &[usize]) -> Self {
        self.counts(counts).reaches(counts.iter().copied(), MOST_DIVIDED)
    }

    /// `unsigned` words: bits, flags.
    pub fn words(mut self, words: &[u32]) -> Self {
        self.args.extend(words.iter().map(|&word| Arg::U32(word)));
        self
    }

    /// `float` numbers.
    pub fn floats(mut self, floats: &[f32]) -> Self {
        self.args.extend(floats.iter().map(|&float| Arg::F32(float)));
        self
    }

    /// Shared memory whose size the launch gives, in bytes.
    pub fn shared(mut self, bytes: u32) -> Self {
        self.shared_bytes = bytes;
        self
    }

    /// Launches it on a grid of blocks.
    pub fn launch(self, grid: [u32; 3], block: [u32; 3]) {
        let Call { gpu, module, kernel, ref args, beyond, shared_bytes } = self;
        gpu.launch(Launch { module, kernel, grid, block, shared_bytes, args }, beyond);
    }

    /// Launches it with one thread for each of `elements` elements (rounded up to whole blocks: the
    /// kernel checks the bound), which its 32-bit index must reach.
    pub fn each_element(self, elements: usize) {
        let grid = [blocks(elements, BLOCK as usize), 1, 1];
        self.reaches([elements], MOST).launch(grid, [BLOCK, 1, 1]);
    }

    /// Launches it with one warp for each of `rows` rows (rounded up to whole blocks: the kernel
    /// checks the bound).
    pub fn each_warp(self, rows: usize) {
        self.each_element(rows * WARP);
    }

    /// Launches it with one block of `threads` threads for each of `rows` rows.
    pub fn each_row(self, rows: usize, threads: u32) {
        self.launch([blocks(rows, 1), 1, 1], [threads, 1, 1]);
    }
}

/// Blocks that cover `elements` elements with `per_block` each.
pub fn blocks(elements: usize, per_block: usize) -> u32 {
    u32::try_from(elements.div_ceil(per_block)).unwrap_or(u32::MAX)
}

/// Do rows of these lengths in these slots lie in whole groups of 16 bytes?
pub fn in_fours(lengths: &[usize], slots: &[Slot]) -> bool {
    let is_four = |n: usize| n.is_multiple_of(4);
    lengths.iter().all(|&n| is_four(n)) && slots.iter().all(|slot| is_four(slot.offset))
}
