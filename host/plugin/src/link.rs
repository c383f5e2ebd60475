//! What a parser may import, and the functions behind it.

use super::bindings::{first, second};
use super::clock::HasVirtualClock;
use super::load_error::LoadError;
use super::offers::Offers;
use super::state::State;
use super::text::shown_name;
use llmuses_core::bounds::Sandbox;
use wasmtime::Engine;
use wasmtime::component::{Component, HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{self, sync};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

/// The package of the contract, without its version.
const CONTRACT: &str = "llmuses:perf/";

/// The interfaces of the contract that a parser may import.
const CONTRACT_IMPORTS: [&str; 4] = ["types", "datasets", "tokenizer", "logging"];

/// The interfaces that a plugin exports: an API, and a format of data sets.
const API: &str = "llmuses:perf/perf-plugin@";
const FORMAT: &str = "llmuses:perf/dataset-plugin@";

/// The interfaces of WASI 0.2 that are linked. The standard libraries of toolchains import them whether a
/// parser uses them or not; there is nothing behind them. Sockets and HTTP are not among them: a Rust
/// component for wasm32-wasip2 imports sockets only where its author uses them.
const WASI: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// How many names are listed in a refusal.
const MOST_LISTED: usize = 12;

/// What a component imports and exports, as far as the contract is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    /// All imports, in their order.
    pub(super) imports: Vec<String>,
    /// The version of the contract that it was built for.
    pub(super) contract_version: &'static str,
    /// The interfaces of the contract that it exports.
    pub(super) exports: Vec<String>,
    /// What it can be used for.
    pub(super) offers: Offers,
}

/// Checks what a component imports and exports, before anything of it runs.
pub(super) fn check(
    engine: &Engine,
    component: &Component,
    label: &str,
    sandbox: Sandbox,
) -> Result<Interface, LoadError> {
    let kind = component.component_type();
    let imports: Vec<String> = kind
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let exports: Vec<String> = kind
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let (contract_version, offers) = offers(&exports, label)?;
    let exports = exports
        .into_iter()
        .filter(|name| name.starts_with(API) || name.starts_with(FORMAT))
        .collect();
    let refused: Vec<&String> = imports
        .iter()
        .filter(|name| !is_contract(name) && !is_wasi(name))
        .collect();
    if !refused.is_empty() {
        return Err(LoadError::Imports {
            label: label.to_owned(),
            reason: format!(
                "it imports {}, which parsers do not get. A parser may import the contract ({}) and \
                 WASI 0.2 without sockets and HTTP{}",
                listed(&refused),
                contract(contract_version),
                if refused.iter().any(|name| name.starts_with("wasi:sockets/")) {
                    " (componentize-py leaves them out with --stub-wasi)"
                } else {
                    ""
                }
            ),
        });
    }
    let wasi: Vec<&String> = imports.iter().filter(|name| is_wasi(name)).collect();
    if sandbox == Sandbox::Strict && !wasi.is_empty() {
        return Err(LoadError::Imports {
            label: label.to_owned(),
            reason: format!(
                "it imports {}, and with --sandbox strict a parser may import nothing but the contract \
                 ({})",
                listed(&wasi),
                contract(contract_version)
            ),
        });
    }
    Ok(Interface {
        imports,
        contract_version,
        exports,
        offers,
    })
}

/// Whether a list of imports holds nothing but the contract.
pub(super) fn is_strict(imports: &[String]) -> bool {
    imports.iter().all(|name| is_contract(name))
}

/// The name of the contract in a version.
pub(super) fn contract(version: &str) -> String {
    format!("llmuses:perf@{version}")
}

/// The latest version of the contract that a component was built for, as far as this host speaks it, and what the
/// component offers in it.
fn offers(exports: &[String], label: &str) -> Result<(&'static str, Offers), LoadError> {
    let [first, second] = super::CONTRACT_VERSIONS;
    let exported = |interface: &str, version: &str| {
        let versions = exports
            .iter()
            .filter_map(|name| name.strip_prefix(interface));
        versions.into_iter().any(|found| found == version)
    };
    match (exported(API, second), exported(FORMAT, second)) {
        (true, true) => return Ok((second, Offers::ApiAndFormat)),
        (true, false) => return Ok((second, Offers::Api)),
        (false, true) => return Ok((second, Offers::Format)),
        (false, false) if exported(API, first) => return Ok((first, Offers::OwnRequests)),
        (false, false) => {}
    }
    let not = |reason: String| LoadError::NotAParser {
        label: label.to_owned(),
        reason,
    };
    let wanted = format!(
        "where a parser exports the interface perf-plugin or dataset-plugin of {}",
        super::CONTRACT_VERSION
    );
    let other = exports
        .iter()
        .find_map(|name| name.strip_prefix(API).or(name.strip_prefix(FORMAT)));
    Err(match other {
        Some(version) => not(format!(
            "it was built for version {} of the contract, and this program speaks {first} and {second}. Either \
             build it against {}, or use the llmuses that it was made for",
            shown_name(version),
            super::CONTRACT_VERSION
        )),
        None if exports.is_empty() => not(format!("it exports nothing, {wanted}")),
        None => not(format!(
            "it exports {}, {wanted}",
            listed(&exports.iter().collect::<Vec<_>>())
        )),
    })
}

