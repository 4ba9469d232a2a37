//! Started as several processes: the first one alone says what is wrong.

mod common;

use common::command;

#[test]
fn several_processes_are_refused_where_they_cannot_share() {
    let temp = tempfile::tempdir().unwrap();
    // With MPI built in, training would look for the other processes.
    let train: &[&[&str]] =
        if cfg!(feature = "mpi") { &[] } else { &[&["train", "--shards", "2"]] };
    let others: [&[&str]; 2] = [&["data", "list"], &["train", "--no-such"]];
    let parts = ["started as 2 processes", "unexpected argument"];
    let cases = train.iter().map(|args| (args, "--features mpi")).chain(others.iter().zip(parts));
    for (args, part) in cases {
        for (size, rank) in [
            ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
            ("PMI_SIZE", "PMI_RANK"),
            ("SLURM_STEP_NUM_TASKS", "PMIX_RANK"),
        ] {
            let run = |number| {
                let mut command = command(temp.path(), args);
                command.env(size, "2").env(rank, number).output().unwrap()
            };
            let (first, second) = (run("0"), run("1"));
            let line = String::from_utf8_lossy(&first.stderr).into_owned();
            assert!(first.status.code() == Some(2) && line.contains(part), "{args:?}: {line}");
            assert!(second.status.success() && second.stderr.is_empty(), "{args:?}: {second:?}");
        }
    }
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn one_process_of_a_launcher_is_as_without_it() {
    let temp = tempfile::tempdir().unwrap();
    let mut list = command(temp.path(), &["data", "list"]);
    assert!(list.env("PMI_SIZE", "1").env("PMI_RANK", "0").output().unwrap().status.success());
}
