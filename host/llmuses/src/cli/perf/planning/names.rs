//! Names of runs and of their databases.

use llmuses_core::clean::acts;
use std::path::PathBuf;

/// `{model}_{time}`, with what a file name should not hold replaced.
pub(super) fn default_name(model: &str) -> String {
    /// Bytes of the model in a name. File systems take 255 for a name in all.
    const LONGEST_MODEL: usize = 150;
    let model: String = model
        .chars()
        .map(|character| match character {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            character if acts(character) || character.is_whitespace() => '_',
            character => character,
        })
        .scan(0, |bytes, character: char| {
            *bytes += character.len_utf8();
            (*bytes <= LONGEST_MODEL).then_some(character)
        })
        .collect();
    // A name of dots would be hidden, or a folder.
    let model = model.trim_start_matches('.');
    let time = jiff::Zoned::now().strftime("%Y%m%d_%H%M%S");
    let name = format!("{}_{time}", if model.is_empty() { "model" } else { model });
    // Runs that begin within one second are told apart by a number.
    let further = (2..).map(|number: u64| format!("{name}_{number}"));
    std::iter::once(name.clone())
        .chain(further)
        .find(|name| database(name).symlink_metadata().is_err())
        .unwrap_or(name)
}

/// The database of one part of a run of this name: `NAME.K.db`.
pub(in crate::cli) fn database_of_part(name: &str, part: u32) -> PathBuf {
    database(&format!(
        "{}.{part}",
        name.strip_suffix(".db").unwrap_or(name)
    ))
}

/// The database of a run of this name.
pub(in crate::cli) fn database(name: &str) -> PathBuf {
    match name.strip_suffix(".db") {
        Some(_) => PathBuf::from(name),
        None => PathBuf::from(format!("{name}.db")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit_for_files() {
        assert!(default_name("Qwen/Qwen2 7B:x").starts_with("Qwen_Qwen2_7B_x_"));
        assert!(default_name("a\u{202e}b\u{9b}c\u{200b}").starts_with("a_b_c__"));
        assert!(default_name("..").starts_with("model_"));
        assert!(default_name(&"\u{6a21}".repeat(90)).len() < 200);
        assert_eq!(database("run"), PathBuf::from("run.db"));
        assert_eq!(database("run.db"), PathBuf::from("run.db"));
        assert_eq!(database_of_part("run.db", 3), PathBuf::from("run.3.db"));
    }
}
