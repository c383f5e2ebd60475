//! The Markdown files: each link to a file of the repository, and to a heading, has a target; the README is short; the
//! manual has the flags that the program has.

use crate::support::repository;
use clap::CommandFactory;
use llmuses::cli::Cli;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines that the README may have.
const README_LINES: usize = 200;

/// The Markdown files of the repository, without what builds leave behind.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![repository()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let built = name.starts_with('.') || name == "target" || name == "node_modules";
            if path.is_dir() && !built {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// The lines of a page that are not in a block of code.
fn prose(page: &str) -> Vec<&str> {
    let mut in_code = false;
    page.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            !fence && !in_code
        })
        .collect()
}

/// The targets of the links `[text](target)` of a page.
fn links(page: &str) -> Vec<String> {
    let text = prose(page).join("\n");
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The anchors that GitHub makes of the headings of a page.
fn anchors(page: &str) -> Vec<String> {
    prose(page)
        .iter()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// What is wrong with a link of a page, if anything.
fn fault(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.to_owned()
    } else {
        page.parent()?.join(file)
    };
    if !target.exists() {
        return Some(format!("{}: no file {link}", page.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let headings = anchors(&fs::read_to_string(&target).expect("the page is text"));
    (!headings.iter().any(|heading| heading == anchor))
        .then(|| format!("{}: no heading {link}", page.display()))
}

#[test]
fn every_link_between_pages_has_a_target() {
    let mut checked = 0;
    let mut faults = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("the page is text");
        for link in links(&text) {
            checked += 1;
            faults.extend(fault(&page, &link));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn a_link_without_a_target_is_a_fault() {
    let readme = repository().join("README.md");
    assert!(fault(&readme, "host/docs/no-such-page.md").is_some());
    assert!(fault(&readme, "CONTRIBUTING.md#no-such-heading").is_some());
    assert_eq!(fault(&readme, "CONTRIBUTING.md#build"), None);
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES, "{lines} lines");
}

/// The long flags of a command, with their other names.
fn flags_of(command: &str) -> BTreeSet<String> {
    let cli = Cli::command();
    let command = cli.find_subcommand(command).expect("there is the command");
    let arguments = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set());
    arguments
        .flat_map(|argument| argument.get_long_and_visible_aliases().unwrap_or_default())
        .filter(|flag| !flag.starts_with("help"))
        .map(|flag| format!("--{flag}"))
        .collect()
}

/// The long flags within code of a text.
fn flags_in(text: &str) -> BTreeSet<String> {
    let code = text.split('`').skip(1).step_by(2);
    code.flat_map(|code| code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')))
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(str::to_owned)
        .collect()
}

/// The flags in the first column of the tables of a page.
fn flags_in_tables(page: &str) -> BTreeSet<String> {
    let text = manual(page);
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `-"));
    rows.flat_map(|row| {
        // A bar within a cell is escaped.
        let cell = row.split(" | ").next().unwrap_or_default();
        flags_in(&format!("`-{cell}"))
    })
    .collect()
}

fn manual(page: &str) -> String {
    let path = repository().join("host/docs").join(page);
    fs::read_to_string(path).expect("the page is text")
}

#[test]
fn the_manual_has_each_flag_of_perf_and_no_other() {
    assert_eq!(flags_in_tables("flags.md"), flags_of("perf"));
}

#[test]
fn the_manual_has_each_flag_of_the_mock_server_and_no_other() {
    assert_eq!(flags_in_tables("mock-server.md"), flags_of("mock-server"));
}

#[test]
fn the_manual_has_each_flag_that_only_search_has() {
    let of_perf = flags_of("perf");
    let told = flags_in(&manual("search.md"));
    let missing: Vec<String> = flags_of("search")
        .into_iter()
        .filter(|flag| !of_perf.contains(flag) && !told.contains(flag))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
