//! How answers of chat completions and completions look, in one piece and in chunks.

use std::fmt::{self, Write};

use bytes::BytesMut;
use serde_json::json;

use crate::api::{Facts, Form, Piece};
use crate::config::UsageMode;

/// How the answers look, and the chunks of a stream, of which all that does not change is written once.
#[derive(Debug)]
pub(super) struct Chunks {
    is_chat: bool,
    include_usage: bool,
    usage_in_each: bool,
    /// How many answers each prompt has.
    choices_to_each: u64,
    /// The prompts, where they are to be repeated; escaped.
    echo: Vec<String>,
    /// The tool that is called in place of an answer in text.
    tool: Option<String>,
    /// From `data:` to just before the list of choices' content.
    open: String,
    /// From `data:` to the text of a chat's first choice, where no chunk has usage or a call: nearly all chunks are
    /// that, the text, and [`CLOSE`].
    plain: Option<String>,
    /// Whether a chunk of its own has named the role.
    named: bool,
}

/// What follows the text of a plain chunk.
const CLOSE: &str = "\"},\"finish_reason\":null}]}\n\n";

/// What a chunk has besides text.
#[derive(Debug, Clone, Copy)]
struct Chunk<'a> {
    choice: u64,
    sent: u64,
    thought: bool,
    names_role: bool,
    finish: Option<&'a str>,
}

impl Chunks {
    /// For as many answers to each prompt, and what the request says about their form.
    pub(super) fn new(
        is_chat: bool,
        include_usage: bool,
        usage_in_each: bool,
        choices_to_each: u64,
        echo: Vec<String>,
        tool: Option<String>,
    ) -> Self {
        Self {
            is_chat,
            include_usage,
            usage_in_each,
            choices_to_each,
            echo,
            tool,
            open: String::new(),
            plain: None,
            named: false,
        }
    }

    fn id(&self, facts: &Facts) -> String {
        let prefix = if self.is_chat { "chatcmpl" } else { "cmpl" };
        format!("{prefix}-{}", facts.id)
    }

    /// Whether every chunk tells usage.
    fn has_usage_in_each(&self, facts: &Facts) -> bool {
        match facts.usage {
            UsageMode::Off => false,
            UsageMode::Final => self.usage_in_each,
            UsageMode::Every => true,
        }
    }

