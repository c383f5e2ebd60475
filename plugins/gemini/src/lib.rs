//! Google's Gemini: `streamGenerateContent`, as server-sent events or as a JSON array, and `generateContent`.

mod contents;

use llmuses_plugin::{
    Answer, AnswerFormat, Api, Counts, Framing, Item, Request, Response, Settings, Summary, Value,
    export_api, json,
};

struct Gemini;

/// The names of sampling parameters in `generationConfig`.
const SAMPLING: [(&str, &str); 7] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("seed", "seed"),
    ("stop", "stopSequences[]"),
    ("frequency_penalty", "frequencyPenalty"),
    ("presence_penalty", "presencePenalty"),
];

const PLAIN: &str = "/v1beta/models/{model}:generateContent";

impl Api for Gemini {
    const NAME: &'static str = "gemini";
    const DESCRIPTION: &'static str = "Gemini's streamGenerateContent";
    const PATH: &'static str = "/v1beta/models/{model}:streamGenerateContent?alt=sse";
    // Without `alt=sse` in the URL; events are recognised all the same.
    const FRAMING: Framing = Framing::JsonArray;

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        if item.body.is_some() {
            let body = settings.body_of(&mut item, Value::Null, "generationConfig");
            return Ok(settings.request_by_path(&item, body, Self::PATH, PLAIN));
        }
        let (system, messages): (Vec<Value>, Vec<Value>) = item
            .take_messages()?
            .into_iter()
            .partition(|message| message["role"] == "system");
        let mut body = json!({"contents": contents::of(&messages)});
        if !system.is_empty() {
            let parts: Value = system.iter().flat_map(contents::parts).collect();
            body["systemInstruction"] = json!({"parts": parts});
        }
        if !item.tools.is_empty() {
            let functions: Value = item
                .tools
                .iter()
                .map(|tool| tool["function"].clone())
                .collect();
            body["tools"] = json!([{"functionDeclarations": functions}]);
        }
        if let Some(format) = item.take_answer_format() {
            body["generationConfig"]["responseMimeType"] = "application/json".into();
            if let AnswerFormat::Schema(schema) = format {
                body["generationConfig"]["responseJsonSchema"] = schema;
            }
        }
        item.spell_sampling("generationConfig", &SAMPLING);
        if let Some(most) = item.output.max {
            body["generationConfig"]["maxOutputTokens"] = most.into();
        }
        let body = settings.body_of(&mut item, body, "generationConfig");
        Ok(settings.request_by_path(&item, body, Self::PATH, PLAIN))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let mut is_counted = false;
        let mut answer = Answer::of(response, |answer, chunk| {
            is_counted |= chunk["usageMetadata"].is_object();
            if let Some(reason) = chunk["promptFeedback"]["blockReason"].as_str() {
                return Err(format!(
                    "the server reported an error: the prompt was blocked ({reason})"
                ));
            }
            for candidate in chunk["candidates"].as_array().into_iter().flatten() {
                for part in candidate["content"]["parts"]
                    .as_array()
                    .into_iter()
                    .flatten()
                {
                    read_part(answer, part);
                }
                answer.finish_reason(&candidate["finishReason"]);
            }
            read_usage(answer, &chunk["usageMetadata"]);
            Ok(())
        })?;
        if is_counted && !answer.has_output() {
            answer.counted_none();
        }
        Ok(answer.summary(contents::texts))
    }
}

fn read_part(answer: &mut Answer<'_>, part: &Value) {
    let text = part["text"].as_str().unwrap_or_default();
    match part["thought"] == true {
        true => answer.reasoning(text),
        false => answer.text(text),
    }
    let others = [
        &part["functionCall"]["name"],
        &part["executableCode"]["code"],
        &part["inlineData"]["data"],
    ];
    for other in others {
        answer.other(other.as_str().unwrap_or_default());
    }
}

/// Thoughts are not among the tokens of candidates.
fn read_usage(answer: &mut Answer<'_>, usage: &Value) {
    let count = |name: &str| usage[name].as_u64();
    let [candidates, thoughts] = [count("candidatesTokenCount"), count("thoughtsTokenCount")];
    let completion = match (candidates, thoughts) {
        (None, None) => None,
        (candidates, thoughts) => Some(
            candidates
                .unwrap_or(0)
                .saturating_add(thoughts.unwrap_or(0)),
        ),
    };
    answer.counts(Counts {
        prompt: count("promptTokenCount"),
        completion,
        cached: count("cachedContentTokenCount"),
        reasoning: thoughts,
    });
    answer.tokens_so_far(completion);
}

export_api!(Gemini);

#[cfg(test)]
mod tests;
