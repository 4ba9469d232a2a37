//! The list of a network's tensors and their initial values.

use autograd::{Graph, Shape, Value};
use tensor::random::{Purpose, Stream};

/// How a tensor is initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// The same number everywhere.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform in [-bound, bound).
    Uniform(f32),
    /// Standard normal, rows of this length then scaled to length 1.
    UnitRows(usize),
    /// The positive part of a standard normal.
    HalfNormal,
}

impl Init {
    /// `elements` numbers.
    fn draw(self, elements: usize, stream: &mut Stream) -> Vec<f32> {
        match self {
            Init::Constant(value) => vec![value; elements],
            Init::Normal(std) => (0..elements).map(|_| std * stream.normal()).collect(),
            Init::Uniform(bound) => (0..elements).map(|_| stream.range(-bound, bound)).collect(),
            Init::HalfNormal => (0..elements).map(|_| stream.normal().max(0.0)).collect(),
            Init::UnitRows(columns) => {
                let mut rows = Init::Normal(1.0).draw(elements, stream);
                for row in rows.chunks_exact_mut(columns) {
                    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                    row.iter_mut().for_each(|x| *x /= length);
                }
                rows
            }
        }
    }
}

/// One tensor of a network.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its value in the graph; the graph knows its name and shape.
    pub value: Value,
    /// How it is initialised.
    pub init: Init,
    /// A running statistic, which neither optimizer nor moving average touches.
    pub is_buffer: bool,
}

/// All tensors of a network, in creation order.
pub struct Params {
    trained: bool,
    list: Vec<Param>,
}

impl Params {
    /// An empty list; `trained` networks get gradients, others (the teacher) are state.
    pub fn new(trained: bool) -> Params {
        Params { trained, list: Vec::new() }
    }

    /// Adds a weight.
    pub fn weight(
        &mut self,
        graph: &mut Graph,
        name: &str,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Value {
        let value = if self.trained { graph.param(name, shape) } else { graph.state(name, shape) };
        self.list.push(Param { value, init, is_buffer: false });
        value
    }

    /// Adds a running statistic.
    pub fn buffer(
        &mut self,
        graph: &mut Graph,
        name: &str,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Value {
        let value = graph.state(name, shape);
        self.list.push(Param { value, init, is_buffer: true });
        value
    }

    /// All tensors.
    pub fn all(&self) -> &[Param] {
        &self.list
    }

    /// All but the running statistics.
    pub fn weights(&self) -> impl Iterator<Item = Param> + '_ {
        self.list.iter().copied().filter(|param| !param.is_buffer)
    }

    /// The initial numbers of tensor `index` of the list, `elements` of them.
    pub fn initial(&self, index: usize, elements: usize, seed: u64) -> Vec<f32> {
        self.drawn(Purpose::Weights, index, elements, seed)
    }

    /// As [`Params::initial`], of numbers that are drawn for something other than weights.
    pub fn drawn(&self, purpose: Purpose, index: usize, elements: usize, seed: u64) -> Vec<f32> {
        self.list[index].init.draw(elements, &mut Stream::new(seed, purpose, 0, index as u64))
    }
}
