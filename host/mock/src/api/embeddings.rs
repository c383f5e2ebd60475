//! OpenAI's embeddings.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Asked, Call, Facts, Failure, Form, openai};
use crate::config::UsageMode;
use crate::prompt::Prompts;

/// `/v1/embeddings`
#[derive(Debug)]
pub(super) struct Embeddings;

/// The length of a vector where the request does not say: short, since nobody looks at it.
const DIMENSIONS: usize = 32;

/// The longest vector.
const MOST_DIMENSIONS: usize = 16_384;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    #[serde(borrow)]
    input: Option<Prompts<'a>>,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

impl Api for Embeddings {
    fn has(&self, path: &str) -> bool {
        path == "/v1/embeddings"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let prompts = body.input.unwrap_or_default().0;
        if prompts.is_empty() {
            return Err("There is no input.".to_owned());
        }
        let dimensions = body.dimensions.unwrap_or(DIMENSIONS);
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(format!(
                "dimensions must lie between 1 and {MOST_DIMENSIONS}."
            ));
        }
        let is_base64 = match body.encoding_format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => return Err("encoding_format must be float or base64.".to_owned()),
        };
        Asked {
            prompts,
            choices: 1,
            model: body.model.unwrap_or_else(|| "mock".to_owned()),
            stream: false,
            length: None,
            reasons: false,
            form: Box::new(Vectors {
                dimensions,
                is_base64,
            }),
        }
        .check()
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        openai::failed(failure)
    }
}

/// How the answer looks.
#[derive(Debug)]
struct Vectors {
    dimensions: usize,
    is_base64: bool,
}

impl Vectors {
    /// Numbers between -0.5 and 0.5, others for each input.
    fn vector(&self, input: u64) -> Vec<f32> {
        (0..self.dimensions as u64)
            .map(|place| {
                let number = (input + 1) * 31 + place * 17;
                (number % 97) as f32 / 97.0 - 0.5
            })
            .collect()
    }

    fn embedding(&self, input: u64) -> Value {
        let vector = self.vector(input);
        if !self.is_base64 {
            return json!(vector);
        }
        let bytes: Vec<u8> = vector
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        base64(&bytes).into()
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            text.push(match digit <= three.len() {
                true => char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]),
                false => '=',
            });
        }
    }
    text
}

impl Form for Vectors {
    fn plain(&mut self, facts: &Facts) -> String {
        let data: Vec<Value> = (0..facts.choices)
            .map(|index| {
                json!({"object": "embedding", "index": index, "embedding": self.embedding(index)})
            })
            .collect();
        let mut answer = json!({
            "id": format!("embd-{}", facts.id),
            "object": "list",
            "created": facts.created,
            "model": facts.model,
            "data": data,
        });
        if facts.usage != UsageMode::Off {
            let tokens = facts.prompt_tokens;
            answer["usage"] =
                json!({"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0});
        }
        answer.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
