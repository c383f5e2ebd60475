//! The order of the crates and modules of `host`: each depends on lower ones only, and no two on each other; and no two
//! of their public types have one name.

use crate::support::repository;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The crates, the lowest first. A crate may depend on those of earlier lines.
const LAYERS: [&[&str]; 7] = [
    &["core"],
    &["kernel-io", "load", "fleet", "samples"],
    &["transport", "plugin", "stats", "mock"],
    &["workload", "store"],
    &["render"],
    &["observe"],
    &["llmuses"],
];

type Graph = BTreeMap<String, BTreeSet<String>>;

fn layer(krate: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&krate))
        .unwrap_or_else(|| panic!("the crate host/{krate} is in no layer of this test"))
}

/// The crates of `host`, each with those that its program or library depends on.
fn crates() -> Graph {
    let mut graph = Graph::new();
    for entry in std::fs::read_dir(repository().join("host")).expect("the folder is there") {
        let folder = entry.expect("it can be read").path();
        // What is given to the fuzzer is a workspace of its own.
        if folder.ends_with("fuzz") {
            continue;
        }
        let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml")) else {
            continue;
        };
        let dependencies = manifest
            .split("\n[dependencies]\n")
            .nth(1)
            .and_then(|rest| rest.split("\n[").next())
            .unwrap_or_default();
        let own = dependencies
            .lines()
            .filter_map(|line| line.strip_prefix("llmuses-")?.split(' ').next())
            .map(|name| name.strip_suffix("-host").unwrap_or(name).to_owned())
            .collect();
        let name = folder.file_name().expect("it has a name");
        graph.insert(name.to_string_lossy().into_owned(), own);
    }
    graph
}

#[test]
fn crates_depend_on_lower_crates_only() {
    let graph = crates();
    assert!(graph.len() > 10, "{graph:?}");
    for (krate, dependencies) in &graph {
        for other in dependencies {
            assert!(
                layer(other) < layer(krate),
                "host/{krate} depends on host/{other}, which is not below it"
            );
        }
    }
}

/// The Rust files of a folder and below, without those that hold tests only.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name.ends_with("tests") || name == "tests_support" {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A place in a crate, from its root: the names of modules, and what is named in the last.
type Place = Vec<String>;

/// The places that a text of the module `module` names, by `crate::` and by `super::`, in groups as well:
/// `crate::{a::B, c}` names `a::B` and `c`.
fn named(text: &str, module: &[String]) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(at) = ["crate::", "super::"]
        .iter()
        .filter_map(|root| rest.find(root))
        .min()
    {
        let is_whole = !rest[..at].ends_with(is_name);
        let (root, behind) = rest[at..].split_at("crate::".len());
        rest = behind;
        let mut from = match root {
            "crate::" => Vec::new(),
            _ => parent(module).to_vec(),
        };
        while let Some(behind) = rest.strip_prefix("super::") {
            from.pop();
            rest = behind;
        }
        if is_whole {
            follow_path(rest, &from, &mut places);
        }
    }
    places
}

/// Adds the places that the rest of a path names, of which `from` is the beginning. Gives back what follows it.
fn follow_path<'a>(text: &'a str, from: &[String], places: &mut BTreeSet<Place>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(behind) = rest.strip_prefix('}') {
                return behind;
            }
            let behind = follow_path(rest, from, places);
            // What is no path (`as name`, `*`) is passed over.
            let end = behind.find([',', '}']).unwrap_or(behind.len());
            rest = &behind[end..];
            if rest.is_empty() {
                return rest;
            }
        }
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return rest;
    }
    let place = [from, &[name.to_owned()]].concat();
    match rest.strip_prefix("::") {
        Some(behind) => follow_path(behind, &place, places),
        None => {
            places.insert(place);
            rest
        }
    }
}

fn parent(module: &[String]) -> &[String] {
    module.split_last().map_or(&[], |(_, parent)| parent)
}

