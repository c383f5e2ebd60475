//! A `tokenizer.json` made of the files of an older form, `vocab.json` and `merges.txt`, as `transformers` converts them.
//!
//! Only for two families of tokenizers, whose rules for splitting text into words are written down there in
//! `convert_slow_tokenizer.py`. For any other, counts would be wrong without anybody noticing.

use super::{TokenizerError, read};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The files of the older form. The last one need not be there.
const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
const CONFIG: &str = "tokenizer_config.json";

/// How Qwen2 splits text before its byte pairs are merged.
const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Why no tokenizer can be made of the files in a folder.
#[derive(Debug)]
pub(super) struct Obstacle {
    /// What the folder has, behind "has no tokenizer.json".
    pub(super) found: String,
    /// The packages that read what it has beside `transformers`, a space before each.
    package: Option<&'static str>,
}

impl Obstacle {
    /// How to make a `tokenizer.json`, behind a description of the fault.
    pub(super) fn help(&self, folder: &Path) -> String {
        let Some(package) = self.package else {
            return String::new();
        };
        let folder = folder.display();
        format!(
            ". To make the file: pip install transformers{package}; python3 -c \"from transformers import \
             AutoTokenizer as T; T.from_pretrained('{folder}').save_pretrained('{folder}')\""
        )
    }
}

/// Whether a tokenizer can be made of the files in `folder`: `None`, it can.
///
/// # Errors
/// Where `tokenizer_config.json` is there and cannot be read.
pub(super) fn look(folder: &Path) -> Result<Option<Obstacle>, TokenizerError> {
    let has = |name: &str| folder.join(name).is_file();
    let not = |found: String, package| {
        Ok(Some(Obstacle {
            found,
            package: Some(package),
        }))
    };
    if has(VOCABULARY) && has(MERGES) {
        let config = config(folder)?;
        return match Family::of(&config) {
            Some(_) => Ok(None),
            None => not(
                format!(
                    ", but {VOCABULARY} and {MERGES} of {}, from which llmuses cannot make one",
                    class(&config).unwrap_or_default()
                ),
                "",
            ),
        };
    }
    let tiktoken = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.ends_with(".tiktoken") || name == "tiktoken.model");
    if let Some(name) = tiktoken {
        return not(format!(", but {name} (tiktoken)"), " tiktoken");
    }
    for name in ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"] {
        if has(name) {
            return not(
                format!(", but {name} (SentencePiece or tiktoken)"),
                " sentencepiece tiktoken protobuf",
            );
        }
    }
    Ok(Some(Obstacle {
        found: String::new(),
        package: None,
    }))
}

/// The files of `folder` of which a tokenizer is made.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let names = [VOCABULARY, MERGES, CONFIG];
    let paths = names.iter().map(|name| folder.join(name));
    paths.filter(|path| path.is_file()).collect()
}

/// The content of the `tokenizer.json` that is made of the files in `folder`.
///
/// # Errors
/// Where one of them cannot be read.
pub(super) fn tokenizer_json(folder: &Path) -> Result<Vec<u8>, TokenizerError> {
    let config = config(folder)?;
    let invalid = |path: PathBuf, reason: String| TokenizerError::Invalid { path, reason };
    let Some(family) = Family::of(&config) else {
        let reason = format!("the class of {CONFIG} is not known");
        return Err(invalid(folder.to_owned(), reason));
    };
    let path = folder.join(VOCABULARY);
    let vocabulary: Value =
        serde_json::from_slice(&read(&path)?).map_err(|error| invalid(path, error.to_string()))?;
    let path = folder.join(MERGES);
    let merges = String::from_utf8(read(&path)?)
        .map_err(|error| invalid(path, format!("it is not valid UTF-8: {error}")))?;
    let merges: Vec<&str> = merges
        .lines()
        .enumerate()
        // The first line may say of which version the file is; a pair that begins so is none of the first.
        .filter(|(index, line)| !(line.is_empty() || *index == 0 && line.starts_with("#version")))
        .map(|(_, line)| line)
        .collect();
    let (normalizer, pre_tokenizer) = family.rules(&config);
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": added_tokens(&config),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "model": { "type": "BPE", "vocab": vocabulary, "merges": merges },
    });
    Ok(tokenizer.to_string().into_bytes())
}

/// Tokenizers whose rules are known.
#[derive(Debug, Clone, Copy)]
enum Family {
    Gpt2,
    Qwen2,
}

impl Family {
    /// The family that `tokenizer_config.json` names. GPT-2 has none.
    fn of(config: &Map<String, Value>) -> Option<Self> {
        match class(config)?.trim_end_matches("Fast") {
            "GPT2Tokenizer" => Some(Self::Gpt2),
            "Qwen2Tokenizer" => Some(Self::Qwen2),
            _ => None,
        }
    }

