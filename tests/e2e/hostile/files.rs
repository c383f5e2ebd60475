//! Every kind of file that is no parser.

use super::Case;
use super::guest::{Guest, core_module, forever, other_world};
use std::path::Path;
use std::process::Command;

#[test]
fn an_empty_file() {
    Case::bytes("an_empty_file", 2, Vec::new()).check();
}

#[test]
fn a_text_file() {
    let text = b"class PerfPlugin:\n    def build_request(self): ...\n";
    Case::bytes("a_text_file", 2, text.to_vec()).check();
}

/// WebAssembly text is no parser either, whatever else wasmtime could make of it.
#[test]
fn webassembly_text() {
    Case::bytes("webassembly_text", 2, b"(component)".to_vec()).check();
}

#[test]
fn an_empty_component() {
    Case::bytes("an_empty_component", 2, b"\0asm\x0d\0\x01\0".to_vec()).check();
}

#[test]
fn a_truncated_component() {
    let mut bytes = Guest::new().component();
    bytes.truncate(bytes.len() / 2);
    Case::bytes("a_truncated_component", 2, bytes).check();
}

#[test]
fn a_core_module() {
    let bytes = core_module("(module (func (export \"describe\")))");
    Case::bytes("a_core_module", 2, bytes).check();
}

#[test]
fn another_world() {
    Case::bytes("another_world", 2, other_world()).check();
}

#[test]
fn a_missing_function() {
    let guest = Guest::new().contract(|contract| {
        let (start, rest) = contract
            .split_once("    /// Reads the token counts out of one finished")
            .expect("the contract has the function");
        let (_, end) = rest
            .split_once("string>;\n")
            .expect("the function has an end");
        // The import of the type is of no use without it.
        format!("{start}{end}").replace(
            "{plugin-info, request-options, response-summary}",
            "{plugin-info, request-options}",
        )
    });
    Case::of("a_missing_function", 2, &guest).check();
}

#[test]
fn a_function_of_another_type() {
    let guest = Guest::new().contract(|contract| {
        contract.replace(
            "describe: func() -> plugin-info;",
            "describe: func() -> u32;",
        )
    });
    Case::of("a_function_of_another_type", 2, &guest).check();
}

#[test]
fn an_import_of_another_type() {
    let guest = Guest::new()
        .contract(|contract| {
            contract.replace(
                "log: func(level: level, message: string);",
                "log: func(level: u64, message: string);",
            )
        })
        .import(
            "(import \"llmuses:perf/logging@0.1.0\" \"log\" (func $log64 (param i64 i32 i32)))",
        );
    // The text of every guest imports `log` as it should be.
    let bytes = guest.component_with(|text| {
        text.replacen(
            "(import \"llmuses:perf/logging@0.1.0\" \"log\" (func $log (param i32 i32 i32)))",
            "",
            1,
        )
    });
    Case::bytes("an_import_of_another_type", 2, bytes).check();
}

#[test]
fn a_newer_contract() {
    let guest = Guest::new()
        .contract(|contract| contract.replace("llmuses:perf@0.1.0", "llmuses:perf@0.9.0"));
    Case::of("a_newer_contract", 2, &guest).check();
}

/// The contract grows by functions and interfaces: a component that was built before they were there asks
/// for fewer of them, and goes on being taken.
#[test]
fn an_older_copy_of_the_contract() {
    let guest = Guest::new().contract(|contract| {
        let without_items = cut(
            contract,
            "    /// A data set read as the items",
            "}\n\n/// The tokenizer",
        );
        let without_tokenizer = cut(
            &without_items,
            "/// The tokenizer of `--tokenizer-path`",
            "/// Words for the person",
        );
        without_tokenizer.replace("    import tokenizer;\n", "")
    });
    Case::of("an_older_copy_of_the_contract", 0, &guest).check();
}

/// A text without what stands from `start` up to `end`.
fn cut(text: &str, start: &str, end: &str) -> String {
    let (before, rest) = text.split_once(start).expect("the start is there");
    let (_, after) = rest.split_once(end).expect("the end is there");
    format!("{before}{end}{after}")
}

/// What a user compiled, or says that somebody compiled, is never run.
#[test]
fn a_compiled_component() {
    Case::bytes("a_compiled_component", 2, b"\x7fELF\x02\x01\x01\0".to_vec()).check();
}

#[test]
fn a_folder() {
    let make = |path: &Path| std::fs::create_dir(path).expect("the folder can be made");
    Case::made("a_folder", 2, make).check();
}

#[test]
fn a_fifo() {
    let make = |path: &Path| {
        let status = Command::new("mkfifo").arg(path).status();
        assert!(status.expect("mkfifo is there").success());
    };
    Case::made("a_fifo", 2, make).check();
}

#[test]
fn a_device() {
    let make = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).expect("a link");
    Case::made("a_device", 2, make).check();
}

#[test]
fn a_link_to_nothing() {
    let make = |path: &Path| std::os::unix::fs::symlink("/no/such", path).expect("a link");
    Case::made("a_link_to_nothing", 2, make).check();
}

#[test]
fn a_file_that_is_too_large() {
    let mut bytes = Guest::new().component();
    bytes.resize(3 << 20, 0);
    let case = Case::bytes("a_file_that_is_too_large", 2, bytes);
    case.also(&["--plugin-file-mib", "2"]).check();
}

/// A function of 800 KB that the register allocator has to think about.
fn hard_to_compile() -> Guest {
    let step = "(local.set $a (i64.mul (i64.add (local.get $a) (local.get $b)) (local.get $c)))
        (local.set $b (i64.xor (local.get $b) (i64.rotl (local.get $a) (local.get $c))))
        (local.set $c (i64.sub (local.get $c) (local.get $a)))
        (if (i64.eqz (local.get $c)) (then (local.set $a (local.get $b))))";
    Guest::new().more(&format!(
        "(func (export \"hard\") (param $a i64) (param $b i64) (result i64) (local $c i64) {} (local.get $c))",
        step.repeat(15_000)
    ))
}

#[test]
fn too_long_to_compile() {
    let case = Case::of("too_long_to_compile", 2, &hard_to_compile());
    case.also(&["--plugin-compile-timeout", "0.2"]).check();
}

#[test]
fn too_large_to_compile() {
    let case = Case::of("too_large_to_compile", 2, &hard_to_compile());
    case.also(&["--plugin-compile-memory-mib", "24"]).check();
}

#[test]
fn an_unknown_import() {
    let guest = Guest::new()
        .package(
            "package evil:host@1.0.0;\ninterface shell { run: func(); }",
            &["evil:host/shell@1.0.0"],
        )
        .import("(import \"evil:host/shell@1.0.0\" \"run\" (func $run))")
        .start(&forever("(call $run)"));
    Case::of("an_unknown_import", 2, &guest).check();
}

#[test]
fn threads() {
    let module = core_module("(module (memory 1 2 shared))");
    assert!(!module.is_empty());
    let bytes = wat::parse_str("(component (core module (memory 1 2 shared)))").expect("right");
    Case::bytes("threads", 2, bytes).check();
}

#[test]
fn memory_of_64_bits() {
    let bytes = wat::parse_str("(component (core module (memory i64 1)))").expect("right");
    Case::bytes("memory_of_64_bits", 2, bytes).check();
}
