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

/// The message of a prompt with images. `None`: the record has no image, or none that can be sent beside a prompt in a field
/// that the user named.
pub(crate) fn message(members: &mut Members, field: Option<&str>) -> Result<Option<Value>, String> {
    let found = IMAGES
        .iter()
        .filter(|name| Some(**name) != field)
        .find_map(|name| {
            Some((*name, members.remove(*name)?)).filter(|(_, images)| !is_none(images))
        });
    let Some((name, images)) = found else {
        return Ok(None);
    };
    let images = match images {
        Value::Array(images) => images,
        one => vec![one],
    };
    let images = images.iter().filter(|image| !is_none(image));
    let Some(places) = images.map(place).collect::<Option<Vec<String>>>() else {
        // Who names the field of the prompt may want that alone.
        return match field {
            Some(_) => Ok(None),
            None => Err(format!(
                "an image in \"{name}\" is neither the text of a path or URL nor an object with one (--field with the \
                 name of the prompt sends that alone)"
            )),
        };
    };
    let mut parts = vec![json!({"type": "text", "text": prompt_of(members, field)?})];
    for place in places {
        parts.push(json!({"type": "image_url", "image_url": {"url": place}}));
    }
    Ok(Some(json!({"role": "user", "content": parts})))
}

fn is_none(images: &Value) -> bool {
    match images {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(images) => images.iter().all(is_none),
        Value::Object(members) => members.values().all(is_none),
        _ => false,
    }
}

/// Where an image is: a path or URL, or its data. Data sets of Hugging Face have an object with the bytes in base64, and with
/// a path that may be a name alone.
fn place(image: &Value) -> Option<String> {
    let text = |name: &str| image[name].as_str().filter(|text| !text.is_empty());
    let place = match (image.as_str(), text("bytes")) {
        (Some(place), _) => place.to_owned(),
        (None, Some(data)) => format!("data:image/{};base64,{data}", kind(data)?),
        (None, None) => text("path").or(text("url"))?.to_owned(),
    };
    Some(place)
}

/// The kind of an image by the beginning of its data in base64.
fn kind(data: &str) -> Option<&'static str> {
    [
        ("iVBOR", "png"),
        ("/9j/", "jpeg"),
        ("R0lG", "gif"),
        ("UklG", "webp"),
    ]
    .into_iter()
    .find_map(|(start, kind)| data.starts_with(start).then_some(kind))
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
    fn an_image_may_be_an_object_with_its_data_or_its_path() {
        for (image, url) in [
            (
                json!({"bytes": "iVBORw0K", "path": "x.png"}),
                "data:image/png;base64,iVBORw0K",
            ),
            (json!({"bytes": null, "path": "x.png"}), "x.png"),
            (json!({"url": "http://h/x.png"}), "http://h/x.png"),
        ] {
            let record = json!({"prompt": "a", "image": image});
            let found = read::<Images>(&record).unwrap();
            assert_eq!(
                found["turns"][0]["messages"][0]["content"][1]["image_url"]["url"],
                url
            );
        }
        let mut record = json!({"ask": "a", "image": "x.png", "images": 1});
        let members = record.as_object_mut().unwrap();
        assert_eq!(message(members, Some("ask")), Ok(None));
        let mut record = json!({"ask": "a", "image": "x.png"});
        let members = record.as_object_mut().unwrap();
        let found = message(members, Some("ask")).unwrap().unwrap();
        assert_eq!(found["content"][0]["text"], "a");
    }

    #[test]
    fn a_record_without_an_image_is_a_prompt() {
        for none in [
            json!(null),
            json!(""),
            json!([]),
            json!([null]),
            json!({"bytes": null, "path": null}),
        ] {
            let record = json!({"prompt": "a", "image": none});
            let turns = Ok(json!({"turns": [{"prompt": "a"}]}));
            assert_eq!(read::<Images>(&record), turns);
        }
    }
}
