//! Instructions against results that NumPy and PyTorch computed (`tools/golden_ptx.py`).

use std::fmt::Write;

use ptx_emulator::{Launch, Memory, Module, Options, Param, launch};

use crate::harness::{HEADER, results};

/// The cases of `golden.txt`: the fields of the head, and the rows.
fn cases() -> Vec<(Vec<&'static str>, Vec<Vec<u64>>)> {
    let mut cases: Vec<(Vec<_>, Vec<_>)> = Vec::new();
    for line in include_str!("golden.txt").lines() {
        if line.contains(" | ") {
            cases.push((line.split(" | ").collect(), Vec::new()));
        } else {
            let words = line.split(' ').map(|word| u64::from_str_radix(word, 16).unwrap());
            cases.last_mut().unwrap().1.push(words.collect());
        }
    }
    cases
}

#[test]
fn single_instructions() {
    let mut count = 0;
    for (head, rows) in cases() {
        let [line, out, types] = head[..] else { continue };
        let types: Vec<&str> = types.split(' ').collect();
        let inputs: Vec<&[u64]> = rows.iter().map(|row| &row[1..]).collect();
        for (row, found) in rows.iter().zip(results(line, out, &types, &inputs)) {
            assert_eq!(found, row[0], "{line} of {:x?}: {found:#x}, not {:#x}", &row[1..], row[0]);
        }
        count += 1;
    }
    assert!(count >= 40, "{count} cases");
}

#[test]
fn matrix_products() {
    let mut count = 0;
    for (head, rows) in cases() {
        let [line, ty, operands, outs] = head[..] else { continue };
        let (operands, outs): (Vec<&str>, Vec<&str>) =
            (operands.split(' ').collect(), outs.split(' ').collect());
        let found = product(line, ty, &operands, &outs, &rows);
        for (lane, (row, found)) in rows.iter().zip(found).enumerate() {
            assert_eq!(found, row[operands.len()..], "{line}, lane {lane}");
        }
        count += 1;
    }
    assert!(count >= 10, "{count} cases");
}

/// Runs a product on a warp whose lanes have the operands in `rows`; gives each lane's results.
fn product(
    line: &str,
    ty: &str,
    operands: &[&str],
    outs: &[&str],
    rows: &[Vec<u64>],
) -> Vec<Vec<u64>> {
    let mut text = format!("{HEADER}.visible .entry k(.param .u64 in, .param .u64 out)\n{{\n");
    text += ".reg .b64 %in, %out, %at;\n.reg .b32 %t;\n";
    let bits = ty.trim_start_matches('u');
    writeln!(text, ".reg .b{bits} {}, {};", operands.join(", "), outs.join(", ")).unwrap();
    text += "ld.param.u64 %in, [in];\nld.param.u64 %out, [out];\nmov.u32 %t, %tid.x;\n";
    writeln!(text, "mad.wide.u32 %in, %t, {}, %in;", 8 * operands.len()).unwrap();
    writeln!(text, "mad.wide.u32 %out, %t, {}, %out;", 8 * outs.len()).unwrap();
    for (at, name) in operands.iter().enumerate() {
        writeln!(text, "ld.global.b{bits} {name}, [%in+{}];", 8 * at).unwrap();
    }
    text += line;
    for (at, name) in outs.iter().enumerate() {
        writeln!(text, "\nst.global.b{bits} [%out+{}], {name};", 8 * at).unwrap();
    }
    text += "ret;\n}\n";
    let module = Module::parse(line, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut memory = Memory::new();
    let inputs: Vec<u8> = rows
        .iter()
        .flat_map(|row| row[..operands.len()].iter().flat_map(|word| word.to_le_bytes()))
        .collect();
    let (at, out) = (memory.alloc(inputs.len()), memory.alloc(8 * outs.len() * rows.len()));
    memory.write(at, &inputs).unwrap();
    let params = [Param::U64(at), Param::U64(out)];
    let shape = Launch {
        kernel: "k",
        grid: [1; 3],
        block: [32, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let options = Options { sanitize: true, ..Options::default() };
    launch(&module, &mut memory, &shape, &options).unwrap_or_else(|fault| panic!("{fault}"));
    let mut bytes = vec![0; 8 * outs.len() * rows.len()];
    memory.read(out, &mut bytes).unwrap();
    let words: Vec<u64> =
        bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    words.chunks(outs.len()).map(<[u64]>::to_vec).collect()
}
