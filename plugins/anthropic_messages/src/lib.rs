//! Anthropic's messages, and the servers that have them.

use llmuses_plugin::{
    Api, Item, Request, Response, Settings, Summary, Tokens, Value, export_api, json,
};

/// The most tokens of an answer where nobody says: the API requires a number.
const MOST_TOKENS: u64 = 1024;

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
        let texts: Vec<&str> = system
            .iter()
            .filter_map(|message| message["content"].as_str())
            .collect();
        if !texts.is_empty() {
            body["system"] = texts.join("\n\n").into();
        }
        body["messages"] = messages.into();
        if !item.tools.is_empty() {
            body["tools"] = item.tools.iter().map(tool).collect();
        }
        body["max_tokens"] = item.output.max.unwrap_or(MOST_TOKENS).into();
        body["stream"] = true.into();
        Ok(settings.request_of(&mut item, body))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let mut read = Read {
            summary: Summary::default().outputs([]).answers([]),
            ..Read::default()
        };
        for (index, number) in (0..response.events.len()).zip(0_u32..) {
            read.event(&response.json(index)?, number)?;
        }
        let (prompt, completion) = (read.prompt(), counted(read.output));
        let mut summary = read.summary.tokens(prompt, completion);
        if let Some(cached) = read.cached {
            summary = summary.metric("cached_tokens", cached as f64);
        }
        if response.wants_reply {
            summary = summary.reply(json!({"role": "assistant", "content": read.text}));
        }
        Ok(summary)
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

fn counted(tokens: Option<u64>) -> Tokens {
    tokens.map_or(Tokens::Unknown, Tokens::Usage)
}

/// What the events have told so far.
#[derive(Default)]
struct Read {
    summary: Summary,
    input: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    output: Option<u64>,
    text: String,
}

impl Read {
    fn event(&mut self, event: &Value, number: u32) -> Result<(), String> {
        match event["type"].as_str().unwrap_or_default() {
            "error" => {
                let error = &event["error"];
                let message = error["message"].as_str().unwrap_or_default();
                let kind = error["type"].as_str().unwrap_or("error");
                return Err(format!("the server reported an error: {kind}: {message}"));
            }
            "message_start" => {
                self.usage(&event["message"]["usage"]);
                // What it has of the output is the little that there is by then.
                self.output = None;
            }
            "message_delta" => {
                self.usage(&event["usage"]);
                self.ended(&event["delta"]);
            }
            "content_block_start" => self.content(&event["content_block"], number),
            "content_block_delta" => self.content(&event["delta"], number),
            // A plain response.
            "message" => {
                self.usage(&event["usage"]);
                self.ended(event);
                for block in event["content"].as_array().into_iter().flatten() {
                    self.content(block, number);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A part of the answer, or a block of a plain response.
    fn content(&mut self, part: &Value, number: u32) {
        let text = |name: &str| part[name].as_str().unwrap_or_default();
        let answer = text("text");
        let other = [text("thinking"), text("partial_json")];
        let is_call = part["type"] == "tool_use";
        if answer.is_empty() && !is_call && other.iter().all(|text| text.is_empty()) {
            return;
        }
        self.summary = std::mem::take(&mut self.summary).once(number, !answer.is_empty());
        self.text += answer;
    }

    /// Counts come again and grow.
    fn usage(&mut self, usage: &Value) {
        for (name, count) in [
            ("input_tokens", &mut self.input),
            ("cache_read_input_tokens", &mut self.cached),
            ("cache_creation_input_tokens", &mut self.written),
            ("output_tokens", &mut self.output),
        ] {
            *count = usage[name].as_u64().or(*count);
        }
    }

    fn ended(&mut self, end: &Value) {
        if let Some(reason) = end["stop_reason"].as_str() {
            self.summary = std::mem::take(&mut self.summary).finish_reason(reason);
        }
    }

    /// All tokens of the prompt: the API tells those of the cache apart.
    fn prompt(&self) -> Tokens {
        let cache = self.cached.unwrap_or(0) + self.written.unwrap_or(0);
        counted(self.input.map(|input| input.saturating_add(cache)))
    }
}

export_api!(AnthropicMessages);
