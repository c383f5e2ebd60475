//! OpenAI's Responses.
//!
//! Usage is in the event that ends a stream, as always in this API, except with [`UsageMode::Off`].

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Asked, Call, Facts, Failure, Finish, Form, Length, Piece, openai};
use crate::config::UsageMode;
use crate::prompt::Prompt;

/// `/v1/responses`
#[derive(Debug)]
pub(super) struct Responses;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    stream: Option<bool>,
    max_output_tokens: Option<u64>,
    min_tokens: Option<u64>,
    ignore_eos: Option<bool>,
    #[serde(borrow)]
    instructions: Option<Prompt<'a>>,
    #[serde(borrow)]
    input: Option<Prompt<'a>>,
}

impl Api for Responses {
    fn has(&self, path: &str) -> bool {
        path == "/v1/responses"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let input = body.input.filter(|input| !input.parts.is_empty());
        let input = input.ok_or("There is no input.")?;
        let mut prompt = Prompt::default();
        if let Some(instructions) = body.instructions {
            prompt.add("system", instructions);
        }
        if input.is_conversation() {
            prompt.parts.extend(input.parts);
        } else {
            prompt.add("user", input);
        }
        let length = Length::up_to(&[body.max_output_tokens]);
        Ok(Asked {
            prompts: vec![prompt],
            choices: 1,
            model: body.model.unwrap_or_else(|| "mock".to_owned()),
            stream: body.stream.unwrap_or(false),
            length: Some(length.and(body.min_tokens, body.ignore_eos)),
            reasons: true,
            form: Box::new(Events {
                limit: body.max_output_tokens,
                ..Events::default()
            }),
        })
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        openai::failed(failure)
    }
}

/// How the response looks, and the events of a stream.
#[derive(Debug, Default)]
struct Events {
    limit: Option<u64>,
    /// How many events there have been.
    number: u64,
    /// Where the present item's deltas belong; all that does not change.
    place: String,
}

/// An item of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Reasoning,
    Message,
}

impl Item {
    fn id(self, facts: &Facts) -> String {
        let prefix = match self {
            Self::Reasoning => "rs",
            Self::Message => "msg",
        };
        format!("{prefix}_{}", facts.id)
    }

    /// Its place in the output.
    fn index(self, facts: &Facts) -> u64 {
        match self {
            Self::Reasoning => 0,
            Self::Message => u64::from(facts.reasoning > 0),
        }
    }

    /// The names of its deltas and its end.
    fn events(self) -> (&'static str, &'static str) {
        match self {
            Self::Reasoning => (
                "response.reasoning_text.delta",
                "response.reasoning_text.done",
            ),
            Self::Message => ("response.output_text.delta", "response.output_text.done"),
        }
    }

    fn text(self, facts: &Facts) -> String {
        match self {
            Self::Reasoning => facts.thoughts(),
            Self::Message => facts.answer(),
        }
    }

    fn part(self, text: &str) -> Value {
        match self {
            Self::Reasoning => json!({"type": "reasoning_text", "text": text}),
            Self::Message => {
                json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
            }
        }
    }

    /// The item with its text; without one, as it begins.
    fn json(self, facts: &Facts, text: Option<&str>) -> Value {
        let content: Vec<_> = text.iter().map(|text| self.part(text)).collect();
        let status = match (text, facts.finish) {
            (None, _) => "in_progress",
            (Some(_), Finish::Length) if self == Self::Message => "incomplete",
            (Some(_), _) => "completed",
        };
        let id = self.id(facts);
        match self {
            Self::Reasoning => json!({"id": id, "type": "reasoning", "summary": [],
                "content": content, "status": status}),
            Self::Message => json!({"id": id, "type": "message", "role": "assistant",
                "content": content, "status": status}),
        }
    }
}

