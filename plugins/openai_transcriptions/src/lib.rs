//! OpenAI's transcriptions, and the servers that have them: an audio file in a form.

mod form;
mod wav;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use form::Form;
use llmuses_plugin::{
    Answer, Api, Item, Map, Request, Response, Settings, Summary, Task, Tokens, Value, data_url,
    export_api, merge, server_error, tokenizer_count,
};

/// The name under which the host looks for the length of the audio in seconds.
const AUDIO: &str = "audio_seconds";

struct OpenaiTranscriptions;

impl Api for OpenaiTranscriptions {
    const NAME: &'static str = "openai_transcriptions";
    const DESCRIPTION: &'static str =
        "OpenAI transcriptions of audio, which messages have as `input_audio`";
    const PATH: &'static str = "/v1/audio/transcriptions";
    const TASK: Task = Task::Other;

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        item.without_length()?;
        if item.body.is_some() {
            return Err(
                "this API takes a form with a file, and the item has a body of JSON".to_owned(),
            );
        }
        let (format, audio) = audio(&item.messages)?;
        let mut fields = Map::new();
        fields.insert("model".to_owned(), settings.model(&item).into());
        let prompt = texts(&item.messages);
        if !prompt.is_empty() {
            fields.insert("prompt".to_owned(), prompt.into());
        }
        fields.insert("stream".to_owned(), true.into());
        for given in [&item.parameters, &settings.parameters] {
            merge(&mut fields, given);
        }
        let mut form = Form::beside(&audio);
        for (name, value) in &fields {
            form.field(name, value);
        }
        form.file(
            "file",
            &format!("audio.{format}"),
            &format!("audio/{format}"),
            &audio,
        );
        Ok(form.into_request())
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let length = form::file(response.request).and_then(wav::seconds);
        if let [body] = response.events
            && !body.trim_ascii_start().starts_with(b"{")
            && form::has(response.request, "response_format", &["text", "srt", "vtt"])
            && !is_page(body)
        {
            return Ok(plain_text(body, length));
        }
        let mut told = None;
        let mut answer = Answer::of(response, |answer, event| read(answer, event, &mut told))?;
        answer.metric(AUDIO, told.or(length));
        Ok(answer.summary(|_| None))
    }
}

/// Reads an event of a stream, or a plain answer. `seconds`: the length of the audio, where the server tells it.
fn read(answer: &mut Answer<'_>, event: &Value, seconds: &mut Option<f64>) -> Result<(), String> {
    let usage = &event["usage"];
    answer.usage(usage);
    for length in [&usage["seconds"], &event["duration"]] {
        *seconds = length.as_f64().or(*seconds);
    }
    match event["type"].as_str().unwrap_or_default() {
        "transcript.text.delta" => answer.text(event["delta"].as_str().unwrap_or_default()),
        "error" => {
            let error = server_error(event);
            return Err(error.unwrap_or_else(|| "the server reported an error".to_owned()));
        }
        _ => {
            // As vLLM streams.
            for choice in event["choices"].as_array().into_iter().flatten() {
                answer.text(choice["delta"]["content"].as_str().unwrap_or_default());
                answer.finish_reason(&choice["finish_reason"]);
            }
            // A plain answer; the last event of a stream repeats the whole.
            if !answer.has_output() {
                answer.text(event["text"].as_str().unwrap_or_default());
                if event["text"] == "" {
                    // Nothing is said in the audio.
                    answer.counted_none();
                    answer.finish_reason(&"stop".into());
                }
            }
        }
    }
    Ok(())
}

/// Whether it is a page, as a proxy sends it in place of an answer.
fn is_page(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    [&b"<!doctype"[..], b"<html"].iter().any(|page| {
        let beginning = start.get(..page.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(page))
    })
}

/// An answer of `response_format` `text`, `srt` or `vtt`.
fn plain_text(body: &[u8], seconds: Option<f64>) -> Summary {
    let text = String::from_utf8_lossy(body);
    let tokens = tokenizer_count(text.trim()).map_or(Tokens::Unknown, Tokens::Tokenizer);
    let summary = Summary::new(Tokens::Unknown, tokens).output(0).answers([0]);
    match seconds {
        Some(seconds) => summary.metric(AUDIO, seconds),
        None => summary,
    }
}

/// The one audio file in messages, and its format: a part `input_audio`, or `audio_url` with a data URL.
fn audio(messages: &[Value]) -> Result<(String, Vec<u8>), String> {
    let parts = messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten();
    let mut found = parts.filter_map(|part| {
        let audio = &part["input_audio"];
        if let Some(data) = audio["data"].as_str() {
            return Some(Ok((audio["format"].as_str().unwrap_or("wav"), data)));
        }
        let url = part["audio_url"]["url"].as_str()?;
        let data =
            data_url(url).and_then(|(kind, data)| Some((kind.strip_prefix("audio/")?, data)));
        Some(data.ok_or("this API takes audio itself, and the item has its address"))
    });
    let (format, data) = match (found.next(), found.next()) {
        (Some(audio), None) => audio?,
        (None, _) => {
            return Err("this API takes audio, as the path of a file or as data in a part `input_audio`, and the item has none".to_owned());
        }
        (Some(_), Some(_)) => {
            return Err("this API takes one audio file, and the item has several".to_owned());
        }
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if format.is_empty() || !format.bytes().all(is_name) {
        return Err(format!("`{format}` is no format of audio"));
    }
    let audio = BASE64_STANDARD
        .decode(data)
        .map_err(|error| format!("the audio is not base64: {error}"))?;
    Ok((format.to_owned(), audio))
}

/// The texts in messages, which the API takes as a hint.
fn texts(messages: &[Value]) -> String {
    let texts = messages
        .iter()
        .flat_map(|message| match &message["content"] {
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .collect(),
            content => Vec::from_iter(content.as_str()),
        });
    texts.collect::<Vec<&str>>().join("\n")
}

export_api!(OpenaiTranscriptions);

#[cfg(test)]
mod tests;
