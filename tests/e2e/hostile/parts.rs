//! Guests of version 0.2 of the contract: an API and a format in one, made out of WebAssembly text. As with the others, a
//! guest behaves well in everything that a test does not replace.

use super::Case;
use super::guest::{component_of, forever, words};
use crate::support::repository;
use wit_parser::Resolve;

/// Where the guest keeps what it returns. The layouts are those of the canonical ABI.
const DESCRIBE_API: u32 = 128;
const DESCRIBE_FORMATS: u32 = 180;
const FORMATS: u32 = 192;
/// `option<string>`: the tag, then the text.
const RECOGNISES: u32 = 240;
const BUILD: u32 = 224;
/// The list that `build-request` gives: of each the tag, then at 4 the body, at 12 the content type, at 20 the path.
const REQUESTS: u32 = 256;
const NEXT: u32 = 320;
/// The list that `next` gives.
const ENTRIES: u32 = 336;
const SKIPPED: u32 = 352;
const OPEN: u32 = 368;
/// `result<response-summary, string>`: the tag, then at 8 prompt tokens, at 32 completion tokens, at 56 the outputs, at
/// 68 the answers, at 80 the tokens so far, at 92 the finish reason, at 104 the reply, at 116 the metrics.
const PARSE: u32 = 384;
const NAME: u32 = 1024;
const JSON: u32 = 1100;
const EMPTY: u32 = 1200;
const BODY: u32 = 2048;
const ENTRY: u32 = 3072;
const TEXT: u32 = 4096;
const HEAP: u32 = 65536;

const BODY_TEXT: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}"#;
const ENTRY_TEXT: &str = r#"{"turns":[{"prompt":"a question"}]}"#;

/// A guest in the making.
struct Parts {
    data: Vec<(u32, Vec<u8>)>,
    build: String,
    next: String,
    open: String,
    parse: String,
}

impl Parts {
    /// A guest that does no harm: it makes the same body of every item, gives the same entry of every data set once, and
    /// counts three and five tokens.
    fn new() -> Self {
        let constant = |at: u32| format!("(i32.const {at})");
        let text = |text: &str| text.len() as u32;
        Self {
            data: vec![
                (NAME, b"hostile".to_vec()),
                (JSON, b"application/json".to_vec()),
                (BODY, BODY_TEXT.as_bytes().to_vec()),
                (ENTRY, ENTRY_TEXT.as_bytes().to_vec()),
                // Name, version and description; no header; no path; by content type; generate.
                (
                    DESCRIBE_API,
                    words(&[NAME, 7, NAME, 0, NAME, 0, EMPTY, 0, 0, 0, 0, 0]),
                ),
                (DESCRIBE_FORMATS, words(&[FORMATS, 1])),
                (FORMATS, words(&[NAME, 7, NAME, 0, NAME, 0])),
                (RECOGNISES, words(&[1, NAME, 7])),
                (BUILD, words(&[REQUESTS, 1])),
                (
                    REQUESTS,
                    words(&[0, BODY, text(BODY_TEXT), JSON, 16, 0, 0, 0]),
                ),
                (NEXT, words(&[0, ENTRIES, 1])),
                (ENTRIES, words(&[ENTRY, text(ENTRY_TEXT)])),
                (SKIPPED, words(&[EMPTY, 0])),
                (PARSE, summary()),
            ],
            build: constant(BUILD),
            // One entry, and none the next time.
            next: format!(
                "(i32.store (i32.const {}) (i32.eqz (i32.and (global.get $calls) (i32.const 1))))
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (i32.const {NEXT})",
                NEXT + 8
            ),
            open: format!(
                "(i32.store (i32.const {}) (call $new (i32.const 1))) (i32.const {OPEN})",
                OPEN + 4
            ),
            parse: constant(PARSE),
        }
    }

    fn data(mut self, at: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.data.push((at, bytes.as_ref().to_vec()));
        self
    }

    /// Has the text at a place, told by its address and its length, be this one.
    fn text(self, at: u32, text: &str) -> Self {
        self.data(at, words(&[TEXT, text.len() as u32]))
            .data(TEXT, text)
    }

