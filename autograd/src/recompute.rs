//! Less memory for more work: activations that are made anew where the gradient needs them.
//!
//! The gradient reads many results of the forward pass, which therefore wait, and most of a step's
//! memory is theirs. The results of a dropped node die after their last use in the forward pass; a
//! copy of the node then stands in the list before the gradient that reads them. If what the copy
//! reads was dropped as well, it is made anew first, and so on back to results that are there: these
//! are the borders of a segment, as in Chen et al., *Training deep nets with sublinear memory cost*
//! (2016). See `docs/memory.md`.
//!
//! Which nodes to drop is chosen greedily: that change which takes away most of the byte-steps above
//! the budget (bytes too many, summed over the list) per unit of work. So the cheap ones go first,
//! batch norm and its ReLU before convolutions, and a segment does not grow too long, because its
//! copies would then be too many bytes at its end. At last, what turns out not to be needed is kept
//! after all.
//!
//! Copies read the same numbers and so give the same bits. Batch norm's copy uses the statistics that
//! the original has found, and leaves the running ones alone; other nodes that change state are never
//! copied.

mod alive;
mod changes;
mod list;

use tensor::{Device, Error, Result};

use self::alive::Alive;
use self::changes::Change;
use self::list::{Choice, Copies};
use crate::graph::Graph;
use crate::plan::Plan;
use crate::trace::bytes;

/// A layout has gaps: the search aims at the budget, and then at up to as many percent less.
const GAPS: usize = 12;
/// Then at this many even parts of what can be dropped, from the least work on; if none fits, the
/// smallest of them is the budget that is told.
const PARTS: usize = 16;
/// Budgets are told in multiples of this many bytes.
const UNIT: usize = 1024;

impl Graph {
    /// Rewrites the list so that its [`Plan`] for `device` takes at most `budget` bytes, with as
    /// little extra work as the search finds. A list that fits stays as it is. Call it last: the list
    /// must be whole.
    ///
    /// # Errors
    /// A budget that cannot be met: names the smallest that can.
    pub fn recompute(&mut self, device: &dyn Device, budget: usize) -> Result<()> {
        let plan = Plan::new(self, device);
        if plan.bytes() <= budget {
            return Ok(());
        }
        let search = Search::new(self, device, plan.persistent);
        let planned = |aim: usize| {
            let graph = search.rewritten(aim);
            let plan = Plan::new(&graph, device);
            (plan.bytes(), 4 * plan.lower_bound, graph)
        };
        for percent in 0..=GAPS {
            let aim = budget / 100 * (100 - percent);
            if aim < search.floor {
                break;
            }
            let (bytes, alive, graph) = planned(aim);
            if bytes <= budget {
                *self = graph;
                return Ok(());
            }
            // Not the layout is too large, but the list.
            if alive > budget {
                break;
            }
        }
        let part = plan.bytes().saturating_sub(search.floor) / PARTS;
        let mut smallest = usize::MAX;
        for parts in (0..PARTS).rev() {
            let (bytes, _, graph) = planned(search.floor + parts * part);
            if bytes.next_multiple_of(UNIT) <= budget {
                *self = graph;
                return Ok(());
            }
            smallest = smallest.min(bytes);
        }
        let detail = format!(
            "{} is too little: the smallest that works is {}KiB; from {}KiB on nothing is computed \
             twice",
            bytes(budget),
            smallest.div_ceil(UNIT),
            plan.bytes().div_ceil(UNIT)
        );
        Err(Error::setting("memory_budget", detail))
    }
}

