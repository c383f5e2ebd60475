//! The bodies of requests.

use crate::{Item, Map, Options, Prompt, Request, Settings, Value, json, merge};

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

/// The request of an item to a chat-completions API, for [`Api::request`](crate::Api::request).
///
/// Of a prompt or messages without anything else it is the same as [`body`] makes. The length of the answer is
/// `max_completion_tokens`, unless there is a parameter `max_tokens`; with a least or an exact length `min_tokens` and
/// `ignore_eos` are added, which vLLM, SGLang and TensorRT-LLM know. A parameter `stream_options` without `include_usage`
/// asks for usage too.
///
/// # Errors
/// Where the item is none of a conversation.
///
/// ```
/// use llmuses_plugin::{Item, Settings, json, openai};
///
/// let settings = Settings { model: "m".into(), ..Settings::default() };
/// let request = openai::request(Item::of_prompt("hi"), &settings, json!({"top_k": 1}))?;
/// assert_eq!(
///     request.to_json().to_string(),
///     r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true},"top_k":1}"#
/// );
/// # Ok::<(), String>(())
/// ```
pub fn request(mut item: Item, settings: &Settings, defaults: Value) -> Result<Request, String> {
    if item.body.is_some() {
        return Ok(settings.request_of(&mut item, Value::Null));
    }
    let messages = item.take_messages()?;
    let mut body = Map::new();
    body.insert("model".to_owned(), settings.model(&item).into());
    body.insert("messages".to_owned(), Value::Array(messages));
    if !item.tools.is_empty() {
        body.insert(
            "tools".to_owned(),
            Value::Array(std::mem::take(&mut item.tools)),
        );
    }
    Ok(completed(
        body,
        &item,
        settings,
        defaults,
        "max_completion_tokens",
    ))
}

/// The sampling parameters that the older API has too.
const OF_COMPLETIONS: [(&str, &str); 14] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("seed", "seed"),
    ("stop", "stop"),
    ("stop_token_ids", "stop_token_ids"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("repetition_penalty", "repetition_penalty"),
    ("logit_bias", "logit_bias"),
    ("min_tokens", "min_tokens"),
    ("ignore_eos", "ignore_eos"),
    ("response_format", "response_format"),
];

/// The request of an item to an API of completions, which continues a text, for
/// [`Api::request`](crate::Api::request). [`response`](super::response) reads its answers.
///
/// The prompt is a text, several or a list of token ids; that of messages is their contents. The length of the answer is
/// `max_tokens`; with a least or an exact length `min_tokens` and `ignore_eos` are added.
///
/// # Errors
/// Where the item has no text.
pub fn completion_request(
    mut item: Item,
    settings: &Settings,
    defaults: Value,
) -> Result<Request, String> {
    if item.body.is_some() {
        return Ok(settings.request_of(&mut item, Value::Null));
    }
    item.spell_sampling("", &OF_COMPLETIONS);
    let prompt = if !item.prompt_token_ids.is_empty() {
        item.leave_out_tools();
        std::mem::take(&mut item.prompt_token_ids).into()
    } else if !item.texts.is_empty() {
        item.leave_out_tools();
        std::mem::take(&mut item.texts).into()
    } else {
        item.take_prompt()?.into()
    };
    let mut body = Map::new();
    body.insert("model".to_owned(), settings.model(&item).into());
    body.insert("prompt".to_owned(), prompt);
    Ok(completed(body, &item, settings, defaults, "max_tokens"))
}

/// A body with what requests of both kinds have in common. `most`: the name of the most tokens of the answer.
fn completed(
    mut body: Map<String, Value>,
    item: &Item,
    settings: &Settings,
    defaults: Value,
    most: &str,
) -> Request {
    body.insert("stream".to_owned(), Value::Bool(true));
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    let parameters = [&item.parameters, &settings.parameters];
    let is_given = |name: &str| parameters.iter().any(|given| given.contains_key(name));
    let output = item.output;
    if let Some(max) = output.max
        && !is_given("max_tokens")
    {
        body.insert(most.to_owned(), max.into());
    }
    if let Some(least) = output.least() {
        body.insert("min_tokens".to_owned(), least.into());
    }
    if output.exact {
        body.insert("ignore_eos".to_owned(), Value::Bool(true));
    }
    if let Value::Object(defaults) = defaults {
        body.extend(defaults);
    }
    for given in parameters {
        merge(&mut body, given);
    }
    let streams = body.get("stream") == Some(&Value::Bool(true));
    if !streams && !is_given("stream_options") {
        body.shift_remove("stream_options");
    }
    if streams && let Some(Value::Object(options)) = body.get_mut("stream_options") {
        options.entry("include_usage").or_insert(Value::Bool(true));
    }
    Request::json(&Value::Object(body))
}
