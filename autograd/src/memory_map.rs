//! The memory of a step, in words and as a picture.

use std::fmt::Write as _;

use tensor::shards::Shards;

use crate::graph::{Graph, Kind, Phase};
use crate::plan::{Block, Plan};
use crate::trace::{Recomputed, bytes};

/// Bytes of persistent values of one kind.
pub fn persistent(graph: &Graph, kind: Kind) -> usize {
    let of_kind = graph.values().filter(|(_, info)| info.kind == kind);
    4 * of_kind.map(|(_, info)| info.words()).sum::<usize>()
}

/// Sizes by kind, the peak and its op.
pub fn report(graph: &Graph, plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |name: &str, size: usize, note: &str| {
        let _ = writeln!(text, "{name:<28} {:>11} {size:>14} B  {note}", bytes(size));
    };
    line("inputs", persistent(graph, Kind::Input), "views, settings of the step");
    if !plan.arrivals.is_empty() {
        line("inputs that arrive", plan.arrival_bytes(), "the next views, beside the step");
    }
    line("parameters", persistent(graph, Kind::Param), "trained");
    line("state", persistent(graph, Kind::State), "teacher, optimizer, running statistics");
    line("constants", persistent(graph, Kind::Constant), "indices and numbers that stay");
    line("temporaries", 4 * (plan.total - plan.persistent), "shared by values and workspaces");
    let Shards { all, local } = graph.shards();
    if all > 1 {
        line("of which a shard", 4 * plan.shard, &format!("with its views; {local} of {all} here"));
    }
    line("arena", plan.bytes(), "the one allocation of a step");
    let bound = format!(
        "most alive at a time; the arena is {:.3} of it",
        plan.total as f64 / plan.lower_bound.max(1) as f64
    );
    line("lower bound", 4 * plan.lower_bound, &bound);

    if let Some(recomputed) = Recomputed::of(graph) {
        let _ = writeln!(text, "{recomputed}");
    }

    let alive = |at: usize| -> usize {
        let lives = |block: &&Block| (block.first..=block.last).contains(&at);
        plan.blocks.iter().filter(lives).map(|block| block.slot.len).sum()
    };
    if let Some(peak) = (0..graph.nodes().len()).max_by_key(|&at| alive(at)) {
        let node = &graph.nodes()[peak];
        let _ = writeln!(text, "peak at op {peak}: {} of {}", node.kernel.name(), node.layer);
    }
    let mut largest: Vec<&Block> = plan.blocks.iter().collect();
    largest.sort_by_key(|block| std::cmp::Reverse(block.slot.len));
    for block in largest.iter().take(5) {
        let (what, node) = (describe(block), &graph.nodes()[block.first]);
        let _ = writeln!(
            text,
            "  {:>11}  {what} of {} in {}, ops {} to {}",
            bytes(4 * block.slot.len),
            node.kernel.name(),
            node.layer,
            block.first,
            block.last
        );
    }
    text
}

fn describe(block: &Block) -> &'static str {
    if block.is_workspace { "workspace" } else { "result" }
}

/// Picture size and margins in pixels.
const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 640.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 48.0;

/// The memory map as SVG: ops from left to right, the arena from bottom to top, a rectangle per
/// block while it is in use.
pub fn svg(graph: &Graph, plan: &Plan) -> String {
    let ops = graph.nodes().len().max(1) as f64;
    let total = plan.total.max(1) as f64;
    let x = |op: usize| LEFT + op as f64 / ops * (WIDTH - LEFT - 16.0);
    let y = |offset: usize| HEIGHT - BOTTOM - offset as f64 / total * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"17\">Memory of one training step: {} in one \
         arena, {} ops</text>\n",
        bytes(plan.bytes()),
        graph.nodes().len()
    );
    let mut rectangle = |from: (f64, f64), to: (f64, f64), colour: &str, title: &str| {
        let _ = writeln!(
            svg,
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{colour}\" \
             stroke=\"white\" stroke-width=\"0.2\"><title>{title}</title></rect>",
            from.0,
            to.1,
            (to.0 - from.0).max(0.5),
            (from.1 - to.1).max(0.2)
        );
    };
    let end = graph.nodes().len();
    let title = format!("inputs, parameters, state, constants: {}", bytes(4 * plan.persistent));
    rectangle((x(0), y(0)), (x(end), y(plan.persistent)), PERSISTENT, &title);
    for block in &plan.blocks {
        let node = &graph.nodes()[block.first];
        let colour = match (block.is_workspace, node.phase) {
            (true, _) => WORKSPACE,
            (false, _) if node.again => AGAIN,
            (false, Phase::Forward) => ACTIVATION,
            (false, _) => GRADIENT,
        };
        let title = format!(
            "{} of {} in {}: {}, ops {} to {}",
            describe(block),
            node.kernel.name(),
            node.layer,
            bytes(4 * block.slot.len),
            block.first,
            block.last
        );
        let (start, end) = (block.slot.offset, block.slot.offset + block.slot.len);
        rectangle((x(block.first), y(start)), (x(block.last + 1), y(end)), colour, &title);
    }
    svg + &legend(graph) + &axes(graph, plan, x, y) + "</svg>\n"
}

const PERSISTENT: &str = "#8c8c96";
const ACTIVATION: &str = "#4c8ed9";
const AGAIN: &str = "#9b6bc4";
const GRADIENT: &str = "#e08e45";
const WORKSPACE: &str = "#59a86b";

fn legend(graph: &Graph) -> String {
    let mut svg = String::new();
    let mut entries = vec![
        ("inputs, parameters, state", PERSISTENT),
        ("forward results", ACTIVATION),
        ("gradients and updates", GRADIENT),
        ("workspaces", WORKSPACE),
    ];
    if graph.nodes().iter().any(|node| node.again) {
        entries.push(("results made anew", AGAIN));
    }
    for (i, (name, colour)) in entries.into_iter().enumerate() {
        let x = LEFT + 210.0 * i as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"45\">{name}</text>",
            x + 18.0
        );
    }
    svg
}

fn axes(graph: &Graph, plan: &Plan, x: impl Fn(usize) -> f64, y: impl Fn(usize) -> f64) -> String {
    let mut svg = String::new();
    for tick in 0..=4 {
        let offset = plan.total * tick / 4;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>",
            LEFT - 8.0,
            y(offset) + 4.0,
            offset as f64 * 4.0 / (1 << 20) as f64
        );
    }
    let _ = writeln!(svg, "<text x=\"12\" y=\"{}\">MiB</text>", TOP - 8.0);
    let mut start = 0;
    for run in graph.nodes().chunk_by(|a, b| a.phase == b.phase) {
        let end = start + run.len();
        let _ = writeln!(
            svg,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{1}\" stroke=\"#333\" \
             stroke-dasharray=\"3 3\"/>",
            x(end),
            HEIGHT - BOTTOM
        );
        // A narrow phase has no room for its name.
        if run.len() * 12 > graph.nodes().len() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}: ops {start} to {}</text>",
                (x(start) + x(end)) / 2.0,
                HEIGHT - BOTTOM + 22.0,
                format!("{:?}", run[0].phase).to_lowercase(),
                end - 1
            );
        }
        start = end;
    }
    svg
}
