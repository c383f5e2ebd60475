//! A chat API of OpenAI's kind and a format of data sets in one.

use crate::{
    Api, Format, Item, Request, Response, Settings, Source, Summary, Value, json, openai,
    tokenizer_count,
};

/// A plugin that sends the prompts of its own format of data sets to an API that follows OpenAI's chat completions: an
/// [`Api`] and a [`Format`] of the same name.
///
/// ```
/// use llmuses_plugin::{ChatParser, Source, Value, export_chat_parser, json};
///
/// struct Riddles;
///
/// impl ChatParser for Riddles {
///     const NAME: &'static str = "riddles";
///     const DESCRIPTION: &'static str = "OpenAI chat completions; JSON lines, prompt in `riddle`";
///     const DATA: &'static str = "JSON lines with a prompt in `riddle`";
///     const SOURCE: Source = Source::JsonLines;
///     const PROMPT_FIELD: &'static str = "riddle";
///
///     fn defaults() -> Value {
///         json!({"temperature": 0})
///     }
/// }
///
/// export_chat_parser!(Riddles);
/// ```
pub trait ChatParser: Sized + 'static {
    /// The name, as it would be given to `--parser`.
    const NAME: &'static str;

    /// What the plugin is, in one line.
    const DESCRIPTION: &'static str;

    /// What its format of data sets is, in one line.
    const DATA: &'static str;

    /// What an entry of the file is.
    const SOURCE: Source;

    /// The field that has the prompt. Lines of text have none: each is a prompt.
    const PROMPT_FIELD: &'static str = "";

    /// Members of each body, as a JSON object, over which the parameters of the user go.
    fn defaults() -> Value {
        json!({})
    }
}

impl<P: ChatParser> Api for P {
    const NAME: &'static str = P::NAME;
    const DESCRIPTION: &'static str = P::DESCRIPTION;
    const PATH: &'static str = "/v1/chat/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        openai::request(item, settings, P::defaults())
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

impl<P: ChatParser> Format for P {
    const NAME: &'static str = P::NAME;
    const DESCRIPTION: &'static str = P::DATA;
    const SOURCE: Source = P::SOURCE;
    const PROMPT_FIELD: &'static str = P::PROMPT_FIELD;
}

/// Makes a component of a type that implements [`ChatParser`]. To be called once in a crate of the type `cdylib`.
#[macro_export]
macro_rules! export_chat_parser {
    ($parser:ty) => {
        $crate::export_api!($parser);
        $crate::export_format!($parser);
    };
}