/// For each module of a crate that has modules of its own (the root is the empty place), these, each with those beside it
/// that it names. What only tests name does not count.
fn modules(krate: &str) -> BTreeMap<Place, Graph> {
    let source = repository().join("host").join(krate).join("src");
    let mut paths = Vec::new();
    files(&source, &mut paths);
    let mut texts: BTreeMap<Place, String> = BTreeMap::new();
    for path in paths {
        let place = path.strip_prefix(&source).expect("it lies below");
        let mut module: Place = place
            .with_extension("")
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        module.pop_if(|last| ["lib", "main", "mod"].contains(&last.as_str()));
        let text = std::fs::read_to_string(&path).expect("it is text");
        let text = text.split("#[cfg(test)]\nmod tests").next();
        texts
            .entry(module)
            .or_default()
            .push_str(text.unwrap_or_default());
    }
    let mut graphs: BTreeMap<Place, Graph> = BTreeMap::new();
    for (module, text) in &texts {
        for named in named(text, module) {
            let common = module.iter().zip(&named).take_while(|(a, b)| a == b);
            let common = common.count();
            let is_beside = common < module.len()
                && common < named.len()
                && texts.contains_key(&named[..=common]);
            if is_beside {
                let graph = graphs.entry(module[..common].to_vec()).or_default();
                graph.entry(named[common].clone()).or_default();
                graph
                    .entry(module[common].clone())
                    .or_default()
                    .insert(named[common].clone());
            }
        }
    }
    graphs
}

/// A way through the graph that comes back to where it began.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn follow(graph: &Graph, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let here = way.last().expect("it begins somewhere").clone();
        for next in &graph[&here] {
            if way.contains(next) {
                way.push(next.clone());
                return true;
            }
            if done.contains(next) {
                continue;
            }
            way.push(next.clone());
            if follow(graph, way, done) {
                return true;
            }
            way.pop();
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    for begin in graph.keys() {
        let mut way = vec![begin.clone()];
        if !done.contains(begin) && follow(graph, &mut way, &mut done) {
            return Some(way);
        }
    }
    None
}

#[test]
fn no_two_modules_of_a_crate_depend_on_each_other() {
    let circles: Vec<String> = crates()
        .keys()
        .flat_map(|krate| modules(krate).into_iter().map(move |found| (krate, found)))
        .filter_map(|(krate, (parent, graph))| {
            let way = circle(&graph)?.join(" -> ");
            Some(format!("host/{krate} {}: {way}", parent.join("::")))
        })
        .collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

/// The names of public types that a text defines at its top.
fn public_types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let kinds = ["pub struct ", "pub enum ", "pub trait "];
        let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
        rest.split(|c: char| !c.is_alphanumeric()).next()
    })
}

#[test]
fn no_two_public_types_of_the_host_have_one_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for krate in crates().keys() {
        let mut paths = Vec::new();
        files(
            &repository().join("host").join(krate).join("src"),
            &mut paths,
        );
        for path in paths {
            let text = std::fs::read_to_string(&path).expect("it is text");
            for name in public_types(&text) {
                let place = path.display().to_string();
                places.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    assert!(places.len() > 200, "only {} types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn a_circle_is_found() {
    let graph = |arrows: &[(&str, &[&str])]| -> Graph {
        arrows
            .iter()
            .map(|(from, to)| {
                (
                    (*from).to_owned(),
                    to.iter().map(|to| (*to).to_owned()).collect(),
                )
            })
            .collect()
    };
    assert_eq!(
        circle(&graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])),
        None
    );
    assert!(circle(&graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])])).is_some());
    let place = |text: &str| -> Place { text.split("::").map(str::to_owned).collect() };
    let text = "use crate::{a::{B, C as D}, d};\ncrate::e::f();\nuse super::super::g;\nsuper::{\n    h::I,\n};";
    assert_eq!(
        named(text, &place("x::y::z")),
        ["a::B", "a::C", "d", "e::f", "x::g", "x::y::h::I"]
            .map(place)
            .into()
    );
}
