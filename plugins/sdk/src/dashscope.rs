//! DashScope's own API for text generation.

use crate::json::from_str;
use crate::lenient::{List, Object};
use crate::message::{Message, Text, Transcript, choice_number, leniently, read, readable};
use crate::openai::{Asked, contents};
use crate::usage::{Count, Reading, Usage};
use crate::{Item, Map, Options, Prompt, Request, Response, Settings, Summary, Value, json, merge};

/// The header that makes the server stream, for [`Parser::HEADERS`](crate::Parser::HEADERS).
pub const STREAM_HEADER: (&str, &str) = ("X-DashScope-SSE", "enable");

/// The body of a request: the model, the messages in `input`, and in `parameters` `"stream": true`,
/// `"incremental_output": true`, then `defaults`, then the user's parameters, each over what came before.
/// `defaults` is a JSON object; anything else adds nothing.
///
/// ```
/// use llmuses_plugin::{Options, dashscope, json};
///
/// let options = Options { model: "m".into(), ..Options::default() };
/// let body = dashscope::body(&options, "hi".into(), json!({}));
/// assert_eq!(
///     body.to_string(),
///     r#"{"model":"m","input":{"messages":[{"role":"user","content":"hi"}]},"parameters":{"stream":true,"incremental_output":true}}"#
/// );
/// ```
pub fn body(options: &Options, prompt: Prompt, defaults: Value) -> Value {
    let mut parameters = Map::new();
    parameters.insert("stream".to_owned(), Value::Bool(true));
    parameters.insert("incremental_output".to_owned(), Value::Bool(true));
    if let Value::Object(defaults) = defaults {
        parameters.extend(defaults);
    }
    merge(&mut parameters, &options.parameters);
    let mut input = Map::new();
    input.insert("messages".to_owned(), prompt.into_messages());
    let mut body = json!({"model": options.model});
    body["input"] = Value::Object(input);
    body["parameters"] = Value::Object(parameters);
    body
}

/// The request of an item, for [`Api::request`](crate::Api::request). Of a prompt or messages without anything else it is the
/// same as [`body`] makes; `parameters` also has the tools and, as `max_tokens`, the most tokens of the answer. Of a whole
/// body they are what it has, and the parameters of item and user over that.
///
/// # Errors
/// Where the item is none of a conversation.
///
/// ```
/// use llmuses_plugin::{Item, Settings, dashscope, json};
///
/// let settings = Settings { model: "m".into(), ..Settings::default() };
/// let request = dashscope::request(Item::of_prompt("hi"), &settings, json!({}))?;
/// assert_eq!(
///     request.to_json().to_string(),
///     r#"{"model":"m","input":{"messages":[{"role":"user","content":"hi"}]},"parameters":{"stream":true,"incremental_output":true}}"#
/// );
/// # Ok::<(), String>(())
/// ```
pub fn request(mut item: Item, settings: &Settings, defaults: Value) -> Result<Request, String> {
    let mut body = match item.body.take() {
        Some(mut whole) => {
            if whole.get("model").is_some() {
                whole["model"] = settings.model(&item).into();
            }
            whole
        }
        None => {
            let mut parameters = json!({"stream": true, "incremental_output": true});
            if !item.tools.is_empty() {
                parameters["tools"] = std::mem::take(&mut item.tools).into();
            }
            if let Some(most) = item.output.max {
                parameters["max_tokens"] = most.into();
            }
            if let (Value::Object(parameters), Value::Object(defaults)) =
                (&mut parameters, defaults)
            {
                parameters.extend(defaults);
            }
            let mut body = json!({"model": settings.model(&item)});
            body["input"] = Value::from_iter([("messages", item.take_messages()?)]);
            body["parameters"] = parameters;
            body
        }
    };
    if let Value::Object(members) = &mut body {
        let has_some = matches!(members.get("parameters"), Some(Value::Object(_)));
        let mut parameters = match members.get_mut("parameters").map(Value::take) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(parameters)) => parameters,
            Some(_) => return Err("`parameters` of the body is no JSON object".to_owned()),
        };
        merge(&mut parameters, &item.parameters);
        merge(&mut parameters, &settings.parameters);
        // A whole body without parameters stays without them where none are given.
        if has_some || !parameters.is_empty() {
            members.insert("parameters".to_owned(), parameters.into());
        }
    }
    Ok(Request::json(&body))
}

/// Reads one finished response, for [`Api::response`](crate::Api::response): all that [`parse`] reads, why the answer ended,
/// and the message for the next turn where it is wanted.
///
/// # Errors
/// As [`parse`].
pub fn response(
    response: &Response<'_>,
    count: impl Fn(&str) -> Option<u64>,
) -> Result<Summary, String> {
    let request = std::str::from_utf8(response.request).unwrap_or_default();
    let mut summary = read_all(response.events, request, &count)?;
    if let Some(reason) = finish_reason(response.events) {
        summary = summary.finish_reason(reason);
    }
    if response.wants_reply {
        let all: Vec<u32> = (0..).take(response.events.len()).collect();
        let cumulative = Asking::read(request).cumulative;
        let answer = transcript(&readable(response.events), &all, cumulative).answer();
        summary = summary.reply(json!({"role": "assistant", "content": answer}));
    }
    Ok(summary)
}

/// Why the answer ended, as the last event that tells it says; `null` as a text, until then, is no reason.
fn finish_reason(events: &[Vec<u8>]) -> Option<String> {
    events.iter().rev().find_map(|event| {
        let event: Value = serde_json::from_slice(event).ok()?;
        let output = &event["output"];
        let places = [
            &output["finish_reason"],
            &output["choices"][0]["finish_reason"],
        ];
        let told = places.into_iter().find_map(Value::as_str)?;
        (!told.is_empty() && told != "null").then(|| told.to_owned())
    })
}

