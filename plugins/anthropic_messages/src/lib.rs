//! Anthropic's messages, and the servers that have them.

mod messages;

use llmuses_plugin::{
    Answer, Api, Counts, Item, Request, Response, Settings, Summary, Value, export_api, json,
};

/// The most tokens of an answer where nobody says: the API requires a number.
const MOST_TOKENS: u64 = 1024;

/// The sampling parameters that this API has.
const SAMPLING: [(&str, &str); 4] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("stop", "stop_sequences[]"),
];

struct AnthropicMessages;

impl Api for AnthropicMessages {
    const NAME: &'static str = "anthropic_messages";
    const DESCRIPTION: &'static str = "Anthropic messages";
    const PATH: &'static str = "/v1/messages";
    const HEADERS: &'static [(&'static str, &'static str)] = &[("anthropic-version", "2023-06-01")];

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        if item.body.is_some() {
            return Ok(settings.request_of(&mut item, Value::Null));
        }
        let is_system = |message: &Value| message["role"] == "system";
        let (system, messages): (Vec<Value>, Vec<Value>) =
            item.take_messages()?.into_iter().partition(is_system);
        let mut body = json!({"model": settings.model(&item)});
        let texts = system
            .iter()
            .map(messages::text)
            .collect::<Result<Vec<_>, _>>()?;
        if !texts.is_empty() {
            body["system"] = texts.join("\n\n").into();
        }
        messages::without_audio(&messages)?;
        body["messages"] = messages::of(messages).into();
        if let Some(choice) = item.parameters.shift_remove("tool_choice") {
            body["tool_choice"] = messages::tool_choice(&choice);
        }
        item.spell_sampling("", &SAMPLING);
        if !item.tools.is_empty() {
            body["tools"] = item.tools.iter().map(tool).collect();
        }
        body["max_tokens"] = item.output.max.unwrap_or(MOST_TOKENS).into();
        body["stream"] = true.into();
        Ok(settings.request_of(&mut item, body))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let mut usage = Usage::default();
        let answer = Answer::of(response, |answer, event| {
            read(answer, event, &mut usage);
            Ok(())
        })?;
        Ok(answer.summary(|_| None))
    }
}

/// A tool of OpenAI's chat completions as this API has it.
fn tool(tool: &Value) -> Value {
    let function = &tool["function"];
    if function.is_null() {
        return tool.clone();
    }
    let mut own = json!({"name": function["name"], "input_schema": function["parameters"]});
    if !function["description"].is_null() {
        own["description"] = function["description"].clone();
    }
    own
}

/// Reads an event of a stream, or a plain response.
fn read(answer: &mut Answer<'_>, event: &Value, usage: &mut Usage) {
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => {
            // What it has of the output is the little that there is by then.
            answer.counts(usage.read(&event["message"]["usage"]));
        }
        "message_delta" => {
            answer.counts(Counts {
                completion: event["usage"]["output_tokens"].as_u64(),
                ..usage.read(&event["usage"])
            });
            answer.finish_reason(&event["delta"]["stop_reason"]);
        }
        "content_block_start" => read_content(answer, &event["content_block"]),
        "content_block_delta" => read_content(answer, &event["delta"]),
        // A plain response.
        "message" => {
            answer.counts(Counts {
                completion: event["usage"]["output_tokens"].as_u64(),
                ..usage.read(&event["usage"])
            });
            answer.finish_reason(&event["stop_reason"]);
            for block in event["content"].as_array().into_iter().flatten() {
                read_content(answer, block);
            }
        }
        _ => {}
    }
}

/// A part of the answer, or a block of a plain response.
fn read_content(answer: &mut Answer<'_>, part: &Value) {
    let text = |name: &str| part[name].as_str().unwrap_or_default();
    answer.text(text("text"));
    answer.reasoning(text("thinking"));
    answer.other(text("partial_json"));
    if part["type"] == "tool_use" {
        answer.other(text("name"));
    }
}

/// The tokens of the prompt so far. They come again, and what is left out or 0 stays what it was.
#[derive(Default)]
struct Usage {
    input: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
}

impl Usage {
    /// The counts of the prompt after this report. The API tells those of the cache apart.
    fn read(&mut self, usage: &Value) -> Counts {
        for (name, count) in [
            ("input_tokens", &mut self.input),
            ("cache_read_input_tokens", &mut self.cached),
            ("cache_creation_input_tokens", &mut self.written),
        ] {
            let told = usage[name].as_u64();
            *count = told.filter(|tokens| *tokens > 0).or(*count).or(told);
        }
        let cache = self
            .cached
            .unwrap_or(0)
            .saturating_add(self.written.unwrap_or(0));
        Counts {
            prompt: self.input.map(|input| input.saturating_add(cache)),
            cached: self.cached,
            ..Counts::default()
        }
    }
}

export_api!(AnthropicMessages);