    /// Its normalizer and its rules for words, as they stand in a `tokenizer.json`.
    fn rules(self, config: &Map<String, Value>) -> (Value, Value) {
        let byte_level = |use_regex: bool| {
            json!({
                "type": "ByteLevel",
                "add_prefix_space": config.get("add_prefix_space").and_then(Value::as_bool) == Some(true),
                "trim_offsets": false,
                "use_regex": use_regex,
            })
        };
        match self {
            Self::Gpt2 => (Value::Null, byte_level(true)),
            Self::Qwen2 => {
                let words = json!({
                    "type": "Split",
                    "pattern": { "Regex": QWEN2_WORDS },
                    "behavior": "Isolated",
                    "invert": false,
                });
                let both =
                    json!({ "type": "Sequence", "pretokenizers": [words, byte_level(false)] });
                (json!({ "type": "NFC" }), both)
            }
        }
    }
}

/// The class of the tokenizer. Where the folder does not say, it is GPT-2's, whose files these are.
fn class(config: &Map<String, Value>) -> Option<&str> {
    match config.get("tokenizer_class") {
        Some(class) => class.as_str(),
        None => Some("GPT2Tokenizer"),
    }
}

/// The tokens that are no text of the vocabulary, such as those around a message.
fn added_tokens(config: &Map<String, Value>) -> Vec<Value> {
    let tokens = config
        .get("added_tokens_decoder")
        .and_then(Value::as_object);
    let mut tokens: Vec<(u64, &Value)> = tokens
        .into_iter()
        .flatten()
        .filter_map(|(id, token)| Some((id.parse().ok()?, token)))
        .collect();
    tokens.sort_by_key(|(id, _)| *id);
    tokens
        .into_iter()
        .map(|(id, token)| {
            let is = |name: &str| token[name] == true;
            json!({
                "id": id,
                "content": token["content"],
                "single_word": is("single_word"),
                "lstrip": is("lstrip"),
                "rstrip": is("rstrip"),
                "normalized": is("normalized"),
                "special": is("special"),
            })
        })
        .collect()
}

/// `tokenizer_config.json`; empty where there is none.
fn config(folder: &Path) -> Result<Map<String, Value>, TokenizerError> {
    let path = folder.join(CONFIG);
    if !path.exists() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&read(&path)?).map_err(|error| TokenizerError::Invalid {
        path,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::HostTokenizer;
    use super::*;
    use llmuses_plugin_host::TokenCounter;

    const SAMPLE: &[u8] = include_bytes!("../../../../datasets/tokenizer/tokenizer.json");

    /// The sample in the older form.
    fn older_form(folder: &Path, class: Option<&str>) {
        let sample: Value = serde_json::from_slice(SAMPLE).unwrap();
        let model = &sample["model"];
        std::fs::write(folder.join("vocab.json"), model["vocab"].to_string()).unwrap();
        let mut merges = String::from("#version: 0.2\n");
        for pair in model["merges"].as_array().unwrap() {
            let line = match pair.as_array() {
                Some(pair) => format!(
                    "{} {}",
                    pair[0].as_str().unwrap(),
                    pair[1].as_str().unwrap()
                ),
                None => pair.as_str().unwrap().to_owned(),
            };
            merges.push_str(&line);
            merges.push('\n');
        }
        std::fs::write(folder.join("merges.txt"), merges).unwrap();
        if let Some(class) = class {
            let config = json!({
                "tokenizer_class": class,
                "added_tokens_decoder": {
                    "4000": { "content": "<|turn|>", "special": true },
                },
            });
            std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
        }
    }

    fn count(tokenizer: &HostTokenizer, text: &str) -> u64 {
        tokenizer.count(text).unwrap()
    }

    #[test]
    fn the_older_form_of_gpt2_counts_as_the_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        older_form(folder.path(), None);
        let found = HostTokenizer::find(folder.path()).unwrap();
        assert_eq!(found, folder.path());
        let (older, newer) = (
            HostTokenizer::load(&found).unwrap(),
            HostTokenizer::from_json(SAMPLE).unwrap(),
        );
        for text in [
            "",
            "How far away is the moon?",
            "  It's 384,400 km -- 1234567 ü 月亮 😀\n\n\tend ",
        ] {
            assert_eq!(count(&older, text), count(&newer, text), "{text}");
        }
    }

    #[test]
    fn qwen2_has_rules_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        older_form(folder.path(), Some("Qwen2Tokenizer"));
        let qwen = HostTokenizer::load(folder.path()).unwrap();
        // A digit is a word of its own, and a decomposed letter is composed.
        assert_eq!(count(&qwen, "1234567"), 7);
        assert_eq!(count(&qwen, "u\u{308}"), count(&qwen, "\u{fc}"));
        assert_eq!(count(&qwen, "<|turn|>"), 1);
    }

    #[test]
    fn what_cannot_be_converted_says_how_to_make_the_file() {
        let refused = |folder: &Path| HostTokenizer::find(folder).unwrap_err().to_string();
        let folder = tempfile::tempdir().unwrap();
        older_form(folder.path(), Some("BartTokenizer"));
        let error = refused(folder.path());
        assert!(error.contains("merges.txt of BartTokenizer"), "{error}");
        assert!(error.contains("save_pretrained"), "{error}");
        for (name, form) in [
            ("tokenizer.model", "(SentencePiece or tiktoken)"),
            ("qwen.tiktoken", "(tiktoken)"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(name), "x").unwrap();
            let error = refused(folder.path());
            assert!(error.contains(&format!("but {name} {form}")), "{error}");
            assert!(error.contains("save_pretrained"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(!refused(folder.path()).contains("save_pretrained"));
    }
}
