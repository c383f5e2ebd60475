//! Compiles the built-in parsers to WebAssembly components, and writes the list that the host embeds.
//!
//! The parsers are members of the same workspace, but of another target. A second cargo builds them, with a
//! target folder of its own: the first one holds the lock on the common folder as long as this script runs.
//! What comes out is `NAME.wasm.zst` for each plugin and `builtin_parsers.rs`, both in `OUT_DIR`. The components are
//! compressed with the first one as dictionary: they have most of their code in common.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The plugins, in the order in which they are listed to the user; formats of data sets are asked in this order whether
/// they recognise a file.
const PLUGINS: [&str; 22] = [
    "openai_prompt",
    "openai_line_by_line",
    "openai_openqa_qwen",
    "openai_openqa_llama3",
    "openai_longalpaca_12k_qwen",
    "openai_longalpaca_12k_llama3",
    "dashscope_line_by_line",
    "openai_chat",
    "openai_completions",
    "openai_responses",
    "openai_embeddings",
    "openai_transcriptions",
    "anthropic_messages",
    "gemini",
    "ollama",
    "ollama_generate",
    "rerank",
    "rerank_tei",
    "tgi",
    "sglang",
    "triton",
    "formats",
];

/// The formats in the plugins that have some, by their own accounts. A test compares the two.
const FORMATS: [(&str, &[&str]); 1] = [(
    "formats",
    &[
        "mooncake",
        "bailian",
        "timed_trace",
        "guidellm_trace",
        "workload_trace",
        "azure",
        "burstgpt",
        "sharegpt",
        "multi_turn",
        "documents",
        "texts",
        "images",
        "audio",
        "bodies",
        "json_lines",
        "json_array",
        "csv",
        "tsv",
        "lines",
    ],
)];

/// APIs that generate and whose servers put no chat template around a prompt. Those of other tasks need not be named.
const WITHOUT_TEMPLATE: [&str; 4] = ["openai_completions", "tgi", "sglang", "triton"];

/// Higher levels save little, and this runs unoptimised.
const COMPRESSION_LEVEL: i32 = 3;

/// The target that a component can be made from without any import of WASI.
const TARGET: &str = "wasm32-unknown-unknown";

/// The profile of the workspace that is meant for parsers.
const PROFILE: &str = "plugin";

/// The package of the contract. Parsers import and export nothing else.
const CONTRACT: &str = "llmuses:perf/";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let manifest_dir = path_from("CARGO_MANIFEST_DIR")?;
    let out_dir = path_from("OUT_DIR")?;
    let workspace = manifest_dir
        .ancestors()
        .nth(2)
        .ok_or_else(|| format!("{} is in no workspace", manifest_dir.display()))?;
    for source in ["plugins", "wit", "Cargo.toml", "Cargo.lock"] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }

    ensure_target(workspace)?;
    let modules = compile(workspace, &out_dir)?;
    let mut entries = String::new();
    let mut dictionary = Vec::new();
    for name in PLUGINS {
        let module = modules.join(format!("{name}.wasm"));
        let (component, offers) =
            componentize(&module).map_err(|error| format!("the plugin {name}: {error}"))?;
        let compressed = compress(&component, &dictionary)
            .map_err(|error| format!("the plugin {name} cannot be compressed: {error}"))?;
        write(&out_dir.join(format!("{name}.wasm.zst")), &compressed)?;
        let size = component.len();
        if dictionary.is_empty() {
            dictionary = component;
        }
        let formats = FORMATS.iter().find(|(plugin, _)| *plugin == name);
        let formats = formats.map_or(&[][..], |(_, formats)| *formats);
        let has_template = !WITHOUT_TEMPLATE.contains(&name);
        entries.push_str(&format!(
            "    BuiltinComponent {{ name: {name:?}, formats: &{formats:?}, offers: Offers::{offers}, \
             has_template: {has_template:?}, size: {size}, \
             compressed: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm.zst\")) }},\n"
        ));
    }
    // The expression that the host includes: a slice of `BuiltinComponent`, a type of its own.
    let list = format!("&[\n{entries}]\n");
    write(&out_dir.join("builtin_parsers.rs"), list.as_bytes())
}

/// Sees to it that the compiler has the standard library of [`TARGET`]: through rustup, if it is there.
fn ensure_target(workspace: &Path) -> Result<(), String> {
    if has_target(workspace)? {
        return Ok(());
    }
    // Set by rustup, so that what is added is added to the toolchain that compiles the host.
    let toolchain = env::var("RUSTUP_TOOLCHAIN").ok();
    let mut arguments = vec!["target", "add", TARGET];
    if let Some(toolchain) = &toolchain {
        arguments.extend(["--toolchain", toolchain]);
    }
    let command = format!("rustup {}", arguments.join(" "));
    let needed =
        format!("The built-in parsers are compiled for {TARGET}, which this Rust toolchain lacks.");

    let output = match Command::new("rustup")
        .args(&arguments)
        .env("RUST_BACKTRACE", "0")
        .current_dir(workspace)
        .output()
    {
        Ok(output) => output,
        Err(_) => {
            return Err(format!(
                "{needed}\nWith rustup (which is not on the PATH), this adds it:\n\n    {command}\n\n\
                 Without rustup, install the standard library for {TARGET} the way Rust was installed."
            ));
        }
    };
    if output.status.success() && has_target(workspace)? {
        println!(
            "cargo::warning=added the target {TARGET}, which the parsers need, with `{command}`"
        );
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{needed}\nAn attempt to add it failed; please make this work first:\n\n    {command}\n\nIt said:\n{said}"
    ))
}

