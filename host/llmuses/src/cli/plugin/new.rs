//! `llmuses plugin new`: makes the folder of a new parser out of the templates in `plugins/templates`, which
//! are embedded here together with the contract and, for Rust, the kit.

use clap::{Args, ValueEnum};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What stands in a template for the name of the parser: in texts, and in names of files.
const PLACEHOLDER: &str = "my_parser";

/// The same in the form of a type.
const TYPE_PLACEHOLDER: &str = "MyParser";

/// The longest name. File systems, registries and messages take it.
const LONGEST_NAME: usize = 64;

/// Names that something else has: words of the languages, files and modules of the templates, and modules of
/// Python's and crates of Rust's own that a parser of that name would hide.
const TAKEN: &str = "abstract alloc and as assert async asyncio await become box break case class collections \
     component const continue copy core crate dataclasses debugger def default del delete do dyn elif \
     else enum eval examples except export extends extern false final finally fn for from function \
     gen global if impl import in inspect instanceof io is json lambda let llmuses_plugin logging \
     loop macro match math mod move mut new node_modules nonlocal not null operator or os override \
     pass poll_loop priv proc_macro pub queue raise random re ref return select self src static std \
     string struct super switch sys target test tests this time token tokenize traceback trait true \
     try type typeof types typing union unittest unsafe unsized use var vendor virtual void where \
     while wit wit_world with yield";

/// A file of a new folder.
#[derive(Debug, Clone, Copy)]
struct File {
    /// Where it goes, with slashes.
    path: &'static str,
    content: &'static str,
}

/// Files of the repository: each is embedded from `FROM/PATH`, and goes to `TO/PATH`.
macro_rules! files {
    ($from:literal => $to:literal: $($path:literal)*) => {
        &[$(File {
            path: concat!($to, $path),
            content: include_str!(concat!("../../../../../", $from, $path)),
        }),*]
    };
}

/// What every folder gets.
const COMMON: &[&[File]] = &[files!("plugins/templates/" => "": "questions.jsonl")];

/// The contract of the templates that have an API and a format in one, and that of the others.
const CONTRACT_OF_BOTH: &[File] = files!("wit/0.1/" => "wit/": "perf-plugin.wit");
const CONTRACT: &[&[File]] = &[
    files!("wit/0.2/" => "wit/": "perf-plugin.wit"),
    files!("wit/" => "wit/": "entry.schema.json" "item.schema.json"),
];

const RUST: &[&[File]] = &[
    files!("plugins/templates/rust/" => "":
        ".cargo/config.toml" ".gitignore" "Cargo.toml" "rust-toolchain.toml" "vendor/llmuses-plugin/Cargo.toml"
    ),
    files!("wit/" => "wit/": "0.1/perf-plugin.wit" "0.2/perf-plugin.wit"),
    // Cargo drops what a parser does not need; what is left has the versions that this program was tested with.
    files!("" => "": "Cargo.lock"),
    files!("" => "vendor/llmuses-plugin/": "LICENSE"),
    files!("plugins/sdk/" => "vendor/llmuses-plugin/":
        "README.md" "src/answer.rs" "src/api.rs" "src/bindings.rs" "src/chat.rs" "src/dashscope.rs"
        "src/dashscope/tests.rs" "src/dataset.rs" "src/dataset/tests.rs" "src/export.rs" "src/format.rs"
        "src/format/component.rs" "src/format/conversation.rs" "src/format/head.rs" "src/format/tests.rs"
        "src/host.rs" "src/item.rs" "src/json.rs" "src/lenient.rs" "src/lib.rs" "src/message.rs"
        "src/message/content.rs" "src/message/reading.rs" "src/message/tests.rs" "src/message/text.rs" "src/message/transcript.rs"
        "src/ollama.rs" "src/openai.rs" "src/openai/asked.rs" "src/openai/chunk.rs" "src/openai/reply.rs"
        "src/openai/request.rs" "src/openai/tests.rs" "src/options.rs" "src/parser.rs" "src/prompt.rs"
        "src/repeats.rs" "src/requests.rs" "src/requests/tests.rs" "src/rerank.rs" "src/sampling.rs" "src/shape.rs" "src/summary.rs"
        "src/usage.rs"
    ),
];

