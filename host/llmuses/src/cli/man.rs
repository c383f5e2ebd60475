//! `llmuses man`: a page for each command, in the form of man(7).

use super::{CommandOutcome, public_commands};
use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;
use llmuses_observe::terminal::print;
use std::path::{Path, PathBuf};

/// Arguments of `llmuses man`.
#[derive(Debug, Args)]
#[command(
    after_help = "To read a page: man -l DIR/llmuses-perf.1. With --out ~/.local/share/man/man1, `man \
                  llmuses-perf` finds it."
)]
pub(super) struct ManArguments {
    /// Folder for the pages llmuses.1, llmuses-perf.1 and so on; it is made where it is missing, and
    /// older pages are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs `llmuses man`.
pub(super) fn execute(arguments: &ManArguments) -> anyhow::Result<CommandOutcome> {
    let folder = &arguments.out;
    let pages = write_all(folder)
        .with_context(|| format!("the man pages cannot be written to {}", folder.display()))?;
    print(format!("{pages} man pages are in {}\n", folder.display()));
    Ok(CommandOutcome::Done)
}

/// Writes the pages, and says how many.
fn write_all(folder: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    let pages = pages();
    for page in &pages {
        page.generate_to(folder)?;
    }
    Ok(pages.len())
}

/// A page for each command.
fn pages() -> Vec<Man> {
    fn add(command: &Command, pages: &mut Vec<Man>) {
        for below in command.get_subcommands() {
            add(below, pages);
        }
        pages.push(Man::new(command.clone()));
    }
    let mut all = public_commands();
    all.build();
    let mut pages = Vec::new();
    add(&all, &mut pages);
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_described_in_the_page_of_its_command() {
        fn check(command: &Command, folder: &Path, flags: &mut usize) {
            let name = command
                .get_display_name()
                .unwrap_or_else(|| command.get_name());
            let path = folder.join(format!("{name}.1"));
            let page = std::fs::read_to_string(&path).unwrap();
            let page = page.replace(r"\*(Aq", "'").replace('\\', "");
            for flag in command.get_opts().filter(|flag| !flag.is_hide_set()) {
                *flags += 1;
                let long = flag.get_long().unwrap();
                assert!(page.contains(&format!("--{long}")), "{name}: {long}");
                let help = flag.get_help().unwrap().to_string();
                let begin: String = help.chars().take(25).collect();
                assert!(page.contains(&begin), "{name}, --{long}: {begin}");
            }
            for below in command.get_subcommands() {
                check(below, folder, flags);
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/b");
        write_all(&folder).unwrap();
        let mut all = public_commands();
        all.build();
        let mut flags = 0;
        check(&all, &folder, &mut flags);
        assert!(flags > 80, "{flags}");
        assert!(!folder.join("llmuses-compile-plugin.1").exists());
        // Written again over the older ones.
        assert!(write_all(&folder).unwrap() > 10);
    }
}
