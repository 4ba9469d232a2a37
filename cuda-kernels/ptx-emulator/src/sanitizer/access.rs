//! Accesses to memory, and which of them conflict.

/// The accessing thread.
#[derive(Debug, Clone, Copy)]
pub struct Actor {
    /// Number of the block in the grid.
    pub block: u32,
    /// Number of the warp in the block.
    pub warp: u16,
    /// Lane of the warp.
    pub lane: u16,
    /// The instruction.
    pub pc: u32,
}

/// How an access takes part in the order of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain access.
    Weak,
    /// A plain write of a value that is the same for all threads of the launch.
    Constant,
    /// A read through the read-only cache (`ld.global.nc`).
    ReadOnly,
    /// An asynchronous copy that has not been waited for.
    Copy,
    /// An access that may meet others of its kind, an atomic for example.
    Strong,
    /// The same, but only inside a block (`.cta`).
    StrongInBlock,
    /// A strong read in a loop that ends when another thread has written.
    Poll,
    /// A volatile write of data: others may only poll it.
    Volatile,
}

impl Kind {
    /// A higher rank conflicts with whatever a lower one conflicts with.
    fn rank(self) -> u32 {
        match self {
            Kind::Poll => 0,
            Kind::Strong => 1,
            Kind::StrongInBlock => 2,
            Kind::Volatile => 3,
            Kind::Constant => 4,
            Kind::Weak | Kind::ReadOnly | Kind::Copy => 5,
        }
    }

    fn is_strong(self) -> bool {
        matches!(self, Kind::Strong | Kind::StrongInBlock | Kind::Poll)
    }
}

/// An access about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// Does it read?
    pub reads: bool,
    /// Does it write?
    pub writes: bool,
    /// How.
    pub kind: Kind,
    /// Does it acquire what was released at its address, without a fence?
    pub acquires: bool,
    /// Does it release what the thread knows, without a fence?
    pub releases: bool,
    /// Does a write leave the bytes as they are?
    pub same: bool,
}

impl Touch {
    /// A plain read.
    pub const READ: Touch = Touch {
        reads: true,
        writes: false,
        kind: Kind::Weak,
        acquires: false,
        releases: false,
        same: false,
    };
    /// A plain write.
    pub const WRITE: Touch = Touch { reads: false, writes: true, ..Touch::READ };

    /// Can it pass on what a thread knows?
    pub fn is_strong(self) -> bool {
        self.kind.is_strong() || self.kind == Kind::Volatile
    }
}

/// An access that was made, by some lanes of a warp at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    pub block: u32,
    pub pc: u32,
    pub time: u32,
    /// No lane: nobody.
    pub lanes: u32,
    pub warp: u16,
    pub kind: Kind,
    pub writes: bool,
}

impl Access {
    /// No access.
    pub const NONE: Access =
        Access { block: 0, pc: 0, time: 0, lanes: 0, warp: 0, kind: Kind::Weak, writes: false };

    /// Must one of the two happen before the other?
    #[inline(always)]
    pub fn conflicts(&self, new: &Access, same: bool) -> bool {
        if !(self.writes || new.writes) || self.lanes == 0 {
            return false;
        }
        let one_instruction = self.pc == new.pc
            && self.warp == new.warp
            && self.block == new.block
            && self.time == new.time;
        match (self.kind, new.kind) {
            (Kind::Poll, Kind::Volatile) | (Kind::Volatile, Kind::Poll) => false,
            (Kind::StrongInBlock, other) | (other, Kind::StrongInBlock) if other.is_strong() => {
                self.block != new.block
            }
            (one, other) if one.is_strong() && other.is_strong() => false,
            (Kind::Constant, Kind::Constant) => !same,
            (Kind::Weak | Kind::Constant, Kind::Weak | Kind::Constant)
                if self.writes && new.writes && one_instruction =>
            {
                !same
            }
            _ => true,
        }
    }

    /// Must the two not be in one launch at all, whatever their order?
    pub fn excludes(&self, new: &Access) -> bool {
        self.kind == Kind::ReadOnly && new.writes || new.kind == Kind::ReadOnly && self.writes
    }

    /// Does every later access that conflicts with `old` conflict with this one, too?
    pub fn covers(&self, old: &Access) -> bool {
        old.kind != Kind::Copy
            && (old.kind != Kind::ReadOnly || self.kind == Kind::ReadOnly)
            && (self.writes || !old.writes)
            && self.kind.rank() >= old.kind.rank()
    }

    /// Were both made by one warp at one time, in the same way?
    pub fn joins(&self, other: &Access) -> bool {
        (self.block, self.warp, self.time, self.kind, self.writes)
            == (other.block, other.warp, other.time, other.kind, other.writes)
    }
}

/// An earlier access that is not ordered before a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Its block.
    pub block: u32,
    /// Its thread in the block.
    pub thread: u32,
    /// Its instruction.
    pub pc: u32,
    /// Did it write?
    pub wrote: bool,
    /// How.
    pub kind: Kind,
}
