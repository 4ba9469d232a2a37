//! Bounds against what can be worked out by hand.

use cuda_kernels::tour;
use ptx_emulator::roofline::CARDS;
use ptx_emulator::{Options, Report};

/// A sum of 3000 elements waits for its loads, which come from the L2 cache at the same time. Without that the
/// 12 blocks that it has would bind: a load or store unit takes a warp's access in a cycle. All that it touches
/// fits every L2 cache.
#[test]
fn a_small_sum_is_bound_by_latency_and_by_its_blocks() {
    let options = Options { profile: true, ..Options::default() };
    let visits = tour::visit("add", options, ptx_emulator::launch).unwrap();
    let report = visits[0].result.as_ref().unwrap();
    // Three arrays of 12,000 bytes, 375 sectors each; one operand and the result may be one array.
    assert!([750, 1125].contains(&report.distinct_sectors), "{}", report.distinct_sectors);
    for card in &CARDS {
        let bound = card.bound(report, 12);
        // The sum begins after 200 cycles, and the store 4 later.
        let expected = 204.0 / card.clock;
        assert_eq!(bound.limit, "latency", "{bound:?}");
        assert!((bound.seconds / expected - 1.0).abs() < 1e-9, "{bound:?}, not {expected}");
        let bound = card.bound(&Report { critical_path: 0, ..report.clone() }, 12);
        // 94 warps load twice and store once: 282 accesses on 12 multiprocessors.
        assert_eq!(bound.limit, "load/store", "{bound:?}");
        let expected = 282.0 / 12.0 / card.clock;
        assert!((bound.seconds / expected - 1.0).abs() < 1e-9, "{bound:?}, not {expected}");
    }
}

/// The published peaks: f32 FMAs on all multiprocessors are as fast as the data sheets say.
#[test]
fn cards_have_their_published_peaks() {
    let teraflops = CARDS.map(|card| {
        let [single, _] = card.lanes;
        2.0 * (card.multiprocessors * single) as f64 * card.clock / 1e12
    });
    for (found, published) in teraflops.into_iter().zip([19.5, 66.9, 82.6]) {
        assert!((found / published - 1.0f64).abs() < 0.005, "{found}, not {published}");
    }
}
