//! Forms as the API's reference has them, and the responses that servers send.

use super::*;
use llmuses_plugin::json;

/// A second of silence: 8,000 samples of 8 bits.
fn second() -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    for number in [8_000_u32, 8_000] {
        file.extend(number.to_le_bytes());
    }
    file.extend(b"\x01\0\x08\0data");
    file.extend(8_000_u32.to_le_bytes());
    file.extend([128; 8_000]);
    file
}

fn item(audio: &[u8]) -> Item {
    let audio = json!({"data": BASE64_STANDARD.encode(audio), "format": "wav"});
    let parts = json!([{"type": "input_audio", "input_audio": audio}, {"type": "text", "text": "names: Ümit"}]);
    Item {
        messages: vec![json!({"role": "user", "content": parts})],
        ..Item::default()
    }
}

fn settings() -> Settings {
    let mut settings = Settings {
        model: "whisper".to_owned(),
        ..Settings::default()
    };
    settings.parameters.insert(
        "timestamp_granularities".to_owned(),
        json!(["word", "segment"]),
    );
    settings
        .parameters
        .insert("temperature".to_owned(), json!(0));
    settings
}

fn read(events: &[Value], request: &[u8]) -> Result<Summary, String> {
    let events = Response::events_of(events);
    OpenaiTranscriptions::response(&Response {
        request,
        ..Response::of(&events)
    })
}

#[test]
fn the_form_has_the_file_and_each_parameter() {
    let request = OpenaiTranscriptions::request(item(b"x\0llmuses-form-boundary"), &settings())
        .expect("a request");
    let field = |name: &str, value: &str| {
        format!(
            "--llmuses-form-boundaryx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let form = [
        field("model", "whisper"),
        field("prompt", "names: Ümit"),
        field("stream", "true"),
        field("timestamp_granularities[]", "word"),
        field("timestamp_granularities[]", "segment"),
        field("temperature", "0"),
        "--llmuses-form-boundaryx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"audio.wav\"\r\n\
         Content-Type: audio/wav\r\n\r\nx\0llmuses-form-boundary\r\n--llmuses-form-boundaryx--\r\n"
            .to_owned(),
    ];
    assert_eq!(String::from_utf8_lossy(request.body()), form.concat());
    assert_eq!(
        request.content_type(),
        "multipart/form-data; boundary=llmuses-form-boundaryx"
    );
}

#[test]
fn an_item_without_one_audio_file_is_refused() {
    let error = |item| OpenaiTranscriptions::request(item, &settings()).unwrap_err();
    assert!(error(Item::of_prompt("hi")).contains("the item has none"));
    let mut two = item(b"x");
    two.messages.extend(item(b"x").messages);
    assert!(error(two).contains("several"));
    let mut bad = item(b"x");
    bad.messages[0]["content"][0]["input_audio"]["data"] = "?".into();
    assert!(error(bad).contains("not base64"));
    let mut elsewhere = item(b"x");
    elsewhere.messages[0]["content"][0] =
        json!({"type": "audio_url", "audio_url": {"url": "https://h/a.wav"}});
    assert!(error(elsewhere).contains("has its address"));
}

#[test]
fn streams_of_openai_and_of_vllm_are_read() {
    let delta = |text: &str| json!({"type": "transcript.text.delta", "delta": text});
    let usage =
        json!({"type": "tokens", "input_tokens": 14, "output_tokens": 3, "total_tokens": 17});
    let done = json!({"type": "transcript.text.done", "text": "a b", "usage": usage});
    let form = OpenaiTranscriptions::request(item(&second()), &settings()).expect("a request");
    let expected = Summary::new(Tokens::Usage(14), Tokens::Usage(3))
        .outputs([0, 1])
        .answers([0, 1])
        .metric(AUDIO, 1.0);
    assert_eq!(
        read(&[delta("a"), delta(" b"), done], form.body()),
        Ok(expected)
    );

    let chunk = |text: &str, end: Value| json!({"object": "transcription.chunk", "choices": [{"delta": {"content": text}, "finish_reason": end}]});
    let expected = Summary::new(Tokens::Unknown, Tokens::Unknown)
        .outputs([0, 1])
        .answers([0, 1])
        .finish_reason("stop");
    let chunks = [chunk("a", Value::Null), chunk(" b", json!("stop"))];
    assert_eq!(read(&chunks, b""), Ok(expected));
}

#[test]
fn plain_answers_tell_the_length_of_the_audio() {
    let expected = |seconds| {
        Ok(Summary::new(Tokens::Unknown, Tokens::Unknown)
            .output(0)
            .answers([0])
            .metric(AUDIO, seconds))
    };
    let form = OpenaiTranscriptions::request(item(&second()), &settings()).expect("a request");
    let verbose = json!({"task": "transcribe", "duration": 2.5, "text": "a b"});
    assert_eq!(read(&[verbose], form.body()), expected(2.5));
    let by_duration = json!({"text": "a b", "usage": {"type": "duration", "seconds": 3}});
    assert_eq!(read(&[by_duration], form.body()), expected(3.0));
}

#[test]
fn an_answer_is_plain_text_only_where_that_was_asked_for() {
    let read = |format: &str, answer: &[u8]| {
        let mut settings = settings();
        let format = (!format.is_empty()).then(|| format.into());
        let given = format.map(|format| ("response_format".to_owned(), format));
        settings.parameters.extend(given);
        let form = OpenaiTranscriptions::request(item(&second()), &settings).expect("a request");
        OpenaiTranscriptions::response(&Response {
            request: form.body(),
            ..Response::of(&[answer.to_vec()])
        })
    };
    let text = Summary::new(Tokens::Unknown, Tokens::Unknown)
        .output(0)
        .answers([0])
        .metric(AUDIO, 1.0);
    for format in ["text", "srt", "vtt"] {
        assert_eq!(read(format, b"a b\n"), Ok(text.clone()));
    }
    assert!(read("", b"a b\n").is_err());
    assert!(read("text", b"<html>Bad Gateway</html>").is_err());
}