/// Whether the compiler has a standard library for [`TARGET`].
fn has_target(workspace: &Path) -> Result<bool, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(workspace)
        .output()
        .map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
    // The compiler names the folder whether or not it exists, and a target that was removed may leave an
    // empty one behind.
    let folder = String::from_utf8_lossy(&output.stdout);
    let is_core = |name: &str| name.starts_with("libcore-") && name.ends_with(".rlib");
    Ok(fs::read_dir(folder.trim()).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_str().is_some_and(is_core))
    }))
}

/// Compiles the parsers, and returns the folder with their core modules.
fn compile(workspace: &Path, out_dir: &Path) -> Result<PathBuf, String> {
    let target_dir = out_dir.join("plugins");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(leaks) {
            command.env_remove(&name);
        }
    }
    command
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(workspace))
        .current_dir(workspace)
        .args(["build", "--locked", "--color", "never"])
        .args(["--profile", PROFILE, "--target", TARGET])
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir);
    for name in PLUGINS {
        command.args(["--package", name]);
    }
    let output = command
        .output()
        .map_err(|error| format!("cannot run {}: {error}", cargo.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "The built-in parsers do not compile ({}). To see it alone:\n\n    \
             cargo build --profile {PROFILE} --target {TARGET} --package {}\n\nCargo said:\n{said}",
            output.status,
            PLUGINS.join(" --package ")
        ));
    }
    Ok(target_dir.join(TARGET).join(PROFILE))
}

/// Whether a variable of the outer build would change the inner one, in which it has no business: flags of
/// the host's target, wrappers such as that of clippy, overridden profiles, the outer target folder.
fn leaks(name: &str) -> bool {
    // Where cargo keeps and gets things, how it talks to the network, and the job server that both share.
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_MAKEFLAGS",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_CREDENTIAL",
    ];
    // `RUSTC` stays: it is the compiler of the outer build.
    const OF_THE_COMPILER: [&str; 5] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
    ];
    // What cargo tells a build script, and cargo's own variables in an inner build misread.
    const OF_THE_SCRIPT: [&str; 8] = [
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
        "NUM_JOBS",
        "OUT_DIR",
        "CLIPPY_ARGS",
    ];
    let of_cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
    of_cargo || OF_THE_COMPILER.contains(&name) || OF_THE_SCRIPT.contains(&name)
}

/// The compiler's flags. They come in the variable that beats every other and every configuration file, so
/// that a component depends on nothing but the sources and the compiler.
fn rustflags(workspace: &Path) -> OsString {
    // SIMD is for the search for the ends of strings; local paths would otherwise stay in panic messages.
    let mut flags = OsString::from("-Ctarget-feature=+simd128");
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    for (folder, name) in [
        (cargo_home.as_deref(), "cargo"),
        (Some(workspace), "llmuses"),
    ] {
        if let Some(folder) = folder {
            flags.push("\u{1f}--remap-path-prefix=");
            flags.push(folder);
            flags.push("=");
            flags.push(name);
        }
    }
    flags
}

/// Makes a component of a core module, checks that it keeps to the contract, and tells what it offers.
fn componentize(module: &Path) -> Result<(Vec<u8>, &'static str), String> {
    let bytes =
        fs::read(module).map_err(|error| format!("cannot read {}: {error}", module.display()))?;
    let component = wit_component::ComponentEncoder::default()
        .module(&bytes)
        .map(|encoder| encoder.validate(true))
        .and_then(|encoder| encoder.encode())
        .map_err(|error| format!("cannot be made a component: {error:#}"))?;
    let offers = check(&component)?;
    Ok((component, offers))
}

/// A component as it is embedded.
fn compress(component: &[u8], dictionary: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::Compressor::with_dictionary(COMPRESSION_LEVEL, dictionary)?.compress(component)
}

/// Refuses a component that imports anything but the contract, or that doesn't offer it. Gives back the variant of
/// `Offers` that it is.
fn check(component: &[u8]) -> Result<&'static str, String> {
    let decoded =
        wit_component::decode(component).map_err(|error| format!("cannot be read: {error:#}"))?;
    let wit_component::DecodedWasm::Component(resolve, world) = decoded else {
        return Err("is a package of interfaces, not a component".to_owned());
    };
    let world = &resolve.worlds[world];
    for import in world.imports.keys().map(|key| resolve.name_world_key(key)) {
        if !import.starts_with(CONTRACT) {
            return Err(format!(
                "imports `{import}`, which is no part of the contract"
            ));
        }
    }
    let exports: Vec<String> = world
        .exports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    let has = |interface: &str| {
        exports
            .iter()
            .any(|name| *name == format!("{CONTRACT}{interface}"))
    };
    match (has("perf-plugin@0.2.0"), has("dataset-plugin@0.2.0")) {
        (true, true) => Ok("ApiAndFormat"),
        (true, false) => Ok("Api"),
        (false, true) => Ok("Format"),
        (false, false) if has("perf-plugin@0.1.0") => Ok("OwnRequests"),
        (false, false) => Err(format!(
            "offers nothing of `{CONTRACT}`: is `export_parser!`, `export_api!` or `export_format!` called?"
        )),
    }
}

/// A folder that cargo names in the environment.
fn path_from(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable)
        .map(PathBuf::from)
        .ok_or_else(|| format!("{variable} is not set; this script is run by cargo"))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
