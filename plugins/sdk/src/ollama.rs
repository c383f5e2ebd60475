//! Ollama's own APIs: lines of JSON, the last of which has counts and durations.

use crate::{Answer, Counts, Item, Request, Response, Settings, Summary, Value};

/// The request of `body`, with the length of the answer in `options`.
pub fn request(mut item: Item, settings: &Settings, mut body: Value) -> Request {
    if let Some(most) = item.output.max
        && body.is_object()
    {
        body["options"]["num_predict"] = most.into();
    }
    Request::json(&settings.body_of(&mut item, body, "options"))
}

/// Reads one finished response of the chat or of generate.
///
/// # Errors
/// Where it is not JSON, or reports an error.
pub fn response(response: &Response<'_>) -> Result<Summary, String> {
    let answer = Answer::of(response, |answer, line| {
        let message = &line["message"];
        for thinking in [&message["thinking"], &line["thinking"]] {
            answer.reasoning(thinking.as_str().unwrap_or_default());
        }
        for text in [&message["content"], &line["response"]] {
            answer.text(text.as_str().unwrap_or_default());
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            answer.other(call["function"]["name"].as_str().unwrap_or_default());
        }
        if line["done"] == true {
            answer.counts(Counts {
                prompt: line["prompt_eval_count"].as_u64(),
                completion: line["eval_count"].as_u64(),
                ..Counts::default()
            });
            answer.finish_reason(&line["done_reason"]);
            for (name, metric) in [
                ("load_duration", "load_seconds"),
                ("prompt_eval_duration", "prompt_eval_seconds"),
                ("eval_duration", "eval_seconds"),
            ] {
                let nanoseconds = line[name].as_f64();
                answer.metric(metric, nanoseconds.map(|nanoseconds| nanoseconds / 1e9));
            }
        }
        Ok(())
    })?;
    Ok(answer.summary(|_| None))
}
