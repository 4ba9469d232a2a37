use super::exercise::{Node, lifetimes};
use crate::compare::close;

pub fn check() -> Result<(), String> {
    let node = |inputs: &[usize], output| Node { inputs: inputs.to_vec(), output };
    let cases = [
        (
            "a chain of three nodes",
            vec![node(&[], 0), node(&[0], 1), node(&[1], 2)],
            vec![(0, 1), (1, 2), (2, 2)],
        ),
        (
            "a value that is read again much later (a skip connection)",
            vec![node(&[], 0), node(&[0], 1), node(&[1], 2), node(&[2, 0], 3)],
            vec![(0, 3), (1, 2), (2, 3), (3, 3)],
        ),
        (
            "values that are not numbered in the order of the list, one of them unread",
            vec![node(&[], 3), node(&[3], 1), node(&[3], 2), node(&[1, 1], 0)],
            vec![(3, 3), (1, 3), (2, 2), (0, 2)],
        ),
    ];
    for (what, list, expected) in cases {
        let found = lifetimes(&list, expected.len());
        let parts = |lives: &[(usize, usize)], of: fn(&(usize, usize)) -> usize| -> Vec<f64> {
            lives.iter().map(|life| of(life) as f64).collect()
        };
        let [first, last] = [|life: &(usize, usize)| life.0, |life: &(usize, usize)| life.1];
        close(
            &format!("first of each value in {what}"),
            &parts(&found, first),
            &parts(&expected, first),
            0.0,
            &[],
        )?;
        let made = parts(&expected, first);
        let mistakes = [("reading a value prolongs its life", made)];
        close(
            &format!("last of each value in {what}"),
            &parts(&found, last),
            &parts(&expected, last),
            0.0,
            &mistakes,
        )?;
    }
    Ok(())
}