    fn finish(&self, facts: &Facts) -> &'static str {
        match self.tool {
            Some(_) => facts.finish.pick("tool_calls", "length"),
            None => facts.finish.as_str(),
        }
    }

    /// The prompt that comes before an answer.
    fn echo(&self, choice: u64) -> &str {
        let prompt = choice / self.choices_to_each;
        let echo = usize::try_from(prompt)
            .ok()
            .and_then(|prompt| self.echo.get(prompt));
        echo.map_or("", String::as_str)
    }

    fn chunk(
        &self,
        out: &mut BytesMut,
        facts: &Facts,
        text: &str,
        chunk: Chunk<'_>,
    ) -> fmt::Result {
        out.write_str(&self.open)?;
        match chunk.choice {
            0 => out.write_str(r#"{"index":0,"#)?,
            choice => write!(out, r#"{{"index":{choice},"#)?,
        }
        if self.is_chat {
            out.write_str(match chunk.names_role {
                true => r#""delta":{"role":"assistant","#,
                false => r#""delta":{"#,
            })?;
            match (chunk.thought, &self.tool) {
                (true, _) => write_all(out, &[r#""reasoning_content":""#, text, "\""])?,
                (false, Some(tool)) if chunk.sent > 0 && chunk.finish.is_none() => {
                    write_call(out, facts, tool, text, chunk.sent)?;
                }
                (false, _) => write_all(out, &[r#""content":""#, text, "\""])?,
            }
            out.write_str(r#"},"finish_reason":"#)?;
        } else {
            out.write_str(r#""text":""#)?;
            if chunk.sent == 1 && chunk.finish.is_none() {
                out.write_str(self.echo(chunk.choice))?;
            }
            write_all(out, &[text, r#"","logprobs":null,"finish_reason":"#])?;
        }
        match chunk.finish {
            Some(finish) => write_all(out, &["\"", finish, "\""])?,
            None => out.write_str("null")?,
        }
        out.write_str("}]")?;
        if self.has_usage_in_each(facts) {
            write_usage(out, facts, chunk.sent, 1)?;
        }
        out.write_str("}\n\n")
    }
}

fn write_all(out: &mut BytesMut, texts: &[&str]) -> fmt::Result {
    texts.iter().try_for_each(|text| out.write_str(text))
}

/// The part of a call of a tool that a token is. The arguments are an object with the words as a text.
fn write_call(out: &mut BytesMut, facts: &Facts, tool: &str, text: &str, sent: u64) -> fmt::Result {
    out.write_str(r#""tool_calls":[{"index":0,"#)?;
    let mut open = "";
    if sent == facts.reasoning + 1 {
        let (id, name) = (&facts.id, json!(tool));
        write!(
            out,
            r#""id":"call_{id}","type":"function","function":{{"name":{name},"arguments":""#
        )?;
        open = r#"{\"text\":\""#;
    } else {
        out.write_str(r#""function":{"arguments":""#)?;
    }
    let close = if sent == facts.tokens { r#"\"}"# } else { "" };
    write_all(out, &[open, text, close, r#""}}]"#])
}

/// The usage of `choices` answers of so many tokens each.
fn write_usage(out: &mut BytesMut, facts: &Facts, sent: u64, choices: u64) -> fmt::Result {
    let (prompt, tokens) = (facts.prompt_tokens, sent * choices);
    let total = prompt + tokens;
    write!(
        out,
        r#","usage":{{"prompt_tokens":{prompt},"total_tokens":{total},"completion_tokens":{tokens}"#
    )?;
    if let Some(cached) = facts.cached {
        write!(
            out,
            r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#
        )?;
    }
    if facts.reasoning > 0 {
        let reasoning = sent.min(facts.reasoning) * choices;
        write!(
            out,
            r#","completion_tokens_details":{{"reasoning_tokens":{reasoning}}}"#
        )?;
    }
    out.write_str("}")
}

impl Form for Chunks {
    fn begin(&mut self, facts: &Facts) {
        let object = match self.is_chat {
            true => "chat.completion.chunk",
            false => "text_completion",
        };
        // The name of a model may hold anything; everything else is ours.
        let model = json!(facts.model);
        let id = self.id(facts);
        let created = facts.created;
        self.open = format!(
            r#"data: {{"id":"{id}","object":"{object}","created":{created},"model":{model},"choices":["#
        );
        let is_plain = self.is_chat && self.tool.is_none() && !self.has_usage_in_each(facts);
        self.plain = is_plain.then(|| format!(r#"{}{{"index":0,"delta":{{"content":""#, self.open));
    }

    fn room(&self) -> usize {
        self.open.len() + 192
    }

    fn opens_early(&self) -> bool {
        self.is_chat
    }

    fn open(&mut self, out: &mut BytesMut, facts: &Facts, early: bool) -> fmt::Result {
        if !early {
            return Ok(());
        }
        self.named = true;
        (0..facts.choices).try_for_each(|choice| {
            let chunk = Chunk {
                choice,
                sent: 0,
                thought: false,
                names_role: true,
                finish: None,
            };
            self.chunk(out, facts, "", chunk)
        })
    }

    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        let names_role = piece.sent == 1 && !self.named;
        if let Some(plain) = &self.plain
            && piece.choice == 0
            && !piece.thought
            && !names_role
        {
            return write_all(out, &[plain, piece.text, CLOSE]);
        }
        let chunk = Chunk {
            choice: piece.choice,
            sent: piece.sent,
            thought: piece.thought,
            names_role,
            finish: None,
        };
        self.chunk(out, facts, piece.text, chunk)
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        for choice in 0..facts.choices {
            let chunk = Chunk {
                choice,
                sent: facts.tokens,
                thought: false,
                names_role: facts.tokens == 0 && !self.named,
                finish: Some(self.finish(facts)),
            };
            self.chunk(out, facts, "", chunk)?;
        }
        if facts.usage != UsageMode::Off && self.include_usage {
            write_all(out, &[&self.open, "]"])?;
            write_usage(out, facts, facts.tokens, facts.choices)?;
            out.write_str("}\n\n")?;
        }
        out.write_str("data: [DONE]\n\n")
    }

    fn plain(&mut self, facts: &Facts) -> String {
        let text = facts.answer();
        let choices: Vec<_> = (0..facts.choices)
            .map(|index| {
                let finish = self.finish(facts);
                if !self.is_chat {
                    // What is repeated may need escapes, and has them.
                    let echo: String = serde_json::from_str(&format!("\"{}\"", self.echo(index)))
                        .unwrap_or_default();
                    return json!({"index": index, "text": echo + &text, "logprobs": null,
                        "finish_reason": finish});
                }
                let mut message = json!({"role": "assistant", "content": text});
                if facts.reasoning > 0 {
                    message["reasoning_content"] = facts.thoughts().into();
                }
                if let Some(tool) = &self.tool {
                    let arguments = json!({"text": text}).to_string();
                    message["content"] = serde_json::Value::Null;
                    message["tool_calls"] = json!([{"id": format!("call_{}", facts.id),
                        "type": "function", "function": {"name": tool, "arguments": arguments}}]);
                }
                json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish})
            })
            .collect();
        let object = match self.is_chat {
            true => "chat.completion",
            false => "text_completion",
        };
        let mut answer = json!({
            "id": self.id(facts),
            "object": object,
            "created": facts.created,
            "model": facts.model,
            "choices": choices,
        });
        if facts.usage != UsageMode::Off {
            let tokens = facts.all_tokens();
            let mut usage = json!({
                "prompt_tokens": facts.prompt_tokens,
                "total_tokens": facts.prompt_tokens + tokens,
                "completion_tokens": tokens,
            });
            if let Some(cached) = facts.cached {
                usage["prompt_tokens_details"] = json!({"cached_tokens": cached});
            }
            if facts.reasoning > 0 {
                let reasoning = facts.reasoning * facts.choices;
                usage["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
            }
            answer["usage"] = usage;
        }
        answer.to_string()
    }
}
