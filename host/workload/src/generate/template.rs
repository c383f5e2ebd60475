//! The chat template beside a tokenizer: how many tokens it puts around the content of a message.

use crate::tokenizer::HostTokenizer;
use llmuses_kernel_io::regular_file::read_regular;
use llmuses_plugin_host::TokenCounter;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest file that is read for a template.
const MOST_BYTES: u64 = 64 << 20;

/// The file that may have the template among other things.
const CONFIG: &str = "tokenizer_config.json";

/// The file that has it alone.
const OWN_FILE: &str = "chat_template.jinja";

/// A chat template that is there and cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the chat template in {} cannot be used: {reason}; with tokenizer.json alone in a folder, no template is counted in",
    path.display()
)]
pub struct TemplateError {
    path: PathBuf,
    reason: String,
}

/// Where the template of a tokenizer is.
fn folder_of(tokenizer: &Path) -> &Path {
    match tokenizer.is_dir() {
        true => tokenizer,
        false => tokenizer.parent().unwrap_or(Path::new(".")),
    }
}

/// A chat template of Jinja, as in `tokenizer_config.json` or `chat_template.jinja`.
#[derive(Debug)]
pub struct ChatTemplate {
    path: PathBuf,
    source: String,
    /// Named tokens that a template may use: `bos_token`, `eos_token` and others.
    tokens: Vec<(String, String)>,
}

impl ChatTemplate {
    /// The template beside this `tokenizer.json`, or in this folder of files of which a tokenizer is made. `None` where
    /// there is none.
    ///
    /// # Errors
    /// Where a file that may hold it cannot be read.
    pub fn beside(tokenizer: &Path) -> Result<Option<Self>, TemplateError> {
        let folder = folder_of(tokenizer);
        let config_path = folder.join(CONFIG);
        let config = match text_of(&config_path)? {
            Some(text) => serde_json::from_str(&text).map_err(|error| TemplateError {
                path: config_path.clone(),
                reason: error.to_string(),
            })?,
            None => Json::Null,
        };
        let own_file = folder.join(OWN_FILE);
        let (path, source) = match text_of(&own_file)? {
            Some(text) => (own_file, Some(text)),
            None => (config_path, template_of(&config["chat_template"])),
        };
        Ok(source.map(|source| Self {
            path,
            source,
            tokens: tokens_of(&config),
        }))
    }

    /// The files that [`Self::beside`] reads, as far as they are there.
    pub fn files_beside(tokenizer: &Path) -> Vec<PathBuf> {
        let folder = folder_of(tokenizer);
        let paths = [CONFIG, OWN_FILE].map(|name| folder.join(name));
        paths.into_iter().filter(|path| path.is_file()).collect()
    }

    /// How many tokens the template puts around the content of one message of a user.
    ///
    /// # Errors
    /// Where the template cannot be rendered, or puts different numbers around different contents.
    pub fn overhead(
        &self,
        tokenizer: &HostTokenizer,
        contents: &[String],
    ) -> Result<u32, TemplateError> {
        self.around(tokenizer, contents, |content| {
            self.render(&[("user", content)])
        })
    }

    /// How many tokens it adds for a turn after the first, around the reply before and the content of the user's message.
    ///
    /// # Errors
    /// As [`Self::overhead`].
    pub fn later_overhead(
        &self,
        tokenizer: &HostTokenizer,
        contents: &[String],
    ) -> Result<u32, TemplateError> {
        let first = self.render(&[("user", "a")])?;
        let first = self.count(tokenizer, &first)?;
        let whole = self.around(tokenizer, contents, |content| {
            self.render(&[("user", "a"), ("assistant", "a"), ("user", content)])
        })?;
        // The two contents of one letter are in it too: one with the first turn, the other is the reply.
        let reply = self.count(tokenizer, "a")?;
        let later = u64::from(whole).saturating_sub(first + reply);
        u32::try_from(later).map_err(|_| self.error("it is too long".to_owned()))
    }

    /// The tokens of what `render` makes of a content without those of the content.
    fn around(
        &self,
        tokenizer: &HostTokenizer,
        contents: &[String],
        render: impl Fn(&str) -> Result<String, TemplateError>,
    ) -> Result<u32, TemplateError> {
        let mut overheads = Vec::new();
        for content in contents {
            let rendered = self.count(tokenizer, &render(content)?)?;
            overheads.push(rendered.saturating_sub(self.count(tokenizer, content)?));
        }
        let first = overheads.first().copied().unwrap_or(0);
        if overheads.iter().any(|overhead| *overhead != first) {
            return Err(self.error(format!(
                "it puts {overheads:?} tokens around contents of the same kind"
            )));
        }
        u32::try_from(first).map_err(|_| self.error("it is too long".to_owned()))
    }

    fn count(&self, tokenizer: &HostTokenizer, text: &str) -> Result<u64, TemplateError> {
        tokenizer.count(text).map_err(|reason| self.error(reason))
    }

