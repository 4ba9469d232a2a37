//! Queues, bad sizes in one line, and the same bits on any number of threads.

use autograd::{Executor, Graph, Phase, Result, Value};
use methods::{BarlowTwins, Obow, SelaV2, Swav, Triplet, VicReg, queue};
use tensor::Cpu;

use crate::waves::{Wave, evaluate};

#[test]
fn a_queue_forgets_its_oldest_rows() {
    let mut g = Graph::new();
    let (state, rows) = (g.state("queue", [5, 1]), g.input("rows", [2, 1]));
    queue::push(&mut g, state, rows).unwrap();
    let mut executor = Executor::new(g, &Cpu).unwrap();
    for batch in [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]] {
        executor.write(rows, &batch);
        executor.run(Phase::Forward).unwrap();
    }
    assert_eq!(executor.read(state), [5.0, 6.0, 3.0, 4.0, 1.0]);
}

/// With the batch itself as its queue every image counts twice, which changes no code.
#[test]
fn a_queue_takes_part_in_the_codes() {
    let view = Wave { v: 0, rows: 4, columns: 6 };
    let first = |queue: &dyn Fn(&mut Graph) -> Option<Value>| {
        evaluate(&[view.input()], |g, x| {
            let queue = queue(g);
            let codes = Swav::default().codes(g, x[0], queue)?;
            let codes = g.reshape(codes, [24])?;
            g.slice_rows(codes, 0, 1)
        })
        .0
    };
    let alone = first(&|_| None);
    let twice = first(&|g| Some(g.constant("queue", [4, 6], &view.data())));
    let other = Wave { v: 1, rows: 3, columns: 6 };
    let others = first(&|g| Some(g.constant("queue", [3, 6], &other.data())));
    assert!((alone - twice).abs() < 1e-6, "{alone} and {twice}");
    assert!((alone - others).abs() > 1e-4, "{alone} and {others}");
}

#[test]
fn bad_sizes_are_one_line() {
    let line = |build: &dyn Fn(&mut Graph) -> Result<()>| {
        let line = build(&mut Graph::new()).unwrap_err().to_string();
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    };
    let rows = |g: &mut Graph, rows| g.input("x", [rows, 4]);
    let triplet = line(&|g| {
        let x = rows(g, 10);
        Triplet.loss(g, [x; 2], [x; 2]).map(drop)
    });
    assert!(
        triplet.ends_with("a batch of 10 images has 9 negatives each; needs at least 11 images")
    );
    let barlow = line(&|g| {
        let x = rows(g, 1);
        BarlowTwins::default().loss(g, x, x).map(drop)
    });
    assert!(barlow.contains("training needs at least 2"), "{barlow}");
    let vicreg = line(&|g| {
        let x = rows(g, 1);
        VicReg::default().loss(g, x, x).map(drop)
    });
    assert!(vicreg.ends_with("a batch of 1 has no variance; needs at least 2 images"), "{vicreg}");
    let queue = line(&|g| {
        let (queue, x) = (g.state("queue", [3, 4]), rows(g, 5));
        queue::push(g, queue, x)
    });
    assert!(queue.ends_with("a queue of 3 rows is shorter than a batch of 5"), "{queue}");
    let one_view = line(&|g| {
        let (scores, codes) = (rows(g, 3), rows(g, 6));
        Swav::default().loss(g, scores, codes).map(drop)
    });
    assert!(one_view.contains("V >= 2"), "{one_view}");
    let no_iterations = line(&|g| {
        let scores = rows(g, 3);
        Swav { iterations: 0, ..Swav::default() }.codes(g, scores, None).map(drop)
    });
    assert!(no_iterations.contains("needs 1 to 1000"), "{no_iterations}");
    for (side, wants) in [(2, "at least 3x3"), (4, "at least 5x5")] {
        let small = line(&|g| {
            let maps = g.input("maps", [2, side, side, 3]);
            let words = g.input("words", [5, 3]);
            let mean = g.state("mean", [1]);
            Obow::default().bags(g, maps, words, mean)?;
            let places = g.input_u32("places", [2]);
            Obow::default().new_words(g, maps, places).map(drop)
        });
        assert!(small.ends_with(wants), "{small}");
    }
    // No image is near the second cluster: to the 25th power its share is 0.
    let starved = SelaV2::default().labels(&[0.0, -1e3, 0.0, -1e3], 2).unwrap_err().to_string();
    assert!(starved.contains("has no image: lower lambda"), "{starved}");
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let views = [0, 1].map(|v| Wave { v, rows: 40, columns: 130 }.input());
            let bits = |loss: &dyn Fn(&mut Graph, &[Value]) -> Result<Value>| {
                let (loss, grads) = evaluate(&views, loss);
                (loss.to_bits(), grads.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>())
            };
            let swav = |g: &mut Graph, x: &[Value]| {
                let codes =
                    [Swav::default().codes(g, x[0], None)?, Swav::default().codes(g, x[1], None)?];
                let (scores, codes) = (g.concat_rows(x)?, g.concat_rows(&codes)?);
                Swav::default().loss(g, scores, codes)
            };
            let logits = Wave { v: 3, rows: 3000, columns: 7 }.data();
            (
                bits(&|g, x| BarlowTwins::default().loss(g, x[0], x[1])),
                bits(&|g, x| VicReg::default().loss(g, x[0], x[1])),
                bits(&|g, x| Triplet.loss(g, [x[0], x[1]], [x[1], x[0]])),
                bits(&swav),
                SelaV2::default().labels(&logits, 7).unwrap(),
            )
        })
    };
    let want = on(1);
    for threads in [2, 3, 8] {
        assert!(on(threads) == want, "{threads} threads");
    }
}
