//! Prompts with images or audio, by their paths or addresses. The load tester reads the files.

use crate::record::{Members, PROMPTS, begins_with, prompt_of, with_the_rest};
use llmuses_plugin::{Conversation, Entry, Format, Head, Source, Value, data_url, json};

/// A prompt beside `image`, `images`, `image_files`, `image_path` or `image_url`.
pub(crate) struct Images;

/// `audio`, `audios`, `audio_files`, `audio_path`, `audio_file` or `audio_url`, or `file` with the name of an audio file. A
/// prompt may be beside it.
pub(crate) struct Audio;

impl Format for Images {
    const NAME: &'static str = "images";
    const DESCRIPTION: &'static str = "JSON lines or one JSON array with a prompt, and the paths or URLs of images in `image` or `images`";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        begins_with(head, |members| has(&IMAGE, members))
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        record(entry)
    }
}

impl Format for Audio {
    const NAME: &'static str = "audio";
    const DESCRIPTION: &'static str = "JSON lines or one JSON array with the paths or URLs of audio in `audio`, `audio_path` or `file`, \
                                       and a prompt or none";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        begins_with(head, |members| has(&AUDIO, members))
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        record(entry)
    }
}

/// What is sent beside text.
struct Medium {
    /// As a person calls it.
    name: &'static str,
    /// Where it is looked for, in this order.
    members: &'static [&'static str],
    /// How the base64 of a file begins, and the kind of file that does.
    beginnings: &'static [(&'static str, &'static str)],
    /// What a message has of data of this kind in base64.
    of_data: fn(&str, &str) -> Value,
    /// What a message has of a path or URL.
    of_place: fn(&str) -> Value,
}

const IMAGE: Medium = Medium {
    name: "image",
    members: &["images", "image", "image_files", "image_path", "image_url"],
    beginnings: &[
        ("iVBOR", "png"),
        ("/9j/", "jpeg"),
        ("R0lG", "gif"),
        ("UklG", "webp"),
    ],
    of_data: |kind, data| image_part(&format!("data:image/{kind};base64,{data}")),
    of_place: image_part,
};

const AUDIO: Medium = Medium {
    name: "audio file",
    members: &[
        "audios",
        "audio",
        "audio_files",
        "audio_path",
        "audio_file",
        "audio_url",
        "file",
    ],
    beginnings: &[
        ("UklG", "wav"),
        ("SUQz", "mp3"),
        ("//", "mp3"),
        ("ZkxhQ", "flac"),
        ("T2dnU", "ogg"),
        ("GkXfo", "webm"),
    ],
    of_data: audio_part,
    of_place: |place| {
        let data = data_url(place)
            .and_then(|(kind, data)| Some(audio_part(kind.strip_prefix("audio/")?, data)));
        data.unwrap_or_else(|| json!({"type": "audio_url", "audio_url": {"url": place}}))
    },
};

fn audio_part(format: &str, data: &str) -> Value {
    json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
}

