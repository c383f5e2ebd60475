//! What a request asked, where its response does not tell how long that was.

use crate::json::from_str;
use crate::message::Text;

/// The content of each message of the request; `None` where it has no text that could be counted.
pub(super) fn prompt_texts(request: &str) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        messages: Option<Vec<Asked<'a>>>,
        #[serde(borrow, default)]
        prompt: Text<'a>,
    }

    let request: Request<'_> = from_str(request).ok()?;
    match request.messages {
        Some(messages) => Some(contents(&messages)),
        None if request.prompt.is_empty() => None,
        None => Some(vec![request.prompt.as_str().to_owned()]),
    }
}

/// A message of a request.
#[derive(serde::Deserialize)]
pub(crate) struct Asked<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
}

/// What the messages of a request say, one text each.
pub(crate) fn contents(messages: &[Asked<'_>]) -> Vec<String> {
    messages
        .iter()
        .map(|message| message.content.as_str().to_owned())
        .collect()
}
