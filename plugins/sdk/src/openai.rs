//! OpenAI's chat completions, and what other servers make of them.

use crate::json::from_str;
use crate::message::{Kind, Message, Text, Transcript, choice_number, failure, read, readable};
use crate::shape::Shapes;
use crate::usage::{Count, Reading, Usage};
use crate::{Options, Prompt, Summary, Value, json, merge};
use std::borrow::Cow;

/// The body of a request to a chat-completions API.
///
/// It has the model, the messages, `"stream": true` and `"stream_options": {"include_usage": true}`, then
/// `defaults`, then the user's parameters, each over what came before. `defaults` is a JSON object; anything
/// else adds nothing. Where the result doesn't stream, `stream_options` is left out, since servers reject
/// it then, unless the user gave it.
///
/// ```
/// use llmuses_plugin::{Options, json, openai};
///
/// let options = Options { model: "m".into(), ..Options::default() };
/// let body = openai::body(&options, "hi".into(), json!({"top_k": 1}));
/// assert_eq!(
///     body.to_string(),
///     r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true},"top_k":1}"#
/// );
/// ```
pub fn body(options: &Options, prompt: Prompt, defaults: Value) -> Value {
    let mut body = json!({"model": options.model});
    if let Value::Object(body) = &mut body {
        body.insert("messages".to_owned(), prompt.into_messages());
        body.insert("stream".to_owned(), Value::Bool(true));
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        if let Value::Object(defaults) = defaults {
            body.extend(defaults);
        }
        merge(body, &options.parameters);
        let streams = body.get("stream") == Some(&Value::Bool(true));
        if !streams && !options.parameters.contains_key("stream_options") {
            body.shift_remove("stream_options");
        }
    }
    body
}

/// Reads one finished response: the chunks of a stream, or the one body of a plain response, of chat
/// completions or of the older completions.
///
/// Output is text, reasoning, a refusal or a part of a tool call that is not empty. What the server reports
/// as `usage` wins; a side of which it reports nothing is counted with `count`, which a parser gets from
/// [`tokenizer_count`](crate::tokenizer_count). That text is put together only then. The summary also has
/// the metrics `cached_tokens` and `reasoning_tokens` where the server reports them.
///
/// # Errors
/// Where there is no response at all, where one is not a JSON object (the text has its number, from 1, and
/// the column), or where one reports an error.
pub fn parse(
    responses: &[Vec<u8>],
    request: &str,
    count: impl Fn(&str) -> Option<u64>,
) -> Result<Summary, String> {
    read_all(responses, request, &count)
}

/// As [`parse`], but not generic, so that all the reading of JSON is compiled once, in this crate.
fn read_all(
    responses: &[Vec<u8>],
    request: &str,
    count: &dyn Fn(&str) -> Option<u64>,
) -> Result<Summary, String> {
    match read_chunks(responses, request, count, Shapes::new()) {
        // What is not UTF-8 is looked for only where something is wrong: it takes a look at every byte.
        Err(error) => match readable(responses) {
            Cow::Borrowed(_) => Err(error),
            Cow::Owned(replaced) => read_chunks(&replaced, request, count, Shapes::new()),
        },
        result => result,
    }
}

/// Reads all chunks, those of a known shape without a look at their JSON.
fn read_chunks<'a>(
    responses: &'a [Vec<u8>],
    request: &str,
    count: &dyn Fn(&str) -> Option<u64>,
    mut shapes: Shapes<'a>,
) -> Result<Summary, String> {
    let mut reading = Reading::default();
    let mut empty = true;
    for ((index, response), number) in responses.iter().enumerate().zip(0_u32..) {
        if shapes.recognize(response).is_some() {
            empty = false;
            reading.outputs.push(number);
            continue;
        }
        let Some(chunk) = read::<Chunk<'_>>(responses, index)? else {
            continue;
        };
        empty = false;
        if let Some(error) = chunk.failure() {
            return Err(error);
        }
        if let Some((choice, kind, text)) = chunk.only_text() {
            shapes.learn(response, choice, kind, text);
        }
        if let Some(usage) = chunk.usage {
            reading.report(usage);
        }
        if chunk.choices.iter().flatten().any(Choice::has_output) {
            reading.outputs.push(number);
        }
    }
    if empty {
        return Err("the response was empty".to_owned());
    }
    let outputs = reading.outputs.clone();
    Ok(reading.finish(
        || prompt_texts(request),
        || output_texts(responses, &outputs, shapes),
        count,
    ))
}