fn image_part(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// Whether a record has a message with this.
fn has(medium: &Medium, members: &mut Members) -> Result<Value, String> {
    let has = medium.find(&mut members.clone(), None)?.is_some();
    let message = message(members, None)?.filter(|_| has);
    message.ok_or_else(|| format!("no {}", medium.name))
}

fn record(entry: Entry) -> Result<Conversation, String> {
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

/// The message of a prompt with images or audio. `None`: the record has neither, or none that can be sent beside a prompt in
/// a field that the user named.
pub(crate) fn message(members: &mut Members, field: Option<&str>) -> Result<Option<Value>, String> {
    let images = IMAGE.find(members, field)?;
    let audio = AUDIO.find(members, field)?;
    // To be transcribed, audio needs no prompt.
    let is_prompt = |name: &&str| members.get(*name).is_some_and(|value| !value.is_null());
    let needs_none = audio.is_some() && field.is_none() && !PROMPTS.iter().any(is_prompt);
    let media: Vec<Value> = images.into_iter().chain(audio).flatten().collect();
    if media.is_empty() {
        return Ok(None);
    }
    let mut parts = Vec::with_capacity(media.len() + 1);
    if !needs_none {
        parts.push(json!({"type": "text", "text": prompt_of(members, field)?}));
    }
    parts.extend(media);
    Ok(Some(json!({"role": "user", "content": parts})))
}

impl Medium {
    /// Takes what there is of it out of a record, as parts of a message.
    fn find(
        &self,
        members: &mut Members,
        field: Option<&str>,
    ) -> Result<Option<Vec<Value>>, String> {
        let is_it = |name: &&&str, members: &Members| {
            members.get(**name).is_some_and(|value| {
                !is_none(value) && (**name != "file" || value.as_str().is_some_and(names_audio))
            })
        };
        let mut names = self.members.iter().filter(|name| Some(**name) != field);
        let Some(name) = names.find(|name| is_it(name, members)) else {
            return Ok(None);
        };
        let media = match members.remove(*name) {
            Some(Value::Array(media)) => media,
            one => Vec::from_iter(one),
        };
        let media = media.iter().filter(|one| !is_none(one));
        match (
            media.map(|one| self.part(one)).collect::<Option<_>>(),
            field,
        ) {
            (Some(parts), _) => Ok(Some(parts)),
            // Who names the field of the prompt may want that alone.
            (None, Some(_)) => Ok(None),
            (None, None) => Err(format!(
                "an {} in \"{name}\" is neither the text of a path or URL nor an object with one (--field with the \
                 name of the prompt sends that alone)",
                self.name
            )),
        }
    }

    /// A path or URL, or the data. Data sets of Hugging Face have an object with the bytes in base64, and with a path that
    /// may be a name alone.
    fn part(&self, one: &Value) -> Option<Value> {
        let text = |name: &str| one[name].as_str().filter(|text| !text.is_empty());
        if let Some(place) = one.as_str() {
            return Some((self.of_place)(place));
        }
        match text("bytes") {
            Some(data) => Some((self.of_data)(self.kind(data)?, data)),
            None => Some((self.of_place)(text("path").or(text("url"))?)),
        }
    }

    /// The kind of a file by the beginning of its data in base64.
    fn kind(&self, data: &str) -> Option<&'static str> {
        let mut kinds = self.beginnings.iter();
        kinds.find_map(|(start, kind)| data.starts_with(start).then_some(*kind))
    }
}

/// Whether it ends as the name of an audio file does.
fn names_audio(name: &str) -> bool {
    const ENDS: [&str; 9] = [
        "wav", "mp3", "flac", "ogg", "oga", "opus", "m4a", "mp4", "webm",
    ];
    let end = name.rsplit_once('.').map(|(_, end)| end);
    end.is_some_and(|end| ENDS.iter().any(|one| end.eq_ignore_ascii_case(one)))
}

fn is_none(media: &Value) -> bool {
    match media {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(media) => media.iter().all(is_none),
        Value::Object(members) => members.values().all(is_none),
        _ => false,
    }
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

    #[test]
    fn audio_follows_the_prompt_where_there_is_one() {
        let place = |url: &str| json!({"type": "audio_url", "audio_url": {"url": url}});
        let data = |data: &str, format: &str| json!({"type": "input_audio", "input_audio": {"data": data, "format": format}});
        for (record, parts) in [
            (json!({"audio": "a.wav"}), json!([place("a.wav")])),
            (json!({"audio_path": "a"}), json!([place("a")])),
            (json!({"file": "x/a.MP3"}), json!([place("x/a.MP3")])),
            (
                json!({"audio": "https://h/a.wav"}),
                json!([place("https://h/a.wav")]),
            ),
            (
                json!({"prompt": "b", "audios": ["a.wav", "c.wav"]}),
                json!([{"type": "text", "text": "b"}, place("a.wav"), place("c.wav")]),
            ),
            (
                json!({"audio": {"bytes": "UklGRg==", "path": "a"}}),
                json!([data("UklGRg==", "wav")]),
            ),
            (
                json!({"audio": "data:audio/mp3;base64,SUQz"}),
                json!([data("SUQz", "mp3")]),
            ),
        ] {
            let turns = json!({"turns": [{"messages": [{"role": "user", "content": parts}]}]});
            assert_eq!(read::<Audio>(&record), Ok(turns), "{record}");
            assert!(Audio::recognises(&head(&record.to_string())), "{record}");
            assert!(!Images::recognises(&head(&record.to_string())), "{record}");
        }
        for other in [
            json!({"prompt": "b", "file": "a.txt"}),
            json!({"prompt": "b", "audio": null}),
            json!({"prompt": "b", "audio": 1}),
        ] {
            assert!(!Audio::recognises(&head(&other.to_string())), "{other}");
        }
        assert!(read::<Audio>(&json!({"audio": {"array": [0.5]}})).is_err());
    }
}
