//! `mma.sync` and `ldmatrix` against plain matrix products: the fragments' layout is the ISA's.

use crate::harness::kernel;

/// Small integers, whose products and sums are exact in every format.
fn value(seed: usize, row: usize, column: usize) -> f32 {
    ((row * 7 + column * 3 + seed * 5) % 11) as f32 - 5.0
}

fn half(value: f32, ty: &str) -> u32 {
    match ty {
        "bf16" => value.to_bits() >> 16,
        // Small integers only.
        _ if value == 0.0 => 0,
        _ => {
            let bits = value.to_bits();
            (bits >> 31 << 15) | (((bits >> 23 & 255) - 127 + 15) << 10) | (bits >> 13 & 0x3ff)
        }
    }
}

/// Runs one product; each lane's registers come from the input, A's, then B's, then C's.
fn product(ty: &str, k: usize, accumulator: &str) {
    let pairs = ty != "tf32";
    let per = if pairs { 2 } else { 1 };
    let (a_count, b_count) = (k / 2 / per, k / 4 / per);
    let c_count = if accumulator == "f16" { 2 } else { 4 };
    let pack = |low: f32, high: f32| half(high, ty) << 16 | half(low, ty);
    let mut input = vec![];
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for part in 0..a_count {
            let row = g + 8 * (part % 2);
            let depth = t * per + 4 * per * (part / 2);
            input.push(match pairs {
                true => pack(value(1, row, depth), value(1, row, depth + 1)),
                false => value(1, row, depth).to_bits(),
            });
        }
        for part in 0..b_count {
            let depth = t * per + 4 * per * part;
            input.push(match pairs {
                true => pack(value(2, depth, g), value(2, depth + 1, g)),
                false => value(2, depth, g).to_bits(),
            });
        }
        for part in 0..2 {
            let at = |column| value(3, g + 8 * part, 2 * t + column);
            match accumulator {
                "f16" => input.push(half(at(1), "f16") << 16 | half(at(0), "f16")),
                _ => input.extend([at(0).to_bits(), at(1).to_bits()]),
            }
        }
    }
    let names = |prefix: &str, count: usize| {
        (0..count).map(|i| format!("%{prefix}{i}")).collect::<Vec<_>>().join(", ")
    };
    let words = a_count + b_count + c_count;
    let load = |prefix: &str, count: usize, from: usize| {
        (0..count)
            .map(|i| format!("ld.global.b32 %{prefix}{i}, [%i+{}];\n", 4 * (from + i)))
            .collect::<String>()
    };
    let store: String =
        (0..c_count).map(|i| format!("st.global.b32 [%o+{}], %d{i};\n", 4 * i)).collect();
    let types = format!("{accumulator}.{ty}.{ty}.{accumulator}");
    let text = format!(
        ".visible .entry k(.param .u64 in, .param .u64 out)
{{
.reg .b64 %i, %o, %at; .reg .b32 %t, %a<8>, %b<4>, %c<4>, %d<4>;
ld.param.u64 %i, [in]; ld.param.u64 %o, [out];
mov.u32 %t, %tid.x;
mul.wide.u32 %at, %t, {}; add.s64 %i, %i, %at;
mul.wide.u32 %at, %t, {}; add.s64 %o, %o, %at;
{}{}{}
mma.sync.aligned.m16n8k{k}.row.col.{types} {{{}}}, {{{}}}, {{{}}}, {{{}}};
{store}
ret;
}}
",
        4 * words,
        4 * c_count,
        load("a", a_count, 0),
        load("b", b_count, a_count),
        load("c", c_count, a_count + b_count),
        names("d", c_count),
        names("a", a_count),
        names("b", b_count),
        names("c", c_count),
    );
    let found = kernel(&text, 32, &input, 32 * c_count, true).unwrap();
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for part in 0..4 {
            let (row, column) = (g + 8 * (part / 2), 2 * t + part % 2);
            let exact =
                (0..k).map(|depth| value(1, row, depth) * value(2, depth, column)).sum::<f32>();
            let exact = exact + value(3, row, column);
            let (found, exact) = match accumulator {
                "f16" => {
                    (found[lane * 2 + part / 2] >> (16 * (part % 2)) & 0xffff, half(exact, "f16"))
                }
                _ => (found[lane * 4 + part], exact.to_bits()),
            };
            assert_eq!(found, exact, "{types} k{k}: row {row}, column {column}");
        }
    }
}

#[test]
fn products_of_fragments() {
    product("bf16", 16, "f32");
    product("bf16", 8, "f32");
    product("f16", 16, "f32");
    product("f16", 8, "f32");
    product("f16", 16, "f16");
    product("f16", 8, "f16");
    product("tf32", 8, "f32");
    product("tf32", 4, "f32");
}

/// Four matrices of 8 rows of 16 bytes are contiguous in shared memory; element (r, c) of matrix m
/// is 64 m + 8 r + c.
#[test]
fn matrices_from_shared_memory() {
    for (count, transposed) in [(1, false), (2, false), (4, false), (1, true), (2, true), (4, true)]
    {
        let input: Vec<u32> = (0..128).map(|i| ((2 * i + 1) << 16) | (2 * i)).collect();
        let suffix = if transposed { ".trans" } else { "" };
        let names = (0..count).map(|i| format!("%m{i}")).collect::<Vec<_>>().join(", ");
        let store: String =
            (0..count).map(|i| format!("st.global.b32 [%o+{}], %m{i};\n", 4 * i)).collect();
        let text = format!(
            ".visible .entry k(.param .u64 in, .param .u64 out)
{{
.reg .b64 %i, %o, %at; .reg .b32 %t, %a, %m<4>;
.shared .align 16 .b8 sh[512];
ld.param.u64 %i, [in]; ld.param.u64 %o, [out];
mov.u32 %t, %tid.x;
mul.wide.u32 %at, %t, 16; add.s64 %i, %i, %at;
mul.wide.u32 %at, %t, {}; add.s64 %o, %o, %at;
mov.u32 %a, sh; mad.lo.u32 %a, %t, 16, %a;
ld.global.v4.b32 {{%m0, %m1, %m2, %m3}}, [%i];
st.shared.v4.b32 [%a], {{%m0, %m1, %m2, %m3}};
bar.sync 0;
ldmatrix.sync.aligned.m8n8.x{count}{suffix}.shared.b16 {{{names}}}, [%a];
{store}
ret;
}}
",
            4 * count
        );
        let found = kernel(&text, 32, &input, 32 * count, true).unwrap();
        for lane in 0..32 {
            for m in 0..count {
                let element = |r: usize, c: usize| (64 * m + 8 * r + c) as u32;
                let (r, c) = (lane / 4, 2 * (lane % 4));
                let (low, high) = match transposed {
                    false => (element(r, c), element(r, c + 1)),
                    true => (element(c, r), element(c + 1, r)),
                };
                assert_eq!(
                    found[lane * count + m],
                    high << 16 | low,
                    "x{count}{suffix}, lane {lane}, matrix {m}"
                );
            }
        }
    }
}
