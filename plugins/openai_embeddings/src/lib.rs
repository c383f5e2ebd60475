//! OpenAI's embeddings, and the servers that have them.

use llmuses_plugin::{
    Api, Framing, Item, Request, Response, Settings, Summary, Task, Tokens, Value, export_api,
    json, server_error, tokenizer_count,
};

/// The name under which the host looks for the number of texts that were embedded.
const TEXTS: &str = "texts";

struct OpenaiEmbeddings;

impl Api for OpenaiEmbeddings {
    const NAME: &'static str = "openai_embeddings";
    const DESCRIPTION: &'static str = "OpenAI embeddings, of a text, of several or of token ids";
    const PATH: &'static str = "/v1/embeddings";
    const FRAMING: Framing = Framing::Plain;
    const TASK: Task = Task::Embed;

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        item.without_length()?;
        if item.body.is_some() {
            return Ok(settings.request_of(&mut item, Value::Null));
        }
        item.spell_sampling("", &[]);
        let input: Value = if !item.texts.is_empty() {
            std::mem::take(&mut item.texts).into()
        } else if !item.prompt_token_ids.is_empty() {
            std::mem::take(&mut item.prompt_token_ids).into()
        } else {
            item.take_prompt()?.into()
        };
        let body = json!({"model": settings.model(&item), "input": input});
        Ok(settings.request_of(&mut item, body))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let body: Value = response.json(0)?;
        if let Some(error) = server_error(&body["error"]) {
            return Err(error);
        }
        // As OpenAI has it, as Ollama and Cohere do, and as a list alone.
        let vectors = [&body["data"], &body["embeddings"], &body]
            .into_iter()
            .find_map(Value::as_array)
            .ok_or("the response has no embeddings")?;
        let is_vector = |vector: &Value| match &vector["embedding"] {
            Value::Null => vector
                .as_array()
                .is_some_and(|numbers| are_numbers(numbers)),
            Value::Array(numbers) => are_numbers(numbers),
            Value::String(base64) => !base64.is_empty(),
            _ => false,
        };
        if vectors.is_empty() || !vectors.iter().all(is_vector) {
            return Err("an embedding is missing, or is no list of numbers".to_owned());
        }
        let request = response.request_json();
        let texts = texts(&request["input"]);
        if let Some(texts) = texts.filter(|texts| *texts != vectors.len()) {
            let came = vectors.len();
            return Err(format!(
                "the request has {texts} texts, and {came} embeddings came"
            ));
        }
        let usage = &body["usage"];
        let told = [&usage["prompt_tokens"], &usage["total_tokens"]]
            .into_iter()
            .find_map(Value::as_u64);
        let tokens = match told {
            Some(tokens) => Tokens::Usage(tokens),
            None => counted(&request["input"]).map_or(Tokens::Unknown, Tokens::Tokenizer),
        };
        Ok(Summary::new(tokens, Tokens::Unknown)
            .output(0)
            .metric(TEXTS, vectors.len() as f64))
    }
}

/// Whether these are numbers, or lists of them as of models that have a vector for each token.
fn are_numbers(items: &[Value]) -> bool {
    let is_one = |item: &Value| {
        let list = item.as_array();
        item.is_number() || list.is_some_and(|items| are_numbers(items))
    };
    !items.is_empty() && items.iter().all(is_one)
}

/// How many texts an input is: a list of numbers is one. `None`: it is no input of this API.
fn texts(input: &Value) -> Option<usize> {
    match input {
        Value::String(_) => Some(1),
        Value::Array(items) if items.iter().all(Value::is_number) => Some(1),
        Value::Array(items) => Some(items.len()),
        _ => None,
    }
}

/// The tokens of an input of texts, by the tokenizer of the run.
fn counted(input: &Value) -> Option<u64> {
    match input {
        Value::String(text) => tokenizer_count(text),
        Value::Array(items) => items
            .iter()
            .map(|text| tokenizer_count(text.as_str()?))
            .sum(),
        _ => None,
    }
}

export_api!(OpenaiEmbeddings);

#[cfg(test)]
mod tests {
    use super::*;

    fn body(item: Item) -> Result<Value, String> {
        let settings = Settings {
            model: "m".to_owned(),
            ..Settings::default()
        };
        OpenaiEmbeddings::request(item, &settings).map(|request| request.to_json())
    }

    fn read(input: Value, answer: Value) -> Result<Summary, String> {
        OpenaiEmbeddings::response(&Response {
            request: json!({"input": input}).to_string().as_bytes(),
            ..Response::of(&[answer.to_string().into_bytes()])
        })
    }

    #[test]
    fn the_input_is_a_text_several_or_token_ids() {
        let texts = Item {
            texts: vec!["a".to_owned(), "b".to_owned()],
            ..Item::default()
        };
        let ids = Item {
            prompt_token_ids: vec![5, 6],
            ..Item::default()
        };
        for (item, input) in [
            (Item::of_prompt("a"), json!("a")),
            (texts, json!(["a", "b"])),
            (ids, json!([5, 6])),
        ] {
            assert_eq!(body(item), Ok(json!({"model": "m", "input": input})));
        }
        let mut item = Item::of_prompt("a");
        (item.output.max, item.output.exact) = (Some(5), true);
        assert!(body(item).unwrap_err().contains("no length"));
    }

    #[test]
    fn vectors_and_tokens_are_found_however_they_are_spelled() {
        let usage = json!({"prompt_tokens": 5, "total_tokens": 5, "completion_tokens": 0});
        for (answer, tokens) in [
            (
                json!({"object": "list", "data": [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": "AAA="}], "usage": usage}),
                Tokens::Usage(5),
            ),
            (json!({"embeddings": [[0.5], [1]]}), Tokens::Unknown),
            (json!([[0.5], [1]]), Tokens::Unknown),
            (json!([[[0.5], [1]], [[2]]]), Tokens::Unknown),
        ] {
            let summary = Summary::new(tokens, Tokens::Unknown)
                .output(0)
                .metric("texts", 2.0);
            assert_eq!(read(json!(["a", "b"]), answer), Ok(summary));
        }
    }

    #[test]
    fn a_missing_vector_is_an_error() {
        let one = json!({"data": [{"embedding": [1.0]}]});
        assert_eq!(
            read(json!(["a", "b"]), one.clone()),
            Err("the request has 2 texts, and 1 embeddings came".to_owned())
        );
        assert!(read(json!([7, 8, 9]), one).is_ok());
        for answer in [
            json!({}),
            json!({"data": []}),
            json!({"data": [{"embedding": []}]}),
        ] {
            assert!(read(json!("a"), answer).is_err());
        }
        let error = json!({"error": {"message": "no model", "code": 404}});
        assert_eq!(
            read(json!("a"), error),
            Err("the server reported an error: no model (404)".to_owned())
        );
    }
}
