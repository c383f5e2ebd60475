//! A form with a file: `multipart/form-data` (RFC 7578).

use llmuses_plugin::{Request, Value};

/// What separates the parts, unless a file has it in it.
const BOUNDARY: &str = "llmuses-form-boundary";

/// A form.
pub(super) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    /// A form whose boundary is not in `file`.
    pub(super) fn beside(file: &[u8]) -> Self {
        let has = |boundary: &str| {
            file.windows(boundary.len())
                .any(|part| part == boundary.as_bytes())
        };
        let mut boundary = BOUNDARY.to_owned();
        while has(&boundary) {
            boundary.push('x');
        }
        Self {
            boundary,
            body: Vec::with_capacity(file.len() + 1024),
        }
    }

    /// A field. A list is as many fields, and an object is its text as JSON.
    pub(super) fn field(&mut self, name: &str, value: &Value) {
        match value {
            Value::Array(values) => {
                let name = format!("{}[]", name.trim_end_matches("[]"));
                for value in values {
                    self.field(&name, value);
                }
            }
            Value::String(text) => self.part(name, "", text.as_bytes()),
            other => self.part(name, "", other.to_string().as_bytes()),
        }
    }

    /// A file.
    pub(super) fn file(&mut self, name: &str, file_name: &str, kind: &str, content: &[u8]) {
        self.part(
            name,
            &format!("; filename=\"{file_name}\"\r\nContent-Type: {kind}"),
            content,
        );
    }

    fn part(&mut self, name: &str, more: &str, content: &[u8]) {
        let name = name.replace(['"', '\r', '\n'], "_");
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n",
            self.boundary
        );
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(content);
        self.body.extend_from_slice(b"\r\n");
    }

    pub(super) fn into_request(mut self) -> Request {
        let end = format!("--{}--\r\n", self.boundary);
        self.body.extend_from_slice(end.as_bytes());
        Request::new(
            self.body,
            format!("multipart/form-data; boundary={}", self.boundary),
        )
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// Whether a form of this module has a field with one of these values, before its file.
pub(super) fn has(form: &[u8], name: &str, values: &[&str]) -> bool {
    let fields = &form[..find(form, FILE_NAME).unwrap_or(form.len())];
    values.iter().any(|value| {
        let field = format!("form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        find(fields, field.as_bytes()).is_some()
    })
}

/// Begins the name of the file in the head of its part.
const FILE_NAME: &[u8] = b"; filename=\"";

/// What follows the head of the file in a form of this module: it is the last part.
pub(super) fn file(form: &[u8]) -> Option<&[u8]> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let rest = &form[find(form, FILE_NAME)?..];
    Some(&rest[find(rest, HEAD_END)? + HEAD_END.len()..])
}