impl Events {
    /// The response, as it is at the end or before.
    fn response(&self, facts: &Facts, is_over: bool) -> Value {
        let mut output = Vec::new();
        if is_over {
            if facts.reasoning > 0 {
                let item = Item::Reasoning;
                output.push(item.json(facts, Some(&item.text(facts))));
            }
            if facts.tokens > facts.reasoning || facts.reasoning == 0 {
                let item = Item::Message;
                output.push(item.json(facts, Some(&item.text(facts))));
            }
        }
        let is_cut = is_over && facts.finish == Finish::Length;
        let status = match (is_over, is_cut) {
            (false, _) => "in_progress",
            (true, false) => "completed",
            (true, true) => "incomplete",
        };
        let mut response = json!({
            "id": format!("resp_{}", facts.id),
            "object": "response",
            "created_at": facts.created,
            "status": status,
            "error": null,
            "incomplete_details": null,
            "max_output_tokens": self.limit,
            "model": facts.model,
            "output": output,
            "usage": null,
        });
        if is_cut {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        if is_over && facts.usage != UsageMode::Off {
            response["usage"] = json!({
                "input_tokens": facts.prompt_tokens,
                "input_tokens_details": {"cached_tokens": facts.cached.unwrap_or(0)},
                "output_tokens": facts.tokens,
                "output_tokens_details": {"reasoning_tokens": facts.reasoning},
                "total_tokens": facts.prompt_tokens + facts.tokens,
            });
        }
        response
    }

    /// Writes an event with these members.
    fn event(&mut self, out: &mut BytesMut, name: &str, mut members: Value) -> fmt::Result {
        members["type"] = name.into();
        members["sequence_number"] = self.number.into();
        self.number += 1;
        write!(out, "event: {name}\ndata: {members}\n\n")
    }

    fn open_item(&mut self, out: &mut BytesMut, facts: &Facts, item: Item) -> fmt::Result {
        let (index, id) = (item.index(facts), item.id(facts));
        let added = json!({"output_index": index, "item": item.json(facts, None)});
        self.event(out, "response.output_item.added", added)?;
        let part = json!({"item_id": id, "output_index": index, "content_index": 0,
            "part": item.part("")});
        self.event(out, "response.content_part.added", part)?;
        let (delta, _) = item.events();
        self.place = format!(
            "event: {delta}\ndata: {{\"type\":\"{delta}\",\"item_id\":\"{id}\",\"output_index\":{index},\
             \"content_index\":0,\"delta\":\""
        );
        Ok(())
    }

    fn close_item(&mut self, out: &mut BytesMut, facts: &Facts, item: Item) -> fmt::Result {
        let (index, id, text) = (item.index(facts), item.id(facts), item.text(facts));
        let (_, done) = item.events();
        let members = json!({"item_id": id, "output_index": index, "content_index": 0,
            "text": text});
        self.event(out, done, members)?;
        let part = json!({"item_id": id, "output_index": index, "content_index": 0,
            "part": item.part(&text)});
        self.event(out, "response.content_part.done", part)?;
        let item = json!({"output_index": index, "item": item.json(facts, Some(&text))});
        self.event(out, "response.output_item.done", item)
    }
}

impl Form for Events {
    fn room(&self) -> usize {
        384
    }

    fn opens_early(&self) -> bool {
        true
    }

    fn open(&mut self, out: &mut BytesMut, facts: &Facts, _early: bool) -> fmt::Result {
        for name in ["response.created", "response.in_progress"] {
            let response = json!({"response": self.response(facts, false)});
            self.event(out, name, response)?;
        }
        Ok(())
    }

    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        if piece.sent == facts.reasoning + 1 {
            if facts.reasoning > 0 {
                self.close_item(out, facts, Item::Reasoning)?;
            }
            self.open_item(out, facts, Item::Message)?;
        } else if piece.sent == 1 {
            self.open_item(out, facts, Item::Reasoning)?;
        }
        let number = self.number;
        self.number += 1;
        out.write_str(&self.place)?;
        out.write_str(piece.text)?;
        match piece.thought {
            true => write!(out, "\",\"sequence_number\":{number}}}\n\n"),
            false => write!(out, "\",\"logprobs\":[],\"sequence_number\":{number}}}\n\n"),
        }
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        match (facts.tokens, facts.reasoning) {
            (0, _) => {
                self.open_item(out, facts, Item::Message)?;
                self.close_item(out, facts, Item::Message)?;
            }
            (tokens, reasoning) if tokens == reasoning => {
                self.close_item(out, facts, Item::Reasoning)?;
            }
            _ => self.close_item(out, facts, Item::Message)?,
        }
        let name = match facts.finish {
            Finish::Stop => "response.completed",
            Finish::Length => "response.incomplete",
        };
        let response = json!({"response": self.response(facts, true)});
        self.event(out, name, response)
    }

    fn plain(&mut self, facts: &Facts) -> String {
        self.response(facts, true).to_string()
    }
}
