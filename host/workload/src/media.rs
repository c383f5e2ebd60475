//! Images and audio that messages name by a path: they are read and sent themselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llmuses_kernel_io::regular_file::read_regular;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The largest file.
const MOST_BYTES: u64 = 20 << 20;

/// Images and audio in one folder.
#[derive(Debug)]
pub struct Media {
    /// `None`: nobody said where they are, as with a data set from a pipe.
    folder: Option<PathBuf>,
}

impl Media {
    /// Files of this folder and of those in it.
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: Some(folder.to_owned()),
        }
    }

    /// Files beside the data set in this file.
    pub fn beside(dataset: &Path) -> Self {
        let is_file = dataset.is_file();
        let folder = dataset.parent().filter(|_| is_file);
        Self {
            folder: folder.map(|folder| match folder.as_os_str().is_empty() {
                true => PathBuf::from("."),
                false => folder.to_owned(),
            }),
        }
    }

    /// Puts the files themselves into messages in place of their paths: images as data URLs, audio as `input_audio`. Addresses
    /// and data URLs stay as they are.
    ///
    /// # Errors
    /// Where a file is outside of the folder, cannot be read, or is neither an image nor audio of a known kind.
    pub fn embed(&self, messages: &mut [Value]) -> Result<(), String> {
        for message in messages {
            let content = message.get_mut("content");
            let Some(parts) = content.and_then(Value::as_array_mut) else {
                continue;
            };
            for part in parts {
                if let Some(path) = path_in(part, "image_url") {
                    let url = self.image(path)?;
                    part["image_url"]["url"] = url.into();
                } else if let Some(path) = path_in(part, "audio_url") {
                    *part = self.audio(path)?;
                }
            }
        }
        Ok(())
    }

    /// The data URL of an image.
    fn image(&self, path: &str) -> Result<String, String> {
        let name = format!("the image {path}");
        let bytes = self.read(&name, path)?;
        let kind = image_kind(&bytes).ok_or_else(|| {
            format!("{name} is neither PNG nor JPEG nor GIF nor WebP by its first bytes")
        })?;
        Ok(format!(
            "data:image/{kind};base64,{}",
            STANDARD.encode(bytes)
        ))
    }

    /// The part of a message with the audio in this file.
    fn audio(&self, path: &str) -> Result<Value, String> {
        let name = format!("the audio file {path}");
        let bytes = self.read(&name, path)?;
        let format = audio_format(&bytes).ok_or_else(|| {
            format!(
                "{name} is neither WAV nor MP3 nor FLAC nor Ogg nor MP4 nor WebM by its first bytes"
            )
        })?;
        let audio = json!({"data": STANDARD.encode(bytes), "format": format});
        Ok(json!({"type": "input_audio", "input_audio": audio}))
    }

    fn read(&self, name: &str, path: &str) -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| format!("{name} cannot be read: {error}");
        let Some(folder) = &self.folder else {
            return Err(format!(
                "{name} of a data set from a pipe: --image-folder says where images and audio lie"
            ));
        };
        let whole = folder.canonicalize().map_err(failed)?;
        // Links are followed before it is judged.
        let file = whole.join(path).canonicalize().map_err(failed)?;
        if !file.starts_with(&whole) {
            return Err(format!(
                "{name} is not in {}; --image-folder names another folder",
                folder.display()
            ));
        }
        read_regular(&file, MOST_BYTES).map_err(failed)
    }
}

/// The path that a part of this type names. `None`: it is another part, or has an address or data.
fn path_in<'a>(part: &'a Value, kind: &str) -> Option<&'a str> {
    let place = part[kind]["url"].as_str()?;
    (part["type"] == kind && !is_address(place)).then_some(place)
}

fn is_address(url: &str) -> bool {
    ["http://", "https://", "data:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

fn image_kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("webp"),
        _ => None,
    }
}