/// What the folder of an API has beside them, and what that of a format has.
const API: &[File] = files!("plugins/templates/rust/api/" => "": "README.md" "src/lib.rs");
const DATASET: &[File] = files!("plugins/templates/rust/dataset/" => "": "README.md" "src/lib.rs");

const PYTHON: &[File] = files!("plugins/templates/python/" => "":
    ".gitignore" "llmuses_plugin.py" "requirements.txt"
);
const PYTHON_BOTH: &[File] = files!("plugins/templates/python/" => "":
    "README.md" "component.py" "examples/dashscope.py" "my_parser.py" "test_my_parser.py"
);
const PYTHON_API: &[File] = files!("plugins/templates/python/api/" => "":
    "README.md" "component.py" "llmuses_api.py" "my_parser.py" "test_my_parser.py"
);
const PYTHON_DATASET: &[File] = files!("plugins/templates/python/dataset/" => "":
    "README.md" "component.py" "llmuses_dataset.py" "my_parser.py" "test_my_parser.py"
);

const JS: &[File] = files!("plugins/templates/js/" => "": ".gitignore" "llmuses_plugin.js");
const JS_BOTH: &[File] = files!("plugins/templates/js/" => "":
    "README.md" "component.js" "my_parser.js" "my_parser.test.js" "package.json"
);
const JS_API: &[File] = files!("plugins/templates/js/api/" => "":
    "README.md" "component.js" "llmuses_api.js" "my_parser.js" "my_parser.test.js" "package.json"
);
const JS_DATASET: &[File] = files!("plugins/templates/js/dataset/" => "":
    "README.md" "component.js" "llmuses_dataset.js" "my_parser.js" "my_parser.test.js" "package.json"
);

/// A language that there is a template for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Python,
    #[value(alias = "javascript")]
    Js,
}

/// What a new plugin knows, as the user says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// An API, by version 0.2 of the contract.
    Api,
    /// A format of data sets, by version 0.2 of the contract.
    Dataset,
    /// An API and a format in one, by version 0.1 of the contract; not in Rust.
    Both,
}

/// What a new plugin of version 0.2 of the contract knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Api,
    Dataset,
}

/// What a folder is made of. Without a kind, it is a plugin of version 0.1 of the contract, which has an API and a format
/// in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Template {
    Rust(Kind),
    Python(Option<Kind>),
    Js(Option<Kind>),
}

impl Template {
    /// The template for a language.
    fn of(language: Language, wanted: Wanted) -> Result<Self, NewError> {
        let kind = match wanted {
            Wanted::Api => Some(Kind::Api),
            Wanted::Dataset => Some(Kind::Dataset),
            Wanted::Both => None,
        };
        match language {
            Language::Rust => kind.map(Self::Rust).ok_or(NewError::NoTemplate),
            Language::Python => Ok(Self::Python(kind)),
            Language::Js => Ok(Self::Js(kind)),
        }
    }

    fn files(self) -> impl Iterator<Item = &'static File> {
        let (shared, own): (&[&[File]], [&[File]; 2]) = match self {
            Self::Rust(Kind::Api) => (RUST, [&[], API]),
            Self::Rust(Kind::Dataset) => (RUST, [&[], DATASET]),
            Self::Python(None) => (&[CONTRACT_OF_BOTH], [PYTHON, PYTHON_BOTH]),
            Self::Python(Some(Kind::Api)) => (CONTRACT, [PYTHON, PYTHON_API]),
            Self::Python(Some(Kind::Dataset)) => (CONTRACT, [PYTHON, PYTHON_DATASET]),
            Self::Js(None) => (&[CONTRACT_OF_BOTH], [JS, JS_BOTH]),
            Self::Js(Some(Kind::Api)) => (CONTRACT, [JS, JS_API]),
            Self::Js(Some(Kind::Dataset)) => (CONTRACT, [JS, JS_DATASET]),
        };
        COMMON.iter().chain(shared).copied().chain(own).flatten()
    }
}

