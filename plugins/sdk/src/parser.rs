//! The trait that an author implements.

use crate::{
    Entry, Options, Prompt, Requests, Summary, Value, json, openai, requests, tokenizer_count,
};

/// Where the prompts of a parser come from when the user gives none with `--prompt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From nowhere: the parser works with `--prompt` alone.
    PromptOnly,
    /// Every line of the data set is an entry, empty ones too.
    Lines,
    /// Every line of the data set is a JSON value. Blank lines are passed over and counted.
    JsonLines,
    /// The data set is one JSON array, and each of its items an entry.
    JsonArray,
    /// The data set is JSON lines or one JSON array, as its beginning shows. Of formats only.
    Json,
}

/// What is said where a data set is given to [`Source::PromptOnly`].
pub(crate) const PROMPT_ONLY: &str = "it takes its prompt from --prompt only; a data set is read, for example, by openai_chat \
                                      (any format), openai_line_by_line (lines of text), openai_openqa_qwen (JSON lines) \
                                      and openai_longalpaca_12k_qwen (one JSON array)";

/// A parser for one API and one kind of data set.
///
/// All its functions are without `self`: a component keeps nothing between two calls but the requests that
/// are being made. What has a default fits APIs that follow OpenAI's chat completions.
pub trait Parser: Sized + 'static {
    /// The name, as it would be given to `--parser`.
    const NAME: &'static str;

    /// What the parser is for, in one line.
    const DESCRIPTION: &'static str;

    /// Where prompts come from without `--prompt`.
    const SOURCE: Source;

    /// Request headers that the API needs, as names and values. The user's own take their place. The host takes
    /// `accept`, `accept-language`, `anthropic-beta`, `anthropic-version`, `content-type`, `openai-beta`, `prefer`,
    /// `user-agent` and `x-dashscope-*`, without a credential in them, and refuses a plugin with any other.
    const HEADERS: &'static [(&'static str, &'static str)] = &[];

    /// The prompt in one entry of the data set; by default the whole text of the entry.
    ///
    /// # Errors
    /// Where the entry has no prompt. The text should name the entry, as [`Entry::error`] and the errors of
    /// [`Entry::string_field`] and [`Entry::json`] do. The next entry is tried all the same.
    fn prompt_of(entry: Entry) -> Result<Prompt, String> {
        Ok(entry.into_text().into())
    }

    /// The body of the request for one prompt; by default [`openai::body`] without further parameters.
    ///
    /// A body of one's own has to lay `options.parameters` over its defaults, with [`merge`](crate::merge).
    fn body(options: &Options, prompt: Prompt) -> Value {
        openai::body(options, prompt, json!({}))
    }

    /// Begins to make requests. The default makes one request of the prompt, if there is one, and else one of
    /// each entry of the data set whose prompt has a wanted length.
    ///
    /// # Errors
    /// Where no request can be made at all: neither prompt nor data set, or a data set that cannot be opened.
    fn build_request(options: Options) -> Result<Box<dyn Requests>, String> {
        requests::begin::<Self>(options)
    }

    /// Reads one finished response; by default with [`openai::parse`] and the host's tokenizer.
    ///
    /// `responses` holds the data of every event of a stream in order, without `[DONE]`, or the one body of a
    /// plain response. `request` is the body that was sent, and `parameters` the JSON text of what the user
    /// gave with `--parameters`.
    ///
    /// # Errors
    /// Where the response cannot be read, or reports an error. The request then counts as failed, and the
    /// text is shown to the user.
    fn parse_responses(
        responses: &[Vec<u8>],
        request: &str,
        parameters: &str,
    ) -> Result<Summary, String> {
        let _ = parameters;
        openai::parse(responses, request, tokenizer_count)
    }
}