/// The format of audio as OpenAI's `input_audio` calls it.
fn audio_format(bytes: &[u8]) -> Option<&'static str> {
    let at = |start: usize, text: &[u8]| bytes.get(start..start + text.len()) == Some(text);
    match bytes {
        _ if at(0, b"RIFF") && at(8, b"WAVE") => Some("wav"),
        _ if at(0, b"fLaC") => Some("flac"),
        _ if at(0, b"OggS") => Some("ogg"),
        _ if at(4, b"ftyp") => Some("m4a"),
        _ if at(0, b"\x1a\x45\xdf\xa3") => Some("webm"),
        _ if at(0, b"ID3") => Some("mp3"),
        // A frame of MPEG audio, layer 3: eleven bits of one, the version, the layer.
        [0xff, second, ..] if second & 0xe6 == 0xe2 => Some("mp3"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(folder: &Path, url: &str) -> Result<String, String> {
        let mut messages = [json!({"role": "user", "content": [
            {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": url}},
        ]})];
        Media::of(folder).embed(&mut messages)?;
        let url = &messages[0]["content"][1]["image_url"]["url"];
        Ok(url.as_str().unwrap().to_owned())
    }

    #[test]
    fn a_path_becomes_the_image_and_an_address_stays() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), b"\x89PNG").unwrap();
        std::fs::write(folder.path().join("b.txt"), "text").unwrap();
        let embedded = |url: &str| embedded(folder.path(), url);
        assert_eq!(
            embedded("a.png").as_deref(),
            Ok("data:image/png;base64,iVBORw==")
        );
        for url in ["https://x/a.png", "data:image/png;base64,AAAA"] {
            assert_eq!(embedded(url).as_deref(), Ok(url));
        }
        for (url, said) in [
            ("b.txt", "neither PNG"),
            ("c.png", "the image c.png cannot be read: No such file"),
            ("/etc/passwd", "is not in"),
            ("file:///etc/passwd", "cannot be read"),
        ] {
            let error = embedded(url).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_folder() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = other.path().join("a.png");
        std::fs::write(&secret, b"\x89PNG").unwrap();
        std::os::unix::fs::symlink(&secret, folder.path().join("a.png")).unwrap();
        let error = embedded(folder.path(), "a.png").unwrap_err();
        assert!(error.contains("--image-folder"), "{error}");
    }

    #[test]
    fn a_path_becomes_the_audio_and_an_address_stays() {
        let folder = tempfile::tempdir().unwrap();
        let embedded = |url: &str| {
            let part = json!({"type": "audio_url", "audio_url": {"url": url}});
            let mut messages = [json!({"role": "user", "content": [part]})];
            Media::of(folder.path()).embed(&mut messages)?;
            Ok::<Value, String>(messages[0]["content"][0].take())
        };
        for (content, format) in [
            (&b"RIFF\0\0\0\0WAVE"[..], "wav"),
            (b"\xff\xfb\x90\x64", "mp3"),
            (b"ID3\x04", "mp3"),
            (b"fLaC", "flac"),
            (b"OggS", "ogg"),
            (b"\0\0\0\x20ftypM4A ", "m4a"),
            (b"\x1a\x45\xdf\xa3", "webm"),
        ] {
            std::fs::write(folder.path().join("a"), content).unwrap();
            let audio = json!({"data": STANDARD.encode(content), "format": format});
            assert_eq!(
                embedded("a"),
                Ok(json!({"type": "input_audio", "input_audio": audio}))
            );
        }
        let url = "https://x/a.wav";
        assert_eq!(embedded(url).unwrap()["audio_url"]["url"], url);
        std::fs::write(folder.path().join("a"), "RIFF").unwrap();
        for (path, said) in [
            ("a", "the audio file a is neither WAV"),
            ("b", "the audio file b cannot be read: No such file"),
            ("/etc/passwd", "is not in"),
        ] {
            let error = embedded(path).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
