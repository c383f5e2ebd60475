//! Makes tiny components out of WebAssembly text. A guest behaves well in everything that a test does not
//! replace, so that each one shows a single misdeed.

use crate::support::repository;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the guest keeps what it returns. The layouts are those of the canonical ABI.
pub const DESCRIBE: u32 = 128;
pub const BUILD: u32 = 192;
pub const NEXT: u32 = 224;
pub const SKIPPED: u32 = 240;
/// `result<response-summary, string>`: the tag, then at 8 prompt tokens, at 32 completion tokens, at 56 the
/// outputs, at 68 the metrics.
pub const PARSE: u32 = 256;
/// The list that `next` gives.
pub const BODIES: u32 = 384;
/// Room for texts of a test.
pub const TEXT: u32 = 4096;
/// Where the memory that realloc gives begins.
const HEAP: u32 = 65536;

const NAME: u32 = 1024;
const VERSION: u32 = 1100;
const BODY: u32 = 2048;
const BODY_TEXT: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}"#;

/// A guest in the making.
#[derive(Clone)]
pub struct Guest {
    imports: String,
    memory: String,
    more: String,
    data: Vec<(u32, Vec<u8>)>,
    start: Option<String>,
    describe: String,
    build: String,
    next: String,
    skipped: String,
    parse: String,
    destructor: String,
    realloc: String,
    contract: String,
    packages: Vec<String>,
    world_imports: String,
}

