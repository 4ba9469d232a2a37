use super::exercise::partition;
use crate::compare::{close, numbers};

fn softmax(x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().map(|x| x.exp()).sum();
    x.iter().map(|x| x.exp() / sum).collect()
}

pub fn check() -> Result<(), String> {
    let (logits, order, size) = (numbers(10, 1), [7, 2, 9, 4, 0, 8, 5, 1, 3, 6], 3);
    let gathered: Vec<f64> = order[..9].iter().map(|&prototype| logits[prototype]).collect();
    let expected = gathered.chunks(size).flat_map(softmax).collect::<Vec<f64>>();
    let mistakes = [
        (
            "the prototypes of a block are neighbours in `order`, not in the list of logits",
            logits[..9].chunks(size).flat_map(softmax).collect(),
        ),
        ("the softmax is over all prototypes: it should be inside each block", softmax(&gathered)),
    ];
    let found = partition(&logits, &order, size);
    if found.len() == 10 {
        return Err("10 logits in blocks of 3: got 10 probabilities, expected 9\n\
                    the one left over sits out: only whole blocks count"
            .into());
    }
    close("10 logits in blocks of 3", &found, &expected, 1e-12, &mistakes)?;
    // The step by hand of docs/method.md, section 4.
    let found = partition(&[2.2, 1.0, 2.0, 0.4], &[2, 0, 3, 1], 2);
    let by_hand =
        "logits [2.2, 1, 2, 0.4] in the order [2, 0, 3, 1], blocks of 2 (docs/method.md, 4)";
    close(by_hand, &found, &[0.4502, 0.5498, 0.3543, 0.6457], 1e-4, &[])
}