    fn component(&self) -> Vec<u8> {
        let data: String = self
            .data
            .iter()
            .map(|(at, bytes)| {
                let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
                format!("(data (i32.const {at}) \"{bytes}\")\n")
            })
            .collect();
        let Self {
            build,
            next,
            open,
            parse,
            ..
        } = self;
        let api = "llmuses:perf/perf-plugin@0.2.0";
        let format = "llmuses:perf/dataset-plugin@0.2.0";
        let module = format!(
            "(module
                (import \"[export]{format}\" \"[resource-new]entries\"
                    (func $new (param i32) (result i32)))
                (memory $memory (export \"memory\") 2)
                (global $heap (mut i32) (i32.const {HEAP}))
                (global $calls (mut i32) (i32.const 0))
                {data}
                (func (export \"cabi_realloc\") (param $old i32) (param $old_size i32)
                    (param $align i32) (param $size i32) (result i32)
                    (local $at i32) (local $end i32)
                    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                    (local.set $end (i32.add (local.get $at) (local.get $size)))
                    (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
                        (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u
                            (i32.sub (local.get $end) (i32.shl (memory.size) (i32.const 16)))
                            (i32.const 16)))))))
                    (global.set $heap (local.get $end))
                    (local.get $at))
                (func (export \"{api}#describe\") (result i32) (i32.const {DESCRIBE_API}))
                (func (export \"{api}#build-request\") (param $items i32) (param $count i32)
                    (param i32 i32 i32 i32) (result i32) {build})
                (func (export \"{api}#parse-responses\") (param $list i32) (param $count i32)
                    (param i32 i32 i32 i32 i32) (result i32) {parse})
                (func (export \"cabi_post_{api}#parse-responses\") (param i32)
                    (global.set $heap (i32.const {HEAP})))
                (func (export \"{format}#describe\") (result i32) (i32.const {DESCRIBE_FORMATS}))
                (func (export \"{format}#recognises\") (param i32 i32 i32 i32) (result i32) (i32.const {RECOGNISES}))
                (func (export \"{format}#open\") (param i32 i32) (result i32) {open})
                (func (export \"{format}#[method]entries.next\") (param $self i32) (param $max i32)
                    (result i32) {next})
                (func (export \"{format}#[method]entries.skipped\") (param $self i32) (result i32)
                    (i32.const {SKIPPED}))
                (func (export \"{format}#[dtor]entries\") (param i32))
            )"
        );
        let contract = std::fs::read_to_string(repository().join("wit/0.2/perf-plugin.wit"))
            .expect("the contract is in the repository");
        component_of(Resolve::default(), &contract, "plugin", &module)
    }

    /// Six requests of a prompt, which end with this exit code.
    fn prompt(&self, name: &'static str, code: i32) -> Case {
        Case::bytes(name, code, self.component())
    }

    /// Requests of a data set.
    fn dataset(&self, name: &'static str, code: i32) -> Case {
        self.prompt(name, code)
            .arguments(&["--dataset", "questions.txt", "-n", "6"])
    }
}

/// A summary with both token counts, every response an output, and nothing else.
fn summary() -> Vec<u8> {
    let mut bytes = words(&[0, 0, 1, 0]);
    bytes.extend(3_u64.to_le_bytes());
    bytes.extend(words(&[0, 0, 1, 0]));
    bytes.extend(5_u64.to_le_bytes());
    bytes.extend(words(&[0; 19]));
    bytes
}

#[test]
fn parts_that_behave_well() {
    for case in [
        Parts::new().prompt("parts_of_a_prompt", 0),
        Parts::new().dataset("parts_of_a_data_set", 0),
    ] {
        let run = case.check();
        assert_eq!(
            run.bench.value("select sum(completion_tokens) from result"),
            30
        );
    }
}

#[test]
fn requests_that_are_none() {
    for (name, guest) in [
        (
            "parts_fewer_requests",
            Parts::new().data(BUILD + 4, words(&[0])),
        ),
        (
            "parts_more_requests",
            Parts::new().data(BUILD + 4, words(&[2])),
        ),
        (
            "parts_body_is_not_json",
            Parts::new().text(REQUESTS + 4, "{"),
        ),
        (
            "parts_content_type",
            Parts::new().text(REQUESTS + 12, "text/plain\r\nx: y"),
        ),
        (
            "parts_path_elsewhere",
            Parts::new()
                .data(REQUESTS + 20, words(&[1]))
                .text(REQUESTS + 24, "http://elsewhere/"),
        ),
        (
            "parts_refuse_the_item",
            Parts::new()
                .data(REQUESTS, words(&[1]))
                .text(REQUESTS + 4, "this is no item for me"),
        ),
        (
            "parts_list_beyond_memory",
            Parts::new().data(BUILD, words(&[0x7FFF_0000, 1])),
        ),
    ] {
        guest.prompt(name, 1).check();
    }
}

#[test]
fn a_call_without_end() {
    for (name, guest, is_format) in [
        (
            "parts_loop_in_build_request",
            Parts {
                build: forever(""),
                ..Parts::new()
            },
            false,
        ),
        (
            "parts_loop_in_open",
            Parts {
                open: forever(""),
                ..Parts::new()
            },
            true,
        ),
        (
            "parts_loop_in_next",
            Parts {
                next: forever(""),
                ..Parts::new()
            },
            true,
        ),
        (
            "parts_loop_in_parse_responses",
            Parts {
                parse: forever(""),
                ..Parts::new()
            },
            false,
        ),
    ] {
        let case = match is_format {
            true => guest.dataset(name, 1),
            false => guest.prompt(name, 1),
        };
        case.loops().check();
    }
}

#[test]
fn entries_that_are_none() {
    for (name, guest) in [
        (
            "parts_more_entries",
            Parts {
                next: format!(
                    "(i32.store (i32.const {}) (i32.const 2)) (i32.const {NEXT})",
                    NEXT + 8
                ),
                ..Parts::new()
            }
            .data(ENTRIES + 8, words(&[ENTRY, ENTRY_TEXT.len() as u32])),
        ),
        (
            "parts_entry_is_not_json",
            Parts::new().text(ENTRIES, "{\"turns\""),
        ),
        (
            "parts_entry_without_turns",
            Parts::new().text(ENTRIES, "{\"turns\":[]}"),
        ),
        (
            "parts_entry_of_another_kind",
            Parts::new().text(ENTRIES, "{\"turns\":[{\"promt\":\"x\"}]}"),
        ),
        (
            "parts_entry_of_lengths",
            Parts::new().text(ENTRIES, "{\"turns\":[{\"input_tokens\":9}]}"),
        ),
        (
            "parts_no_entries",
            Parts {
                next: format!(
                    "(i32.store (i32.const {}) (i32.const 0)) (i32.const {NEXT})",
                    NEXT + 8
                ),
                ..Parts::new()
            },
        ),
        (
            "parts_unknown_handle",
            Parts {
                open: format!("(i32.const {OPEN})"),
                ..Parts::new()
            }
            .data(OPEN + 4, words(&[77])),
        ),
        (
            "parts_refuse_the_file",
            Parts {
                open: format!("(i32.const {OPEN})"),
                ..Parts::new()
            }
            .data(OPEN, words(&[1]))
            .text(OPEN + 4, "this is no file for me"),
        ),
    ] {
        guest.dataset(name, 1).check();
    }
}

#[test]
fn readings_that_cannot_be() {
    let list = |at: u32, numbers: &[u32]| {
        Parts::new()
            .data(PARSE + at, words(&[1, TEXT, numbers.len() as u32]))
            .data(TEXT, words(numbers))
    };
    for (name, guest) in [
        ("parts_answer_out_of_range", list(68, &[900])),
        ("parts_answers_not_ascending", list(68, &[2, 1])),
        (
            "parts_answer_is_no_output",
            list(68, &[1])
                .data(PARSE + 56, words(&[1, TEXT + 64, 1]))
                .data(TEXT + 64, words(&[0])),
        ),
        ("parts_tokens_of_other_outputs", list(80, &[1])),
        (
            "parts_tokens_so_far_fall",
            list(80, &[2, 1])
                .data(PARSE + 56, words(&[1, TEXT + 64, 2]))
                .data(TEXT + 64, words(&[0, 1])),
        ),
        (
            "parts_finish_reason_is_not_utf8",
            Parts::new()
                .data(PARSE + 92, words(&[1, TEXT, 2]))
                .data(TEXT, b"\xff\xfe"),
        ),
    ] {
        guest.prompt(name, 1).check();
    }
}

/// A word of the plugin is shown on one line, and a reply that nobody asked for is not looked at.
#[test]
fn a_finish_reason_that_acts_on_a_terminal() {
    let run = Parts::new()
        .data(PARSE + 92, words(&[1, TEXT, 12]))
        .data(TEXT, b"\x1b[31mstop\r\nx")
        .data(PARSE + 104, words(&[1, TEXT + 64, 4]))
        .data(TEXT + 64, b"none")
        .prompt("parts_finish_reason", 0)
        .check();
    assert_eq!(
        run.bench.value("select min(finish_reason) from result"),
        "stop  x"
    );
}
