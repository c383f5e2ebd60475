//! OpenAI's Responses, and the servers that have them.

mod input;

use llmuses_plugin::{
    Answer, Api, Item, Request, Response, Settings, Summary, Value, export_api, json, server_error,
};

struct OpenaiResponses;

/// The sampling parameters that this API has, some of them where vLLM speaks it.
const SAMPLING: [(&str, &str); 4] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("ignore_eos", "ignore_eos"),
];

impl Api for OpenaiResponses {
    const NAME: &'static str = "openai_responses";
    const DESCRIPTION: &'static str = "OpenAI Responses";
    const PATH: &'static str = "/v1/responses";

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        if item.body.is_some() {
            return Ok(settings.request_of(&mut item, Value::Null));
        }
        let mut body = json!({"model": settings.model(&item)});
        body["input"] = match item.prompt.take() {
            Some(text) => text.into(),
            None => item
                .take_messages()?
                .iter()
                .flat_map(input::items)
                .collect(),
        };
        if let Some(format) = item.parameters.shift_remove("response_format") {
            body["text"] = json!({"format": input::format(&format)});
        }
        if let Some(effort) = item.parameters.shift_remove("reasoning_effort") {
            body["reasoning"] = json!({"effort": effort});
        }
        if let Some(choice) = item.parameters.shift_remove("tool_choice") {
            body["tool_choice"] = input::tool(&choice);
        }
        item.spell_sampling("", &SAMPLING);
        if !item.tools.is_empty() {
            body["tools"] = item.tools.iter().map(input::tool).collect();
        }
        body["stream"] = true.into();
        let length = item
            .output
            .members("max_output_tokens", "min_tokens", "ignore_eos");
        for (name, value) in length {
            body[name] = value;
        }
        Ok(settings.request_of(&mut item, body))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let answer = Answer::of(response, read)?;
        Ok(answer.summary(input::texts))
    }
}

/// Reads an event of a stream, or a plain response.
fn read(answer: &mut Answer<'_>, event: &Value) -> Result<(), String> {
    let delta = event["delta"].as_str().unwrap_or_default();
    match event["type"].as_str().unwrap_or_default() {
        "response.output_text.delta" | "response.refusal.delta" => answer.text(delta),
        "response.reasoning_text.delta" | "response.reasoning.delta" => answer.reasoning(delta),
        "response.reasoning_summary_text.delta" | "response.reasoning_summary.delta" => {
            answer.summary_of_reasoning(delta);
        }
        "response.output_item.added" => answer.other(called(&event["item"])),
        "error" => {
            return Err(
                server_error(event).unwrap_or_else(|| "the server reported an error".to_owned())
            );
        }
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            return read_whole(answer, &event["response"]);
        }
        // Arguments of functions, code, and whatever else a model may write.
        kind if kind.starts_with("response.") && kind.ends_with(".delta") => answer.other(delta),
        _ if event["object"] == "response" || event["output"].is_array() => {
            return read_whole(answer, event);
        }
        _ => {}
    }
    Ok(())
}

/// Reads a response that is over. Its output is looked at where it did not come in parts before.
fn read_whole(answer: &mut Answer<'_>, response: &Value) -> Result<(), String> {
    if let Some(error) = server_error(&response["error"]) {
        return Err(error);
    }
    let status = &response["status"];
    if status == "failed" || status == "cancelled" {
        return Err(format!("the response ended with status {status}"));
    }
    answer.usage(&response["usage"]);
    answer.finish_reason(status);
    answer.finish_reason(&response["incomplete_details"]["reason"]);
    if answer.has_output() {
        return Ok(());
    }
    let output = |item: &Value| item.as_array().cloned().unwrap_or_default();
    for item in output(&response["output"]) {
        answer.other(called(&item));
        let is_reasoning = item["type"] == "reasoning";
        for part in output(&item["content"])
            .iter()
            .chain(&output(&item["summary"]))
        {
            let text = [&part["text"], &part["refusal"]]
                .into_iter()
                .find_map(Value::as_str);
            match is_reasoning {
                true => answer.reasoning(text.unwrap_or_default()),
                false => answer.text(text.unwrap_or_default()),
            }
        }
    }
    Ok(())
}

/// The name of the tool that an item of the output calls.
fn called(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

export_api!(OpenaiResponses);

#[cfg(test)]
mod tests;
