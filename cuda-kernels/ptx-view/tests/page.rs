//! The page against the recording that it was made from.

use ptx_emulator::{Fault, Launch, Memory, Module, Options, Param, Recorder, Recording};
use ptx_view::page;
use serde_json::Value;

/// Half of the lanes put three times their number into shared memory; then all read what their
/// neighbour has put there: unless a barrier is missing, of the other warp, too.
fn kernel(barrier: &str) -> String {
    format!(
        ".version 8.0
.target sm_80
.address_size 64
.file 1 \"k.cu\"
.visible .entry other() {{ ret; }}
.visible .entry k(.param .u64 y_param)
{{
.shared .align 4 .b8 tile[256];
.reg .pred %odd; .reg .u32 %t, %bit, %at, %next, %value; .reg .u64 %y, %offset;
.loc 1 7 0
mov.u32 %t, %tid.x;
and.b32 %bit, %t, 1;
setp.ne.u32 %odd, %bit, 0;
mad.lo.u32 %at, %t, 4, 0;
mul.lo.u32 %value, %t, 3;
@%odd neg.s32 %value, %value;
st.shared.u32 [%at], %value;
{barrier}
xor.b32 %next, %at, 132;
ld.shared.u32 %value, [%next];
ld.param.u64 %y, [y_param];
mul.wide.u32 %offset, %t, 4;
add.u64 %y, %y, %offset;
st.global.u32 [%y], %value;
ret;
}}
"
    )
}

fn record(text: &str, warp: usize) -> (Recording, Option<Fault>) {
    let module = Module::parse("k.ptx", text).unwrap();
    let mut memory = Memory::new();
    let params = [Param::U64(memory.alloc(256))];
    let launch = Launch {
        kernel: "k",
        grid: [1; 3],
        block: [64, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let options = Options { sanitize: true, ..Options::default() };
    let mut recorder = Recorder::new(100, 0, warp);
    let fault = recorder.launch(&module, &mut memory, &launch, &options).err();
    (recorder.recording, fault)
}

fn data(page: &str) -> Value {
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

/// A row as `values.js` reads it.
fn row(text: &Value, length: usize) -> Vec<u64> {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let text = text.as_str().unwrap();
    match (text.split_once('+'), text.contains(' ')) {
        (Some((first, step)), _) => {
            let at = |k| number(first).wrapping_add(k * number(step));
            (0..length as u64).map(at).collect()
        }
        (None, true) => text.split(' ').map(number).collect(),
        (None, false) => vec![number(text); length],
    }
}

#[test]
fn every_step_is_in_the_page() {
    let text = kernel("bar.sync 0;");
    let (recording, fault) = record(&text, 1);
    assert_eq!(fault, None);
    let source = "a\n".repeat(7) + "</script>";
    let page = page(&recording, &text, &[(1, "k.cu".to_owned(), source)], None);
    // Text of a source does not end the element it is in.
    assert_eq!(page.matches("</script>").count(), 2);
    let data = data(&page);
    assert_eq!((data["warp"].as_u64(), data["sharedBytes"].as_u64()), (Some(1), Some(256)));
    assert_eq!(data["sources"][0]["lines"][7], "</script>");
    assert_eq!(data["finding"], Value::Null);
    let first = data["ptx"]["first"].as_u64().unwrap() as usize;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(data["ptx"]["lines"][0], lines[first - 1]);
    assert!(lines[first - 1].contains(".entry k("), "{}", lines[first - 1]);

    let steps = data["steps"].as_array().unwrap();
    assert_eq!(steps.len(), recording.steps.len());
    for (shown, step) in steps.iter().zip(&recording.steps) {
        let code = &data["code"][shown["pc"].as_u64().unwrap() as usize];
        assert_eq!(code["line"].as_u64(), Some(recording.code[step.pc].place.line.into()));
        for (name, mask) in [("live", step.live), ("here", step.here), ("active", step.active)] {
            assert_eq!(shown[name].as_u64(), Some(mask.into()));
        }
        let results = shown["results"].as_array().into_iter().flatten();
        let results: Vec<_> =
            results.map(|pair| (pair[0].as_u64().unwrap(), row(&pair[1], 32))).collect();
        let want: Vec<_> = step.results.iter().map(|(r, row)| (*r as u64, row.to_vec())).collect();
        assert_eq!(results, want);
        let at = shown["access"].get("at").map(|at| row(at, 32));
        assert_eq!(at, step.access.map(|access| access.at.to_vec()));
        for (name, writes) in [("others", &step.others), ("writes", &step.writes)] {
            let runs = shown[name].as_array().into_iter().flatten();
            let words = runs.flat_map(|run| {
                let of = |at: usize| run[at].as_u64().unwrap();
                let values = row(&run[4], of(3) as usize).into_iter().enumerate();
                let words = values.map(|(k, value)| (of(0) + k as u64, of(1) + k as u64, value));
                words.collect::<Vec<_>>()
            });
            let want = writes
                .iter()
                .map(|write| (write.word as u64, write.thread.unwrap() as u64, write.value.into()));
            assert_eq!(words.collect::<Vec<_>>(), want.collect::<Vec<_>>(), "{name}");
        }
    }
    // What lane l of warp 1 read: of thread (32 + l) xor 33, three times the number or its negative.
    let load = steps.iter().find(|step| {
        let access = &step["access"];
        access["shared"] == true && access["writes"] == false
    });
    let loaded = row(&load.unwrap()["results"][0][1], 32);
    for (lane, loaded) in loaded.into_iter().enumerate() {
        let other = (32 + lane as i32) ^ 33;
        let value = if other % 2 == 1 { -3 * other } else { 3 * other };
        assert_eq!(loaded as u32 as i32, value, "lane {lane}");
    }
    let guarded = steps.iter().filter(|step| step["active"] != step["here"]);
    assert_eq!(
        guarded.map(|step| step["active"].as_u64()).collect::<Vec<_>>(),
        [Some(0xaaaa_aaaa)]
    );
}

#[test]
fn a_finding_is_in_the_page() {
    let text = kernel("");
    let (recording, fault) = record(&text, 0);
    let fault = fault.unwrap();
    let data = data(&page(&recording, &text, &[], Some(&fault)));
    assert_eq!(data["finding"]["kind"], "uninitialised shared memory");
    assert_eq!(data["finding"]["line"].as_u64(), Some(fault.line.into()));
    let last = data["steps"].as_array().unwrap().last().unwrap();
    let line = &data["code"][last["pc"].as_u64().unwrap() as usize]["line"];
    assert_eq!(line, &data["finding"]["line"]);
}

#[test]
fn the_page_asks_for_nothing_from_elsewhere() {
    let text = kernel("bar.sync 0;");
    let page = page(&record(&text, 0).0, &text, &[], None);
    for asks in ["src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(asks), "{asks}");
    }
}
