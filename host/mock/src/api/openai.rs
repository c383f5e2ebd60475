//! OpenAI's chat completions and completions, as vLLM serves them.

mod chunks;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use self::chunks::Chunks;
use super::{Api, Asked, Call, Failure, Fault, Length};
use crate::prompt::{Part, Prompt, Prompts};

/// `/v1/chat/completions`
#[derive(Debug)]
pub(super) struct Chat;

/// `/v1/completions`
#[derive(Debug)]
pub(super) struct Completions;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    min_tokens: Option<u64>,
    ignore_eos: Option<bool>,
    n: Option<u64>,
    echo: Option<bool>,
    #[serde(borrow)]
    messages: Option<Prompt<'a>>,
    #[serde(borrow)]
    prompt: Option<Prompts<'a>>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
    /// Usage in every chunk, as vLLM has it.
    continuous_usage_stats: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Tool {
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
}

impl<'a> Body<'a> {
    /// The tool that has to be called. A model that may choose answers with text.
    fn tool(&self) -> Result<Option<String>, String> {
        let (Some(tools), Some(choice)) = (self.tools, self.tool_choice) else {
            return Ok(None);
        };
        if let Ok(tool) = serde_json::from_str::<Tool>(choice.get()) {
            return Ok(Some(tool.function.name));
        }
        if choice.get() != "\"required\"" {
            return Ok(None);
        }
        let tools: Vec<Tool> = serde_json::from_str(tools.get())
            .map_err(|error| format!("The tools are not functions: {error}"))?;
        let first = tools.into_iter().next();
        let first = first.ok_or("A tool is required, and there is none.")?;
        Ok(Some(first.function.name))
    }

    fn asked(
        self,
        prompts: Vec<Prompt<'a>>,
        is_chat: bool,
        echo: Vec<String>,
        tool: Option<String>,
    ) -> Result<Asked<'a>, String> {
        let choices = self.n.unwrap_or(1);
        let limits = [self.max_tokens, self.max_completion_tokens];
        let options = self.stream_options.unwrap_or_default();
        let include_usage = options.include_usage.unwrap_or(false);
        Asked {
            prompts,
            choices,
            model: self.model.unwrap_or_else(|| "mock".to_owned()),
            stream: self.stream.unwrap_or(false),
            length: Some(Length::up_to(&limits).and(self.min_tokens, self.ignore_eos)),
            reasons: is_chat,
            form: Box::new(Chunks::new(
                is_chat,
                include_usage,
                include_usage && options.continuous_usage_stats.unwrap_or(false),
                choices.max(1),
                echo,
                tool,
            )),
        }
        .check()
    }
}

impl Api for Chat {
    fn has(&self, path: &str) -> bool {
        path == "/v1/chat/completions"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let mut body: Body<'a> = call.json()?;
        let mut prompt = body.messages.take().unwrap_or_default();
        if prompt.parts.is_empty() {
            return Err("There are no messages.".to_owned());
        }
        let tool = body.tool()?;
        if let Some(tools) = body.tools {
            prompt.parts.insert(0, Part::Text(tools.get().into()));
        }
        body.asked(vec![prompt], true, Vec::new(), tool)
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        failed(failure)
    }
}

impl Api for Completions {
    fn has(&self, path: &str) -> bool {
        path == "/v1/completions"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let mut body: Body<'a> = call.json()?;
        let prompts = body.prompt.take().unwrap_or_default().0;
        if prompts.is_empty() {
            return Err("There is no prompt.".to_owned());
        }
        let echo = match body.echo {
            Some(true) => prompts
                .iter()
                .map(|prompt| escaped(&prompt.plain()))
                .collect(),
            _ => Vec::new(),
        };
        body.asked(prompts, false, echo, None)
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        failed(failure)
    }
}

/// A text as it stands between quotes in JSON.
fn escaped(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted
        .get(1..quoted.len() - 1)
        .unwrap_or_default()
        .to_owned()
}

/// An error as this API words it.
pub(super) fn failed(failure: &Failure<'_>) -> (StatusCode, String) {
    let status = failure.fault.status();
    let kind = match failure.fault {
        Fault::Invalid => "invalid_request_error",
        Fault::Overloaded => "rate_limit_error",
        Fault::Internal => "server_error",
    };
    (status, error(status, kind, failure.message))
}

/// The body of an error.
pub(crate) fn error(status: StatusCode, kind: &str, message: &str) -> String {
    let code = status.as_u16();
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

/// The list of the one model.
pub(crate) fn models(model: &str, created: u64) -> String {
    let model = json!({"id": model, "object": "model", "created": created, "owned_by": "llmuses"});
    json!({"object": "list", "data": [model]}).to_string()
}
