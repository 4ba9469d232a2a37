//! How the sums of a running step reach the other ranks: at once, or in buckets by a thread of their own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tensor::{Backend, Result, Slot};

use crate::buckets::{Bucket, summed};
use crate::graph::Graph;
use crate::sum_ranks::{scratch, sum, sum_linked};
use crate::transport::{Lane, Transport};

/// Elements of host memory that a rank exchanges numbers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// For sums at once, of which this many are sent and received together.
    pub at_once: usize,
    /// For all buckets.
    pub buckets: usize,
    /// For what another rank sends of a bucket.
    pub received: usize,
}

impl HostMemory {
    /// That of a step; none if no other process has shards.
    pub fn of(graph: &Graph) -> HostMemory {
        if graph.shards.local == graph.shards.all {
            return HostMemory::default();
        }
        let most = graph.nodes.iter().filter_map(summed).max().unwrap_or(0);
        let buckets = Bucket::all(graph);
        let elements = buckets.iter().map(|bucket| bucket.elements);
        HostMemory {
            at_once: scratch(most),
            buckets: elements.clone().sum(),
            received: scratch(elements.max().unwrap_or(0)),
        }
    }

    /// Bytes of all of it.
    pub fn bytes(self) -> usize {
        4 * (2 * self.at_once + self.buckets + self.received)
    }
}

/// The other ranks, as a running step meets them.
pub(crate) struct Exchange {
    transport: Arc<dyn Transport>,
    /// The device exchanges numbers itself, in the order of the ops.
    is_linked: bool,
    /// For sums at once: one of them, and what another rank sends.
    host: [Vec<f32>; 2],
    /// For sums that can wait; none if the transport takes one thread only.
    beside: Option<Beside>,
}

impl Exchange {
    /// For the sums of `graph`, whose results are in these slots.
    pub fn new(
        transport: Arc<dyn Transport>,
        graph: &Graph,
        slot: impl Fn(usize) -> Slot,
    ) -> Exchange {
        let memory = HostMemory::of(graph);
        let host = [(); 2].map(|()| vec![0.0; memory.at_once]);
        let has_thread = transport.has_two_lanes() && memory.buckets > 0;
        let beside = has_thread.then(|| {
            Beside::new(Arc::clone(&transport), Bucket::all(graph), memory.received, slot)
        });
        Exchange { transport, is_linked: false, host, beside }
    }

    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Lets the ranks' devices exchange numbers themselves, if all of them can.
    pub fn link(&mut self, backend: &mut dyn Backend) -> Result<()> {
        let transport = &*self.transport;
        if transport.size() > 1 && transport.first(!backend.can_link())?.is_none() {
            let share = &mut |bytes: &mut [u8]| transport.broadcast(0, bytes);
            backend.link(transport.rank(), transport.size(), share)?;
            (self.host, self.beside) = Default::default();
            self.is_linked = true;
        }
        Ok(())
    }

    /// Replaces `x`, the result of the op at `place`, by the sum of all ranks' `x`: by the time of
    /// [`Exchange::wait`] if it can wait.
    pub fn sum_in_time(
        &mut self,
        backend: &mut dyn Backend,
        place: usize,
        x: Slot,
        theirs: Slot,
    ) -> Result<()> {
        if let Some(beside) = &mut self.beside
            && beside.take(backend, place)
        {
            return Ok(());
        }
        self.sum(backend, x, theirs)
    }

    /// Replaces `x` by the sum of all ranks' `x`; `theirs` is scratch memory of a linked device.
    pub fn sum(&mut self, backend: &mut dyn Backend, x: Slot, theirs: Slot) -> Result<()> {
        let transport = &*self.transport;
        if transport.size() == 1 {
            return Ok(());
        }
        if self.is_linked {
            return sum_linked(transport, backend, x, theirs);
        }
        let [mine, theirs] = &mut self.host;
        for start in (0..x.len).step_by(mine.len()) {
            let part = x.part(start, mine.len().min(x.len - start));
            let mine = &mut mine[..part.len];
            backend.read(part, mine);
            sum(transport, Lane::Ops, mine, theirs)?;
            backend.write(part, mine);
        }
        Ok(())
    }