#[derive(serde::Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Usage>,
    error: Option<Value>,
    #[serde(borrow, default)]
    object: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
}

impl Chunk<'_> {
    /// What went wrong, in either of two forms: an `error`, or the chunk being one as a whole.
    fn failure(&self) -> Option<String> {
        if self.object.as_str() == "error" {
            return Some(format!(
                "the server reported an error: {}",
                self.message.as_str()
            ));
        }
        self.error.as_ref().and_then(failure)
    }

    /// The text that is all that the chunk brings, with its choice. `None` where it brings anything else.
    fn only_text(&self) -> Option<(u64, Kind, &str)> {
        let [choice] = self.choices.as_deref()? else {
            return None;
        };
        if self.usage.is_some() {
            return None;
        }
        let in_message = choice.message().and_then(Message::only_text);
        let (kind, text) = match choice.text.is_empty() {
            true => in_message?,
            false if choice.message().is_some_and(|message| message.size() > 0) => return None,
            false => (Kind::Text, choice.text.as_str()),
        };
        Some((choice_number(choice.index, 0), kind, text))
    }
}

#[derive(serde::Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Count,
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    text: Text<'a>,
}

impl<'a> Choice<'a> {
    /// The part of a stream, or the whole of a plain response. A server that sends both repeats itself.
    fn message(&self) -> Option<&Message<'a>> {
        self.delta.as_ref().or(self.message.as_ref())
    }

    fn has_output(&self) -> bool {
        !self.text.is_empty() || self.message().is_some_and(|message| message.size() > 0)
    }
}

/// The text of each choice, out of the responses that carried output.
fn output_texts<'a>(
    responses: &'a [Vec<u8>],
    outputs: &[u32],
    mut shapes: Shapes<'a>,
) -> Vec<String> {
    let mut transcript = Transcript::new(false);
    for &index in outputs {
        let index = index as usize;
        if let Some(piece) = shapes.recognize(&responses[index]) {
            transcript.add_text(piece.choice, piece.kind, &piece.text());
            continue;
        }
        // These were read before, so that there is nothing new to report.
        let Ok(Some(chunk)) = read::<Chunk<'_>>(responses, index) else {
            continue;
        };
        if let Some((choice, kind, text)) = chunk.only_text() {
            shapes.learn(&responses[index], choice, kind, text);
        }
        for (place, choice) in chunk.choices.iter().flatten().enumerate() {
            let nothing = Message::default();
            let message = choice.message().unwrap_or(&nothing);
            transcript.add(
                choice_number(choice.index, place),
                message,
                choice.text.as_str(),
            );
        }
    }
    transcript.into_texts()
}

/// The content of each message of the request; `None` where it has no text that could be counted.
fn prompt_texts(request: &str) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        messages: Option<Vec<Asked<'a>>>,
        #[serde(borrow, default)]
        prompt: Text<'a>,
    }

    let request: Request<'_> = from_str(request).ok()?;
    match request.messages {
        Some(messages) => Some(contents(&messages)),
        None if request.prompt.is_empty() => None,
        None => Some(vec![request.prompt.as_str().to_owned()]),
    }
}

/// A message of a request.
#[derive(serde::Deserialize)]
pub(crate) struct Asked<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
}

/// What the messages of a request say, one text each.
pub(crate) fn contents(messages: &[Asked<'_>]) -> Vec<String> {
    messages
        .iter()
        .map(|message| message.content.as_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests;