    /// The prompt that a server makes of messages, each a role and a content.
    fn render(&self, messages: &[(&str, &str)]) -> Result<String, TemplateError> {
        let mut environment = Environment::new();
        // As in the library that the templates are written for.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|error| self.error(error.to_string()))?;
        environment.set_syntax(syntax);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<String, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_function("strftime_now", |_: String| "26 Jul 2024");
        let mut values: BTreeMap<&str, Value> = self
            .tokens
            .iter()
            .map(|(name, token)| (name.as_str(), Value::from(token.as_str())))
            .collect();
        let message =
            |(role, content): &(&str, &str)| context! { role => *role, content => *content };
        let messages: Vec<Value> = messages.iter().map(message).collect();
        values.insert("messages", Value::from(messages));
        values.insert("add_generation_prompt", Value::from(true));
        environment
            .render_str(&self.source, values)
            .map_err(|error| self.error(error.to_string()))
    }

    fn error(&self, reason: String) -> TemplateError {
        TemplateError {
            path: self.path.clone(),
            reason,
        }
    }
}

fn text_of(path: &Path) -> Result<Option<String>, TemplateError> {
    let error = |reason: String| TemplateError {
        path: path.to_owned(),
        reason,
    };
    match read_regular(path, MOST_BYTES) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(error("it is not UTF-8".to_owned())),
        },
        Err(reason) if reason.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(reason) => Err(error(reason.to_string())),
    }
}

/// One template, or the one named `default` of several.
fn template_of(member: &Json) -> Option<String> {
    match member {
        Json::String(source) => Some(source.clone()),
        Json::Array(several) => {
            let default = several.iter().find(|one| one["name"] == "default");
            default.and_then(|one| Some(one["template"].as_str()?.to_owned()))
        }
        _ => None,
    }
}

fn tokens_of(config: &Json) -> Vec<(String, String)> {
    let Some(members) = config.as_object() else {
        return Vec::new();
    };
    members
        .iter()
        .filter(|(name, _)| name.ends_with("_token"))
        .filter_map(|(name, token)| {
            let text = token.as_str().or_else(|| token["content"].as_str())?;
            Some((name.clone(), text.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENIZER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../datasets/tokenizer/tokenizer.json"
    );

    fn tokenizer() -> HostTokenizer {
        HostTokenizer::load(Path::new(TOKENIZER)).unwrap()
    }

    fn folder_with(config: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        let tokenizer = folder.path().join("tokenizer.json");
        (folder, tokenizer)
    }

    #[test]
    fn a_template_is_counted_around_the_content() {
        let config = r#"{"bos_token":{"content":"moon "},
            "chat_template":"{{ bos_token }}{% for m in messages %}{{ m['role'] }} {{ m.content.strip() }}\n{% endfor %}"}"#;
        let (_folder, path) = folder_with(config);
        let template = ChatTemplate::beside(&path).unwrap().unwrap();
        assert_eq!(
            template.render(&[("user", " far ")]).unwrap(),
            "moon user far\n"
        );
        let contents = ["far".to_owned(), "far away".to_owned()];
        let around =
            tokenizer().count("moon user far\n").unwrap() - tokenizer().count("far").unwrap();
        let overhead = template.overhead(&tokenizer(), &contents).unwrap();
        assert_eq!(u64::from(overhead), around);
    }

    #[test]
    fn a_later_turn_has_another_part_of_the_template() {
        // As of Llama 3: the first turn has a system message that no later one has.
        let config = r#"{"chat_template":"moon moon moon\n{% for m in messages %}{{ m.role }}\n{{ m.content }}\n{% endfor %}assistant\n"}"#;
        let (_folder, path) = folder_with(config);
        let template = ChatTemplate::beside(&path).unwrap().unwrap();
        let count = |text: &str| tokenizer().count(text).unwrap();
        let contents = ["far".to_owned(), "away".to_owned()];
        let [first, later] = [
            template.overhead(&tokenizer(), &contents).unwrap(),
            template.later_overhead(&tokenizer(), &contents).unwrap(),
        ];
        assert!(later < first, "{later} {first}");
        let [one, two] = [
            "moon moon moon\nuser\nfar\nassistant\n",
            "moon moon moon\nuser\nfar\nassistant\nso\nuser\naway\nassistant\n",
        ]
        .map(count);
        assert_eq!(two, one + count("so") + count("away") + u64::from(later));
    }

    #[test]
    fn a_folder_without_a_template_has_none() {
        let (_folder, path) = folder_with(r#"{"bos_token":"<s>"}"#);
        assert!(ChatTemplate::beside(&path).unwrap().is_none());
    }

    #[test]
    fn a_folder_of_files_of_a_tokenizer_has_its_own_template() {
        let (folder, _) = folder_with(r#"{"chat_template":"in the folder"}"#);
        let template = ChatTemplate::beside(folder.path()).unwrap().unwrap();
        assert_eq!(template.render(&[]).unwrap(), "in the folder");
        assert_eq!(ChatTemplate::files_beside(folder.path()).len(), 1);
    }

    #[test]
    fn a_template_that_fails_is_named() {
        let (_folder, path) =
            folder_with(r#"{"chat_template":"{{ raise_exception('no user') }}"}"#);
        let template = ChatTemplate::beside(&path).unwrap().unwrap();
        let error = template
            .overhead(&tokenizer(), &["a".to_owned()])
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("tokenizer_config.json") && text.contains("no user"),
            "{text}"
        );
    }
}