/// Reads one finished response: the events of a stream, or the one body of a plain response, with the text
/// in `output.text` or in the messages of `output.choices`.
///
/// Unless the request asks for incremental output, each event repeats the text before it. Then only an event
/// with more than the one before counts as output, and of the texts the last is counted. All else is as with
/// [`openai::parse`](crate::openai::parse).
///
/// # Errors
/// As [`openai::parse`](crate::openai::parse); an event with a `code` and no output is the server's error.
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
    leniently(responses, |responses| {
        read_events(responses, Asking::read(request), count)
    })
}

fn read_events(
    responses: &[Vec<u8>],
    request: Asking,
    count: &dyn Fn(&str) -> Option<u64>,
) -> Result<Summary, String> {
    let mut reading = Reading::default();
    let (mut size_before, mut has_reasoning) = (0, false);
    for (index, number) in (0..responses.len()).zip(0_u32..) {
        let Some(event) = read::<Event<'_>>(responses, index)? else {
            continue;
        };
        if let Some(error) = event.failure() {
            return Err(error);
        }
        if let Some(usage) = event.usage.get() {
            reading.report(usage);
        }
        let size = event.size();
        has_reasoning |= event.has_reasoning();
        if size > size_before {
            reading.outputs.push(number);
            if request.cumulative {
                size_before = size;
            }
        }
    }
    let outputs = reading.outputs.clone();
    let transcript = || transcript(responses, &outputs, request.cumulative);
    let hidden = reading.hidden_reasoning(|| has_reasoning || transcript().has_tagged_reasoning());
    let texts = || transcript().into_texts();
    Ok(reading.finish(hidden, || request.texts, texts, count))
}

#[derive(serde::Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    output: Object<Output<'a>>,
    #[serde(default)]
    usage: Object<Usage>,
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
}

impl Event<'_> {
    /// What went wrong. With output beside them, `code` and `message` are only a form of good news.
    fn failure(&self) -> Option<String> {
        let has_output = match self.output.get() {
            // An error may come with an output that is empty.
            Some(_) => self.code.is_empty() || self.size() > 0,
            None => self.code.is_empty() && self.message.is_empty(),
        };
        if has_output {
            return None;
        }
        let (code, message) = (self.code.as_str(), self.message.as_str());
        let details = if code.is_empty() {
            String::new()
        } else {
            format!(" ({code})")
        };
        Some(format!("the server reported an error: {message}{details}"))
    }

    /// All that the model produced, in bytes.
    fn size(&self) -> usize {
        self.output.get().map_or(0, Output::size)
    }

    fn has_reasoning(&self) -> bool {
        let mut messages = self.output.get().into_iter().flat_map(Output::messages);
        messages.any(|message| message.reasoning_size() > 0)
    }
}

#[derive(serde::Deserialize)]
struct Output<'a> {
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    choices: List<Choice<'a>>,
}

#[derive(serde::Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Count,
    #[serde(borrow, default)]
    message: Object<Message<'a>>,
}

impl<'a> Output<'a> {
    fn messages(&self) -> impl Iterator<Item = &Message<'a>> {
        let choices = self.choices.as_slice().iter();
        choices.filter_map(|choice| choice.message.get())
    }

    /// All that the model produced, in bytes.
    fn size(&self) -> usize {
        self.text.as_str().len() + self.messages().map(Message::size).sum::<usize>()
    }
}

/// What each choice says, out of the events that carried output.
fn transcript(responses: &[Vec<u8>], outputs: &[u32], cumulative: bool) -> Transcript {
    let mut transcript = Transcript::new(cumulative);
    let nothing = Message::default();
    for &index in outputs {
        // These were read before, so that there is nothing new to report.
        let Ok(Some(event)) = read::<Event<'_>>(responses, index as usize) else {
            continue;
        };
        let Some(output) = event.output.get() else {
            continue;
        };
        if !output.text.is_empty() {
            transcript.add(0, &nothing, output.text.as_str());
        }
        for (place, choice) in output.choices.as_slice().iter().enumerate() {
            let message = choice.message.get().unwrap_or(&nothing);
            transcript.add(choice_number(choice.index, place), message, "");
        }
    }
    transcript
}

/// What of the request matters for reading its response.
struct Asking {
    cumulative: bool,
    /// The content of each message; `None` where there is no text that could be counted.
    texts: Option<Vec<String>>,
}

impl Asking {
    fn read(request: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            input: Option<Input<'a>>,
            parameters: Option<Parameters>,
        }

        #[derive(serde::Deserialize)]
        struct Input<'a> {
            #[serde(borrow)]
            messages: Option<Vec<Asked<'a>>>,
            #[serde(borrow, default)]
            prompt: Text<'a>,
        }

        #[derive(serde::Deserialize)]
        struct Parameters {
            incremental_output: Option<Value>,
        }

        let body: Option<Body<'_>> = from_str(request).ok();
        let (input, parameters) = body.map_or((None, None), |body| (body.input, body.parameters));
        let incremental = parameters.and_then(|parameters| parameters.incremental_output);
        let texts = input.and_then(|input| match input.messages {
            Some(messages) => Some(contents(&messages)),
            None if input.prompt.is_empty() => None,
            None => Some(vec![input.prompt.as_str().to_owned()]),
        });
        Self {
            cumulative: incremental != Some(Value::Bool(true)),
            texts,
        }
    }
}

#[cfg(test)]
mod tests;
