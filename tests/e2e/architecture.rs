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

/// The names that follow `crate::` in a text, in groups as well: `crate::{a::B, c}` names `a` and `c`.
fn named(text: &str, root: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in text.split(root).skip(1) {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        match rest.strip_prefix('{') {
            None => {
                names.insert(
                    rest.split(|c| !is_name(c))
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                );
            }
            Some(group) => {
                let mut depth = 0;
                let mut name = String::new();
                let mut is_first = true;
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            names.insert(std::mem::take(&mut name));
                            is_first = true;
                        }
                        c if is_name(c) && is_first => name.push(c),
                        c if c.is_whitespace() && name.is_empty() => {}
                        _ => is_first = false,
                    }
                }
                names.insert(name);
            }
        }
    }
    names
}

/// The top modules of a crate, each with those that it names. What only its tests name does not count.
fn modules(krate: &str) -> Graph {
    let source = repository().join("host").join(krate).join("src");
    let mut graph = Graph::new();
    let mut paths = Vec::new();
    files(&source, &mut paths);
    for path in paths {
        let place = path.strip_prefix(&source).expect("it lies below");
        let top = place
            .components()
            .next()
            .expect("it has a name")
            .as_os_str()
            .to_string_lossy();
        let module = top.strip_suffix(".rs").unwrap_or(&top).to_owned();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("it is text");
        let text = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let mut names = named(text, "crate::");
        if place.components().count() == 1 {
            names.extend(named(text, "super::"));
        }
        graph.entry(module).or_default().extend(names);
    }
    let known: BTreeSet<String> = graph.keys().cloned().collect();
    for (module, names) in &mut graph {
        names.retain(|name| known.contains(name) && name != module);
    }
    graph
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
        .filter_map(|krate| {
            let way = circle(&modules(krate))?;
            Some(format!("host/{krate}: {}", way.join(" -> ")))
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
    assert_eq!(
        named("use crate::{a::{B, C}, d};\ncrate::e::f()", "crate::"),
        ["a", "d", "e"].map(str::to_owned).into()
    );
}
