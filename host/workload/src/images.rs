//! Images that messages name by a path: they are read and sent as data URLs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llmuses_kernel_io::regular_file::read_regular;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The largest image.
const MOST_BYTES: u64 = 20 << 20;

/// Images in one folder.
#[derive(Debug)]
pub struct Images {
    /// `None`: nobody said where they are, as with a data set from a pipe.
    folder: Option<PathBuf>,
}

impl Images {
    /// Images of this folder and of those in it.
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: Some(folder.to_owned()),
        }
    }

    /// Images beside the data set in this file.
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

    /// Puts the images themselves into messages in place of their paths. Addresses and data URLs stay as they are.
    ///
    /// # Errors
    /// Where an image is outside of the folder, cannot be read, or is none.
    pub fn embed(&self, messages: &mut [Value]) -> Result<(), String> {
        for message in messages {
            let content = message.get_mut("content");
            let Some(parts) = content.and_then(Value::as_array_mut) else {
                continue;
            };
            for part in parts {
                if part.get("type").is_some_and(|kind| kind == "image_url")
                    && let Some(Value::String(url)) = part.pointer_mut("/image_url/url")
                    && !is_address(url)
                {
                    *url = self.data_url(url)?;
                }
            }
        }
        Ok(())
    }

    fn data_url(&self, path: &str) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("the image {path} cannot be read: {error}");
        let Some(folder) = &self.folder else {
            return Err(format!(
                "the image {path} of a data set from a pipe: --image-folder says where images lie"
            ));
        };
        let whole = folder.canonicalize().map_err(failed)?;
        // Links are followed before it is judged.
        let file = whole.join(path).canonicalize().map_err(failed)?;
        if !file.starts_with(&whole) {
            return Err(format!(
                "the image {path} is not in {}; --image-folder names another folder",
                folder.display()
            ));
        }
        let bytes = read_regular(&file, MOST_BYTES).map_err(failed)?;
        let kind = kind_of(&bytes).ok_or_else(|| {
            format!("the image {path} is neither PNG nor JPEG nor GIF nor WebP by its first bytes")
        })?;
        Ok(format!(
            "data:image/{kind};base64,{}",
            STANDARD.encode(bytes)
        ))
    }
}

fn is_address(url: &str) -> bool {
    ["http://", "https://", "data:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

fn kind_of(bytes: &[u8]) -> Option<&'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn embedded(folder: &Path, url: &str) -> Result<String, String> {
        let mut messages = [json!({"role": "user", "content": [
            {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": url}},
        ]})];
        Images::of(folder).embed(&mut messages)?;
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
}