fn is_contract(name: &str) -> bool {
    let Some((interface, version)) = name
        .strip_prefix(CONTRACT)
        .and_then(|name| name.split_once('@'))
    else {
        return false;
    };
    // Whether the functions in it are the right ones is for the linker to say.
    CONTRACT_IMPORTS.contains(&interface) && super::CONTRACT_VERSIONS.contains(&version)
}

fn is_wasi(name: &str) -> bool {
    name.split_once('@').is_some_and(|(interface, version)| {
        version.starts_with("0.2.") && WASI.contains(&interface)
    })
}

fn listed(names: &[&String]) -> String {
    let mut list: Vec<String> = names
        .iter()
        .take(MOST_LISTED)
        .map(|name| shown_name(name))
        .collect();
    if names.len() > MOST_LISTED {
        list.push(format!("{} more", names.len() - MOST_LISTED));
    }
    list.join(", ")
}

/// A linker with the contract, and with WASI where the sandbox has it.
pub(super) fn linker(engine: &Engine, sandbox: Sandbox) -> Result<Linker<State>, LoadError> {
    let mut linker = Linker::new(engine);
    first::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
        .and_then(|()| second::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state))
        .and_then(|()| match sandbox {
            Sandbox::Strict => Ok(()),
            Sandbox::Wasi => add_wasi(&mut linker),
        })
        .map_err(|error| LoadError::Host(format!("{error:#}")))?;
    Ok(linker)
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

fn add_wasi(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use bindings::{cli, clocks, filesystem, random};

    fn table(state: &mut State) -> &mut ResourceTable {
        state.ctx().table
    }
    cli::environment::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    clocks::monotonic_clock::add_to_linker::<_, HasVirtualClock>(linker, State::clock)?;
    clocks::wall_clock::add_to_linker::<_, HasVirtualClock>(linker, State::clock)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)?;
    sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)?;
    sync::io::error::add_to_linker::<_, HasTable>(linker, table)?;
    sync::io::poll::add_to_linker::<_, HasTable>(linker, table)?;
    sync::io::streams::add_to_linker::<_, HasTable>(linker, table)?;
    random::random::add_to_linker::<_, WasiRandom>(linker, State::random)?;
    random::insecure::add_to_linker::<_, WasiRandom>(linker, State::random)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, State::random)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_version_of_what_is_exported_is_used() {
        let offered = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            offers(&names, "x").map_err(|error| error.to_string())
        };
        let api = |version: &str| format!("{API}{version}");
        let format = |version: &str| format!("{FORMAT}{version}");
        assert_eq!(
            offered(&[&api("0.1.0")]),
            Ok(("0.1.0", Offers::OwnRequests))
        );
        assert_eq!(
            offered(&[&api("0.1.0"), &api("0.2.0")]),
            Ok(("0.2.0", Offers::Api))
        );
        assert_eq!(
            offered(&[&format("0.2.0"), &api("0.2.0")]),
            Ok(("0.2.0", Offers::ApiAndFormat))
        );
        assert_eq!(offered(&[&format("0.2.0")]), Ok(("0.2.0", Offers::Format)));
        let error = offered(&[&format("0.9.0")]).unwrap_err();
        assert!(error.contains("speaks 0.1.0 and 0.2.0"), "{error}");
    }

    #[test]
    fn imports_are_told_apart() {
        assert!(is_contract("llmuses:perf/datasets@0.1.0"));
        assert!(is_contract("llmuses:perf/datasets@0.2.0"));
        assert!(!is_contract("llmuses:perf/datasets@0.3.0"));
        assert!(!is_contract("llmuses:perf/secrets@0.1.0"));
        assert!(is_wasi("wasi:cli/stdout@0.2.6"));
        for refused in [
            "wasi:cli/stdout@0.3.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/stdout",
            "env",
        ] {
            assert!(!is_wasi(refused) && !is_contract(refused), "{refused}");
        }
    }
}
