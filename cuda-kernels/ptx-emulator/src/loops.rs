//! The weak topological order of a graph: loops within loops.

/// Steps after which a graph is called too tangled.
const MAX_STEPS: usize = 100_000_000;
/// The part of a block that is in none.
const NONE: u32 = u32::MAX;

/// One step of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This block runs.
    Run(u32),
    /// The loop that begins at this block has run: it may begin again.
    Again(u32),
}

impl Step {
    /// The block.
    pub fn block(self) -> u32 {
        let (Step::Run(block) | Step::Again(block)) = self;
        block
    }
}

/// What is still to be ordered.
enum Task {
    Done(Step),
    /// Blocks whose `part` is their own.
    Part(Vec<u32>),
}

/// A graph being ordered; block 0 is its entry.
pub struct Loops<'a> {
    next: &'a [Vec<u32>],
    previous: &'a [Vec<u32>],
    /// The part that each block belongs to: only edges inside a part count.
    part: Vec<u32>,
    parts: u32,
    /// The last walk that came to each block.
    seen: Vec<u32>,
    walks: u32,
    work: usize,
}

impl<'a> Loops<'a> {
    /// A graph by the blocks that follow each block, and those that it follows.
    pub fn new(next: &'a [Vec<u32>], previous: &'a [Vec<u32>]) -> Loops<'a> {
        let zeros = vec![0; next.len()];
        Loops { next, previous, part: zeros.clone(), parts: 1, seen: zeros, walks: 0, work: 0 }
    }

    /// The order. An error if that takes too long.
    pub fn steps(mut self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        let mut tasks = vec![Task::Part((0..self.next.len() as u32).collect())];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Done(step) => steps.push(step),
                Task::Part(blocks) => {
                    let from = tasks.len();
                    for component in self.components(&blocks)? {
                        self.component(component, &mut tasks);
                    }
                    // The first is to be on top.
                    tasks[from..].reverse();
                }
            }
        }
        Ok(steps)
    }

    /// One block, or a loop: its head, the rest, and once more.
    fn component(&mut self, blocks: Vec<u32>, tasks: &mut Vec<Task>) {
        if let [block] = *blocks
            && !self.next[block as usize].contains(&block)
        {
            tasks.push(Task::Done(Step::Run(block)));
            return;
        }
        let part = self.parts;
        self.parts += 1;
        for &block in &blocks {
            self.part[block as usize] = part;
        }
        let outside = |&previous: &u32| self.part[previous as usize] != part;
        let entered =
            |&block: &u32| block == 0 || self.previous[block as usize].iter().any(outside);
        let head = blocks.iter().copied().filter(entered).min().unwrap_or(blocks[0]);
        self.part[head as usize] = NONE;
        tasks.push(Task::Done(Step::Run(head)));
        tasks.push(Task::Part(blocks.into_iter().filter(|&block| block != head).collect()));
        tasks.push(Task::Done(Step::Again(head)));
    }

    /// The strongly connected components of a part, each before those that follow it (Kosaraju).
    fn components(&mut self, blocks: &[u32]) -> Result<Vec<Vec<u32>>, String> {
        self.walks += 1;
        let mut finished = Vec::with_capacity(blocks.len());
        // Last first, so that blocks keep the text's order where the graph leaves a choice.
        for &root in blocks.iter().rev() {
            self.walk(root, self.next, &mut finished)?;
        }
        self.walks += 1;
        let mut components = Vec::new();
        for &root in finished.iter().rev() {
            let mut component = Vec::new();
            self.walk(root, self.previous, &mut component)?;
            if !component.is_empty() {
                components.push(component);
            }
        }
        Ok(components)
    }

    /// Is this the first time that the present walk comes to the block?
    fn first_time(&mut self, block: u32) -> bool {
        std::mem::replace(&mut self.seen[block as usize], self.walks) != self.walks
    }

    /// Walks depth first along `edges` inside the part of `root`; adds blocks not seen yet to
    /// `finished`, each behind those that it leads to.
    fn walk(
        &mut self,
        root: u32,
        edges: &[Vec<u32>],
        finished: &mut Vec<u32>,
    ) -> Result<(), String> {
        if !self.first_time(root) {
            return Ok(());
        }
        let mut stack = vec![(root, edges[root as usize].len())];
        while let Some((block, left)) = stack.last_mut() {
            self.work += 1;
            if self.work > MAX_STEPS {
                return Err("control flow too tangled".to_owned());
            }
            if *left == 0 {
                finished.push(*block);
                stack.pop();
                continue;
            }
            *left -= 1;
            let goal = edges[*block as usize][*left];
            if self.part[goal as usize] == self.part[root as usize] && self.first_time(goal) {
                stack.push((goal, edges[goal as usize].len()));
            }
        }
        Ok(())
    }
}
