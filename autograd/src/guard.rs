//! A guard of the update: one op of the step sees whether loss and gradients are finite, and where they
//! are not, no op behind it changes weights or state. So nobody needs to look between the phases.

use tensor::Kernel;
use tensor::kernel::MOST_SCALARS;

use crate::graph::{DType, Graph, Kind, Node, Phase, Value};

impl Graph {
    /// Puts a [`Kernel::NonFiniteCheck`] of `scalars` and of all that the update gets from earlier phases
    /// behind the last op that makes one of them, and makes it the guard of every later op that changes
    /// a persistent value. Returns its report, which is kept: whether one of the numbers is infinite or
    /// NaN (1, else 0), and then the scalars. Call it on the whole list, fused.
    ///
    /// # Panics
    /// If there are more than [`MOST_SCALARS`], or a later op takes no guard.
    pub fn guard_updates(&mut self, scalars: &[Value]) -> Value {
        assert!(scalars.len() <= MOST_SCALARS, "{} scalars", scalars.len());
        let fed = self.fed();
        let checked: Vec<Value> =
            scalars.iter().chain(&fed).flat_map(|v| self.leaves(v)).copied().collect();
        let makes = |node: &Node| {
            let mut made = node.outputs.iter().flat_map(|v| self.leaves(v));
            node.phase != Phase::Update && made.any(|leaf| checked.contains(leaf))
        };
        let last = self.nodes.iter().rposition(makes).map_or(0, |place| place + 1);
        let place = last.max(self.places(&[Phase::Forward]).len());

        let (mut flat, mut ranges, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for v in fed {
            match self.ranges_of(v) {
                Some(value) => {
                    flat.push(v);
                    ranges.push(value);
                }
                None => plain.extend_from_slice(self.leaves(&v)),
            }
        }
        let kernel = Kernel::NonFiniteCheck { scalars: scalars.len(), flat: flat.len() };
        let report = self.temp([1 + scalars.len()].into(), DType::F32);
        self.keep(report);
        let check = Node {
            kernel,
            inputs: [scalars, &flat, &ranges, &plain].concat(),
            outputs: vec![report],
            layer: "guard".to_owned(),
            phase: Phase::Backward,
            again: false,
        };
        self.nodes.insert(place, check);
        for at in place + 1..self.nodes.len() {
            let Node { kernel, inputs, outputs, .. } = &self.nodes[at];
            let mut changed = outputs.iter().flat_map(|v| self.leaves(v));
            if changed.any(|&leaf| self.info(leaf).kind != Kind::Temp) {
                let own = kernel.own_inputs();
                assert_eq!(own, Some(inputs.len()), "{} takes no guard", kernel.name());
                self.nodes[at].inputs.push(report);
            }
        }
        report
    }

    /// What the update reads and earlier phases make, or state that they may have made.
    fn fed(&self) -> Vec<Value> {
        let (mut fed, mut made) = (Vec::new(), Vec::new());
        for node in self.nodes.iter().filter(|node| node.phase == Phase::Update) {
            for v in &node.inputs {
                let first = self.leaves(v)[0];
                let info = self.info(first);
                let is_number = info.dtype == DType::F32;
                let may_be = is_number && matches!(info.kind, Kind::Temp | Kind::State);
                if may_be && !made.contains(&first) && !fed.contains(v) {
                    fed.push(*v);
                }
            }
            made.extend(node.outputs.iter().flat_map(|v| self.leaves(v)).copied());
        }
        fed
    }

    /// The values that a span covers; of others, the value itself.
    fn leaves<'a>(&'a self, v: &'a Value) -> &'a [Value] {
        self.members(*v).unwrap_or(std::slice::from_ref(v))
    }

    /// The ranges of a span's members as a constant; none if a u32 does not reach the last one.
    fn ranges_of(&mut self, v: Value) -> Option<Value> {
        let ranges = self.ranges(self.members(v)?);
        u32::try_from(ranges.last()?.1).ok()?;
        let ranges: Vec<u32> =
            ranges.iter().flat_map(|&(start, end)| [start as u32, end as u32]).collect();
        // An update of the same tensors may have them, too.
        let known = self.constants.iter().find(|(_, data)| *data == ranges).map(|&(v, _)| v);
        Some(known.unwrap_or_else(|| self.constant_u32("ranges", ranges)))
    }
}
