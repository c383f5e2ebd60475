//! Prompts with images, by their paths or addresses. The load tester reads the files.

use crate::record::{Members, begins_with, prompt_of, with_the_rest};
use llmuses_plugin::{Conversation, Entry, Format, Head, Source, Value, json};

/// A prompt beside `image`, `images`, `image_files`, `image_path` or `image_url`.
pub(crate) struct Images;

const IMAGES: [&str; 5] = ["images", "image", "image_files", "image_path", "image_url"];

impl Format for Images {
    const NAME: &'static str = "images";
    const DESCRIPTION: &'static str = "JSON lines or one JSON array with a prompt, and the paths or URLs of images in `image` or `images`";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        begins_with(head, |members| {
            message(members, None)?.ok_or_else(|| "no image".to_owned())
        })
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let mut members: Members = entry.json()?;
        let message = message(&mut members, None).map_err(|reason| entry.error(reason))?;
        let conversation = match message {
            Some(message) => Conversation::of_messages(vec![message]),
            None => {
                let prompt = prompt_of(&mut members, None).map_err(|reason| entry.error(reason))?;
                Conversation::of_prompt(prompt)
            }
        };
        with_the_rest(conversation, &mut members).map_err(|reason| entry.error(reason))
    }
}

/// The message of a prompt with images. `None`: the record has no image.
pub(crate) fn message(members: &mut Members, field: Option<&str>) -> Result<Option<Value>, String> {
    fn is_none(images: &Value) -> bool {
        match images {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(images) => images.iter().all(is_none),
            _ => false,
        }
    }
    // Who names the field of the prompt wants that alone.
    if field.is_some() {
        return Ok(None);
    }
    let found = IMAGES.iter().find_map(|name| {
        Some((*name, members.remove(*name)?)).filter(|(_, images)| !is_none(images))
    });
    let Some((name, images)) = found else {
        return Ok(None);
    };
    let images = match images {
        Value::Array(images) => images,
        one => vec![one],
    };
    let mut parts = vec![json!({"type": "text", "text": prompt_of(members, field)?})];
    for image in images {
        // Data sets of Hugging Face have an object with the path.
        let place = ["path", "url"]
            .iter()
            .find_map(|name| image[*name].as_str())
            .or(image.as_str());
        let Some(place) = place else {
            return Err(format!(
                "an image in \"{name}\" is not the text of a path or URL (--field with the name of the prompt sends the prompt alone)"
            ));
        };
        parts.push(json!({"type": "image_url", "image_url": {"url": place}}));
    }
    Ok(Some(json!({"role": "user", "content": parts})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{head, read};

    #[test]
    fn images_follow_the_prompt() {
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let record =
            json!({"prompt": "What?", "images": ["a.png", "https://x/b.png"], "max_tokens": 3});
        assert_eq!(
            read::<Images>(&record),
            Ok(json!({"turns": [{
                "messages": [{"role": "user", "content": [
                    {"type": "text", "text": "What?"}, image("a.png"), image("https://x/b.png"),
                ]}],
                "output_tokens": 3,
            }]}))
        );
        assert!(Images::recognises(&head(&record.to_string())));
        assert!(!Images::recognises(&head("{\"prompt\": \"a\"}")));
        assert!(read::<Images>(&json!({"prompt": "a", "image": 1})).is_err());
    }

    #[test]
    fn a_record_without_an_image_is_a_prompt() {
        for none in [json!(null), json!(""), json!([]), json!([null])] {
            let record = json!({"prompt": "a", "image": none});
            let turns = Ok(json!({"turns": [{"prompt": "a"}]}));
            assert_eq!(read::<Images>(&record), turns);
        }
    }
}