impl Guest {
    /// A guest that does no harm: it makes the same body again and again, and counts three and five tokens.
    pub fn new() -> Self {
        let constant = |at: u32| format!("(i32.const {at})");
        Self {
            imports: String::new(),
            memory: "2".to_owned(),
            more: String::new(),
            data: vec![
                (NAME, b"hostile".to_vec()),
                (VERSION, b"1.0".to_vec()),
                (BODY, BODY_TEXT.as_bytes().to_vec()),
                (DESCRIBE, words(&[NAME, 7, VERSION, 3, VERSION, 0, 0, 0])),
                (BODIES, words(&[BODY, BODY_TEXT.len() as u32])),
                (NEXT, words(&[0, BODIES, 1])),
                (PARSE, summary(3, 5)),
            ],
            start: None,
            describe: constant(DESCRIBE),
            build: format!(
                "(i32.store (i32.const {}) (call $new (i32.const 1))) (i32.const {BUILD})",
                BUILD + 4
            ),
            next: constant(NEXT),
            skipped: constant(SKIPPED),
            parse: constant(PARSE),
            destructor: String::new(),
            realloc: "
                (local $at i32) (local $end i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                (local.set $end (i32.add (local.get $at) (local.get $size)))
                (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
                    (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u
                        (i32.sub (local.get $end) (i32.shl (memory.size) (i32.const 16)))
                        (i32.const 16)))))))
                (global.set $heap (local.get $end))
                (local.get $at)"
                .to_owned(),
            contract: std::fs::read_to_string(repository().join("wit/0.1/perf-plugin.wit"))
                .expect("the contract is in the repository"),
            packages: Vec::new(),
            world_imports: String::new(),
        }
    }

    pub fn start(mut self, body: &str) -> Self {
        self.start = Some(body.to_owned());
        self
    }

    pub fn describe(mut self, body: &str) -> Self {
        self.describe = body.to_owned();
        self
    }

    pub fn build_request(mut self, body: &str) -> Self {
        self.build = body.to_owned();
        self
    }

    /// Parameters: `$self`, `$max`.
    pub fn next(mut self, body: &str) -> Self {
        self.next = body.to_owned();
        self
    }

    pub fn skipped(mut self, body: &str) -> Self {
        self.skipped = body.to_owned();
        self
    }

    /// Parameters: `$list`, `$count` of the responses, `$request`, `$request_size`.
    pub fn parse(mut self, body: &str) -> Self {
        self.parse = body.to_owned();
        self
    }

    pub fn destructor(mut self, body: &str) -> Self {
        self.destructor = body.to_owned();
        self
    }

    /// Parameters: `$old`, `$old_size`, `$align`, `$size`.
    pub fn realloc(mut self, body: &str) -> Self {
        self.realloc = body.to_owned();
        self
    }

    pub fn memory(mut self, limits: &str) -> Self {
        self.memory = limits.to_owned();
        self
    }

    /// Further fields of the module.
    pub fn more(mut self, fields: &str) -> Self {
        self.more.push_str(fields);
        self
    }

    /// Further imports of the module, which come before everything else.
    pub fn import(mut self, field: &str) -> Self {
        self.imports.push_str(field);
        self
    }

    /// Puts bytes into the memory, over what is there.
    pub fn data(mut self, at: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.data.push((at, bytes.as_ref().to_vec()));
        self
    }

    /// Has the name be `text`.
    pub fn name(self, text: &str) -> Self {
        self.data(TEXT, text)
            .data(DESCRIBE, words(&[TEXT, text.len() as u32]))
    }

    /// Has the parser wish for a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        let at = TEXT + 1024;
        let (name_size, value_size) = (name.len() as u32, value.len() as u32);
        self.data(at, words(&[at + 64, name_size, at + 512, value_size]))
            .data(at + 64, name)
            .data(at + 512, value)
            .data(DESCRIBE + 24, words(&[at, 1]))
    }

    /// Has a function give the error `text`: `result` is [`NEXT`], [`BUILD`] or [`PARSE`].
    pub fn error(self, result: u32, text: &[u8]) -> Self {
        let (tag, payload) = (vec![1], words(&[TEXT, text.len() as u32]));
        let payload_at = result + if result == PARSE { 8 } else { 4 };
        self.data(result, tag)
            .data(payload_at, payload)
            .data(TEXT, text)
    }

    /// Builds against another text of the contract.
    pub fn contract(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.contract = change(&self.contract);
        self
    }

    /// Has the component import an interface of another package.
    pub fn package(mut self, wit: &str, imports: &[&str]) -> Self {
        self.packages.push(wit.to_owned());
        for import in imports {
            self.world_imports.push_str(&format!("import {import};\n"));
        }
        self
    }

    fn text(&self) -> String {
        let interface = interface(&self.contract);
        let has = |name: &str| self.contract.contains(name);
        let data: String = self
            .data
            .iter()
            .map(|(at, bytes)| format!("(data (i32.const {at}) \"{}\")\n", escaped(bytes)))
            .collect();
        let start = self.start.as_ref().map_or_else(String::new, |body| {
            format!("(func $start {body}) (start $start)\n")
        });
        let parse = if has("parse-responses: func") {
            format!(
                "(func (export \"{interface}#parse-responses\") (param $list i32) (param $count i32)
                    (param $request i32) (param $request_size i32) (param i32 i32) (result i32) {})
                (func (export \"cabi_post_{interface}#parse-responses\") (param i32)
                    (global.set $heap (i32.const {HEAP})))",
                self.parse
            )
        } else {
            String::new()
        };
        format!(
            "(module
                (import \"{logging}\" \"log\" (func $log (param i32 i32 i32)))
                (import \"[export]{interface}\" \"[resource-new]request-iterator\"
                    (func $new (param i32) (result i32)))
                {imports}
                (memory $memory (export \"memory\") {memory})
                (global $heap (mut i32) (i32.const {HEAP}))
                (global $calls (mut i32) (i32.const 0))
                {data}
                {more}
                {start}
                (func (export \"cabi_realloc\") (param $old i32) (param $old_size i32)
                    (param $align i32) (param $size i32) (result i32) {realloc})
                (func (export \"{interface}#describe\") (result i32) {describe})
                (func (export \"{interface}#build-request\")
                    (param i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) {build})
                (func (export \"{interface}#[method]request-iterator.next\")
                    (param $self i32) (param $max i32) (result i32) {next})
                (func (export \"{interface}#[method]request-iterator.skipped\")
                    (param $self i32) (result i32) {skipped})
                (func (export \"{interface}#[dtor]request-iterator\") (param i32) {destructor})
                {parse}
            )",
            logging = interface.replace("perf-plugin", "logging"),
            imports = self.imports,
            memory = self.memory,
            more = self.more,
            realloc = self.realloc,
            describe = self.describe,
            build = self.build,
            next = self.next,
            skipped = self.skipped,
            destructor = self.destructor,
        )
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        self.component_with(|text| text)
    }

    /// The component of a changed text of the module.
    pub fn component_with(&self, change: impl FnOnce(String) -> String) -> Vec<u8> {
        let mut resolve = Resolve::default();
        for package in &self.packages {
            resolve
                .push_str("other.wit", package)
                .expect("the other package is right");
        }
        let contract = self.contract.replace(
            "world plugin {",
            &format!("world plugin {{\n{}", self.world_imports),
        );
        component_of(resolve, &contract, "plugin", &change(self.text()))
    }
}

/// A component of another world altogether.
pub fn other_world() -> Vec<u8> {
    component_of(
        Resolve::default(),
        "package some:thing;\nworld thing { export run: func(); }",
        "thing",
        "(module (func (export \"run\")))",
    )
}

pub fn component_of(mut resolve: Resolve, wit: &str, world: &str, text: &str) -> Vec<u8> {
    let package = resolve
        .push_str("contract.wit", wit)
        .expect("the contract is right");
    let world = resolve
        .select_world(&[package], Some(world))
        .expect("the world is there");
    let mut module = core_module(text);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the module takes the metadata");
    ComponentEncoder::default()
        .validate(false)
        .module(&module)
        .expect("the module is one of the world")
        .encode()
        .expect("it becomes a component")
}

/// A core module.
pub fn core_module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The interface of a parser in a text of the contract, with its version.
fn interface(contract: &str) -> String {
    let version = contract
        .split_once("package llmuses:perf@")
        .and_then(|(_, rest)| rest.split_once(';'))
        .map(|(version, _)| version)
        .expect("the contract has a version");
    format!("llmuses:perf/perf-plugin@{version}")
}

/// Numbers of 32 bits as they lie in memory.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A summary with both token counts, every response an output, and no metrics.
pub fn summary(prompt: u64, completion: u64) -> Vec<u8> {
    let mut bytes = words(&[0, 0, 1, 0]);
    bytes.extend(prompt.to_le_bytes());
    bytes.extend(words(&[0, 0, 1, 0]));
    bytes.extend(completion.to_le_bytes());
    bytes.extend(words(&[0, 0, 0, 0, 0, 0, 0, 0]));
    bytes
}

/// `body` in a loop that never ends.
pub fn forever(body: &str) -> String {
    format!("(loop $forever {body} (br $forever)) (unreachable)")
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