    /// Waits for the sums that must be there before the op at `place`.
    pub fn wait(&mut self, backend: &mut dyn Backend, place: usize) -> Result<()> {
        self.beside.as_mut().map_or(Ok(()), |beside| beside.wait(backend, place))
    }
}

/// The numbers of a bucket on their way.
type Numbers = Vec<f32>;

/// A thread that exchanges buckets, one after the other.
struct Beside {
    buckets: Vec<Bucket>,
    /// Slots of each bucket's sums.
    slots: Vec<Vec<Slot>>,
    /// Numbers of each bucket; empty while the thread has them.
    numbers: Vec<Numbers>,
    /// Buckets that the thread has.
    started: Range<usize>,
    to: Option<SyncSender<Numbers>>,
    from: Receiver<Result<Numbers>>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    fn new(
        transport: Arc<dyn Transport>,
        buckets: Vec<Bucket>,
        received: usize,
        slot: impl Fn(usize) -> Slot,
    ) -> Beside {
        let slots = buckets.iter().map(|bucket| bucket.sums.iter().map(|&at| slot(at)).collect());
        let slots = slots.collect();
        let numbers = buckets.iter().map(|bucket| vec![0.0; bucket.elements]).collect();
        let (to, jobs) = sync_channel::<Numbers>(buckets.len());
        let (done, from) = sync_channel(buckets.len());
        let work = move || {
            let mut theirs = vec![0.0; received];
            for mut numbers in jobs {
                let sum = sum(&*transport, Lane::Buckets, &mut numbers, &mut theirs);
                if done.send(sum.map(|()| numbers)).is_err() {
                    break;
                }
            }
        };
        let thread = Some(std::thread::spawn(work));
        Beside { buckets, slots, numbers, started: 0..0, to: Some(to), from, thread }
    }

    /// Takes the sum of the op at `place`, if it is in a bucket; starts the bucket if it is the last.
    fn take(&mut self, backend: &mut dyn Backend, place: usize) -> bool {
        let ends_before = |bucket: &Bucket| bucket.sums.last().is_some_and(|&last| last < place);
        let at = self.buckets.partition_point(ends_before);
        let Some(bucket) = self.buckets.get(at) else { return false };
        let Ok(sum) = bucket.sums.binary_search(&place) else { return false };
        let slots = &self.slots[at];
        let start = slots[..sum].iter().map(|slot| slot.len).sum::<usize>();
        backend.read(slots[sum], &mut self.numbers[at][start..start + slots[sum].len]);
        if sum + 1 == slots.len() {
            let first = if self.started.is_empty() { at } else { self.started.start };
            self.started = first..at + 1;
            let to = self.to.as_ref().expect("open until the end");
            to.send(std::mem::take(&mut self.numbers[at])).expect("its thread does not panic");
        }
        true
    }

    /// Puts back the sums that must be there before the op at `place`.
    fn wait(&mut self, backend: &mut dyn Backend, place: usize) -> Result<()> {
        while self.buckets[self.started.clone()].iter().any(|bucket| bucket.wait <= place) {
            let at = self.started.start;
            let numbers = self.from.recv().expect("its thread does not panic")?;
            let mut rest = &numbers[..];
            for &slot in &self.slots[at] {
                let (sum, others) = rest.split_at(slot.len);
                backend.write(slot, sum);
                rest = others;
            }
            self.numbers[at] = numbers;
            self.started.start += 1;
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.to = None;
        // In the middle of an error the others may never answer.
        if self.started.is_empty()
            && let Some(thread) = self.thread.take()
        {
            // It does not panic while it waits for work.
            let _ = thread.join();
        }
    }
}