/// A list to rewrite, with all that a rewrite is judged by.
struct Search<'a> {
    copies: Copies<'a>,
    alive: Alive<'a>,
    changes: Vec<Change>,
    /// Elements of persistent values.
    persistent: usize,
    /// Bytes below which no list gets.
    floor: usize,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, device: &dyn Device, persistent: usize) -> Search<'a> {
        let copies = Copies::new(graph);
        let alive = Alive::new(&copies, device);
        let plain = copies.list(&vec![Choice::Keep; graph.nodes.len()]);
        let floor = 4 * (persistent + alive.floor(&plain));
        Search { changes: Change::all(&copies), copies, alive, persistent, floor }
    }

    /// The graph with at most `aim` bytes alive, or as near as the search gets.
    fn rewritten(&self, aim: usize) -> Graph {
        self.copies.rewritten(&self.copies.list(&self.choices(aim)))
    }

    /// The choices for that.
    fn choices(&self, aim: usize) -> Vec<Choice> {
        let most = (aim / 4).saturating_sub(self.persistent);
        let mut choices = vec![Choice::Keep; self.copies.of_node.len()];
        // What each change is worth, as far as is known: it seldom rises as others are made, so only
        // the best needs to be looked at again.
        let mut worth = vec![f64::INFINITY; self.changes.len()];
        let mut is_known = vec![false; worth.len()];
        let mut next = 0;
        let (mut excess, mut work) = self.cost(&choices, most);
        while excess > 0 {
            let better = |&a: &usize, &b: &usize| worth[a].total_cmp(&worth[b]).then(b.cmp(&a));
            let Some(best) = (0..worth.len()).max_by(better) else { break };
            if !is_known[best] && self.changes[best].is_made(&choices) {
                worth[best] = 0.0;
                is_known[best] = true;
            } else if !is_known[best] {
                let (less, more) = self.cost(&self.changes[best].made(&choices), most);
                let price = more.saturating_sub(work).max(1) as f64;
                worth[best] = (excess as f64 - less as f64) / price;
                is_known[best] = true;
            } else if worth[best] > 0.0 {
                choices = self.changes[best].made(&choices);
                (excess, work) = self.cost(&choices, most);
                is_known.fill(false);
            } else {
                // Others may have become worth something: look at them all, going round, before
                // giving up.
                let mut others = (next..worth.len()).chain(0..next);
                let Some(unknown) = others.find(|&change| !is_known[change]) else { break };
                worth[unknown] = f64::INFINITY;
                next = unknown + 1;
            }
        }
        self.keep_again(&mut choices, most, excess);
        choices
    }

    /// Keeps what need not be dropped for the same excess, most work first.
    fn keep_again(&self, choices: &mut [Choice], most: usize, excess: u64) {
        let work = |node: usize| self.copies.of_node[node].as_ref().map_or(0, |copy| copy.work);
        let mut nodes: Vec<usize> = (0..choices.len()).collect();
        nodes.sort_by_key(|&node| std::cmp::Reverse(work(node)));
        for node in nodes {
            let chosen = choices[node];
            for choice in [Choice::Keep, Choice::Once] {
                if choice < choices[node] {
                    choices[node] = choice;
                    if self.cost(choices, most).0 <= excess {
                        break;
                    }
                    choices[node] = chosen;
                }
            }
        }
    }

    /// Element-steps above `most`, and the work of the copies.
    fn cost(&self, choices: &[Choice], most: usize) -> (u64, u64) {
        let list = self.copies.list(choices);
        let copies = list.ops.iter().filter_map(|op| self.copies.of(op));
        let work = copies.map(|copy| copy.work).sum();
        let excess = |alive: usize| alive.saturating_sub(most) as u64;
        (self.alive.during(&list).into_iter().map(excess).sum(), work)
    }
}

#[cfg(test)]
mod tests {
    use tensor::Cpu;
    use tensor::random::{Purpose, Stream};

    use super::*;
    use crate::fuse::Passes;
    use crate::graph::Phase;
    use crate::ops::batch_norm::BatchNormParams;

    /// Two residual blocks with batch norm, a linear layer, and their gradients.
    fn graph(passes: &Passes) -> Graph {
        let mut graph = Graph::new();
        let g = &mut graph;
        let mut x = g.input("x", [4, 8, 8, 8]);
        let mut weights = Vec::new();
        for block in 0..2 {
            let mut inner = x;
            for layer in 0..2 {
                let name = |kind: &str| format!("{block}.{layer}.{kind}");
                let weight = g.param(&name("conv"), [8, 3, 3, 8]);
                let [gamma, beta] = ["weight", "bias"].map(|kind| g.param(&name(kind), [8]));
                let [mean, var] = ["mean", "var"].map(|kind| g.state(&name(kind), [8]));
                weights.extend([weight, gamma, beta]);
                let norm = BatchNormParams {
                    weight: gamma,
                    bias: beta,
                    running_mean: mean,
                    running_var: var,
                };
                inner = g.conv2d(inner, weight, 1, 1).unwrap();
                inner = g.batch_norm(inner, norm, true, 1e-5, 0.1).unwrap();
            }
            x = g.add(inner, x).unwrap();
            x = g.relu(x);
        }
        let weight = g.param("linear", [3, 8]);
        weights.push(weight);
        x = g.global_avg_pool(x).unwrap();
        x = g.linear(x, weight, None).unwrap();
        g.keep(x);
        g.fuse(passes);
        let seed = g.in_phase(Phase::Backward, |g| g.fill([4, 3], 1.0));
        for grad in g.backward(&[(x, seed)], &weights).unwrap() {
            g.keep(grad.expect("all reach x"));
        }
        graph
    }

    #[test]
    fn what_is_said_to_be_alive_is_what_the_plan_finds() {
        for passes in [Passes::none(), Passes::all()] {
            check_alive(&graph(&passes));
        }
    }

    fn check_alive(graph: &Graph) {
        let copies = Copies::new(graph);
        let alive = Alive::new(&copies, &Cpu);
        let mut random = Stream::new(1, Purpose::Test, 5, 0);
        let mut made = 0;
        for _ in 0..200 {
            let choice = |_| match random.range(0.0, 3.0) as usize {
                0 => Choice::Keep,
                1 => Choice::Once,
                _ => Choice::Always,
            };
            let choices: Vec<Choice> = (0..graph.nodes.len()).map(choice).collect();
            let list = copies.list(&choices);
            let plan = Plan::new(&copies.rewritten(&list), &Cpu);
            let most = alive.during(&list).into_iter().max().unwrap();
            assert_eq!(plan.persistent + most, plan.lower_bound);
            made += list.ops.len() - graph.nodes.len();
        }
        assert!(made > 1000, "only {made} copies");
    }
}
