//! What a parser reads out of a response.

/// Who counted the tokens of one side of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenSource {
    /// The `usage` of the server.
    Server,
    /// The tokenizer of `--tokenizer-path`.
    Tokenizer,
    /// The parser, which did not say how.
    Parser,
}

impl TokenSource {
    /// A few words for reports and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "usage of the server",
            Self::Tokenizer => "tokenizer",
            Self::Parser => "parser",
        }
    }

    /// The source as a word of data: lower case and without spaces.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Tokenizer => "tokenizer",
            Self::Parser => "parser",
        }
    }

    /// The source of a [`Self::key`].
    pub fn of_key(key: &str) -> Option<Self> {
        [Self::Server, Self::Tokenizer, Self::Parser]
            .into_iter()
            .find(|source| source.key() == key)
    }
}

/// A token count and who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCount {
    /// Tokens.
    pub tokens: u64,
    /// Who counted them.
    pub source: TokenSource,
}

/// How many names are kept. More would let a parser that makes up names fill the memory.
pub const MAX_METRIC_NAMES: usize = 64;

/// What the parser read out of a response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Tokens of the prompt. `None`: nobody could count them.
    pub prompt: Option<TokenCount>,
    /// Tokens that the model produced. `None`: nobody could count them.
    pub completion: Option<TokenCount>,
    /// Indices of the response events that carried output, ascending and within range. Empty: the model
    /// produced nothing, which is a success where the server says that it is meant so.
    pub outputs: Vec<u32>,
    /// Which of the outputs carry the answer: neither reasoning nor a tool call. `None`: the plugin does not tell.
    pub answers: Option<Vec<u32>>,
    /// The tokens that the model had produced by the end of each output. `None`: the server does not say.
    pub tokens_so_far: Option<Vec<u32>>,
    /// Why the answer ended, in the word of the API.
    pub finish_reason: Option<String>,
    /// The message of the model as JSON, where it was asked for.
    pub reply: Option<String>,
    /// The parser's own figures, as many as a run keeps names.
    pub metrics: Vec<(String, f64)>,
    /// Further figures of the parser that were left out.
    pub metrics_cut: u64,
}

/// The figure under which a parser tells tokens of reasoning that the server counted and did not send.
pub const HIDDEN_REASONING: &str = "hidden_reasoning_tokens";

/// The figure under which a parser tells how many answers came in one stream, where there are several (`n`, or several
/// prompts in one request).
pub const CHOICES: &str = "choices";

impl Reading {
    /// Whether several answers came in one stream, so that the time between its events is that of no answer.
    pub fn has_several_choices(&self) -> bool {
        self.metric(CHOICES).is_some_and(|choices| choices > 1.0)
    }

    /// Tokens among those that the model produced that did not come, so that no time between events holds them.
    pub fn hidden_tokens(&self) -> u64 {
        self.metric(HIDDEN_REASONING)
            .map_or(0, |tokens| tokens.max(0.0) as u64)
    }

    /// The figure of the parser under this name. `None`: it told none, or one that is no number.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let mut named = self.metrics.iter().filter(|(known, _)| known == name);
        named
            .next()
            .map(|(_, value)| *value)
            .filter(|value| value.is_finite())
    }
}