/// Arguments of `llmuses plugin new`.
#[derive(Debug, Args)]
pub(in crate::cli) struct NewArguments {
    /// Language to write the plugin in.
    #[arg(long, value_enum)]
    lang: Language,

    /// What the plugin knows
    #[arg(long, value_enum, default_value = "api")]
    kind: Wanted,

    /// Name of the parser and of its folder: small letters, digits and underscores.
    name: String,

    /// Where the folder is made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
}

/// The folder of a new parser could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name is not one that a crate, a module and a package can have.
    #[error("`{name}` cannot be the name of a parser: {reason}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no template of this kind in this language.
    #[error(
        "there is no template in Rust that is both; --kind api and --kind dataset make one each, and a component may export both"
    )]
    NoTemplate,
    /// There is something of that name already.
    #[error("{} exists already; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// It could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl NewError {
    /// Whether the arguments are at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Name { .. } | Self::NoTemplate | Self::Exists(_))
    }
}

/// Makes the folder, says what to type next, and returns where it is.
pub(in crate::cli) fn execute(arguments: &NewArguments) -> Result<PathBuf, NewError> {
    check_name(&arguments.name)?;
    let template = Template::of(arguments.lang, arguments.kind)?;
    let folder = arguments.into.join(&arguments.name);
    fs::create_dir(&folder).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => NewError::Exists(folder.clone()),
        _ => NewError::Write {
            path: folder.clone(),
            source,
        },
    })?;
    if let Err(error) = fill(&folder, template, &arguments.name) {
        // Half a parser is of no use; the folder is this call's own.
        let _ = fs::remove_dir_all(&folder);
        return Err(error);
    }
    llmuses_observe::terminal::print(format!(
        "{}\n",
        next_steps(&folder, template, &arguments.name)
    ));
    Ok(folder)
}

/// Refuses names that are none everywhere: for a crate, a module of Python, a package of npm and a file.
fn check_name(name: &str) -> Result<(), NewError> {
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.len() > LONGEST_NAME {
        format!("it is longer than {LONGEST_NAME} characters")
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        "it does not begin with a small letter, a to z".to_owned()
    } else if let Some(other) = name
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_'))
    {
        format!(
            "{} is none of small letters, digits and underscores",
            match other {
                ' '..='~' => format!("`{other}`"),
                _ => other.escape_unicode().to_string(),
            }
        )
    } else if TAKEN.split_whitespace().any(|taken| taken == name) {
        "it means something else already, in Rust, Python, JavaScript or the template".to_owned()
    } else {
        return Ok(());
    };
    Err(NewError::Name {
        // What was given must not reach the terminal as it is.
        name: name.chars().flat_map(char::escape_debug).collect(),
        reason,
    })
}

fn fill(folder: &Path, template: Template, name: &str) -> Result<(), NewError> {
    for file in template.files() {
        let path = folder.join(named(file.path, name));
        let failed = |source| NewError::Write {
            path: path.clone(),
            source,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, named(file.content, name)).map_err(failed)?;
    }
    Ok(())
}

/// A text of a template with the name of the parser in its places.
fn named(text: &str, name: &str) -> String {
    text.replace(PLACEHOLDER, name)
        .replace(TYPE_PLACEHOLDER, &type_name(name))
}

/// The name in the form of a type: `my_parser` becomes `MyParser`.
fn type_name(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let mut characters = word.chars();
            let first = characters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(characters)
        })
        .collect()
}

/// The commands of the folder's README: its first block of them.
fn commands(template: Template, name: &str) -> String {
    let readme = template.files().find(|file| file.path == "README.md");
    let block = readme
        .and_then(|readme| readme.content.split("```sh\n").nth(1))
        .and_then(|rest| rest.split("```").next());
    named(block.unwrap_or_default(), name)
}

fn next_steps(folder: &Path, template: Template, name: &str) -> String {
    let commands: String = commands(template, name)
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "made {0}; next, as its README.md says:\n\n    cd {0}\n{commands}",
        folder.display()
    )
}

#[cfg(test)]
mod tests;
