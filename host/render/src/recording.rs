//! One response as a file: head and body in the form in which `curl -i` writes them, for `llmuses plugin check`.

use crate::error::OutputError;
use crate::file::{NewFile, OutputFile};
use llmuses_core::backlog::PipelineStage;
use llmuses_core::exchange::Exchange;
use llmuses_stats::{RunSoFar, Sample, Sink};
use std::cell::RefCell;
use std::path::Path;

/// The file of `--record`: the first response of a command that came whole, or else the first one that failed.
#[derive(Debug)]
pub struct ResponseFile {
    file: NewFile,
    kept: RefCell<Kept>,
}

#[derive(Debug)]
enum Kept {
    Nothing,
    Failed(String),
    Whole(String),
}

impl ResponseFile {
    /// Makes the file.
    ///
    /// # Errors
    /// Where there is such a file already, or it cannot be made.
    pub fn make(path: &Path) -> Result<Self, OutputError> {
        Ok(Self {
            file: NewFile::make("--record", &OutputFile::File(path.to_owned()))?,
            kept: RefCell::new(Kept::Nothing),
        })
    }

    /// Keeps the response of `exchange`, if it is the one to be written.
    fn keep(&self, exchange: &Exchange) {
        let mut kept = self.kept.borrow_mut();
        let failed = exchange.failure.is_some();
        let wanted = match *kept {
            Kept::Nothing => true,
            Kept::Failed(_) => !failed,
            Kept::Whole(_) => false,
        };
        if !wanted {
            return;
        }
        if let Some(text) = recording(exchange) {
            *kept = match failed {
                true => Kept::Failed(text),
                false => Kept::Whole(text),
            };
        }
    }

    /// Writes the response. `false`: there was none, and there is no file.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self) -> Result<bool, OutputError> {
        match self.kept.into_inner() {
            Kept::Nothing => {
                self.file.discard();
                Ok(false)
            }
            Kept::Failed(text) | Kept::Whole(text) => self.file.write(&text).map(|()| true),
        }
    }

    /// Takes the file away again.
    pub fn discard(self) {
        self.file.discard();
    }
}

impl Sink for &ResponseFile {
    fn stage(&self) -> PipelineStage {
        PipelineStage::Totals
    }

    fn offer(&mut self, sample: &Sample, _: &RunSoFar<'_>) {
        self.keep(&sample.outcome.exchange);
    }
}

/// The response as text: of the head the status and the form of the body; of a stream the data of each event, which is
/// what a parser gets. Bytes that are not UTF-8 are replaced. `None`: no head came.
fn recording(exchange: &Exchange) -> Option<String> {
    let head = exchange.head.as_ref()?;
    let response = &exchange.response;
    let mut text = format!("HTTP/1.1 {}\r\n", head.status);
    let content_type = match response.is_streamed() {
        true => Some("text/event-stream"),
        false => head.content_type.as_deref(),
    };
    if let Some(content_type) = content_type {
        text += &format!("content-type: {content_type}\r\n");
    }
    text += "\r\n";
    for data in response.iter() {
        let data = String::from_utf8_lossy(data);
        if !response.is_streamed() {
            text += &data;
            continue;
        }
        for line in data.split('\n') {
            text += &format!("data: {line}\n");
        }
        text.push('\n');
    }
    if response.done().is_some() {
        text += "data: [DONE]\n\n";
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::clock::Moment;
    use llmuses_core::exchange::{Failure, FailureKind, ResponseHead, ResponseLog};
    use llmuses_samples::OutcomeBuilder;

    fn exchange(status: u16, events: &[&str], streamed: bool) -> Exchange {
        let mut exchange = OutcomeBuilder::at(0).build().exchange;
        exchange.head = Some(ResponseHead {
            status,
            at: Moment::default(),
            content_type: (!streamed).then(|| "application/json".into()),
            label: None,
        });
        exchange.response = ResponseLog::default();
        for event in events {
            assert!(exchange.response.push(event.as_bytes(), Moment::default()));
        }
        if streamed {
            exchange.response.set_streamed();
            exchange.response.set_done(Moment::default());
        }
        exchange
    }

    #[test]
    fn the_first_whole_response_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        let written = |offered: &[&Exchange]| {
            let file = ResponseFile::make(&path).unwrap();
            assert!(ResponseFile::make(&path).is_err());
            for exchange in offered {
                file.keep(exchange);
            }
            let is_written = file.finish().unwrap();
            assert_eq!(path.exists(), is_written);
            is_written.then(|| {
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::remove_file(&path).unwrap();
                text
            })
        };
        let mut failed = exchange(503, &["{\n}"], false);
        failed.failure = Some(Failure::new(FailureKind::HttpStatus, "status 503"));
        let mut unanswered = failed.clone();
        unanswered.head = None;
        let first = exchange(200, &["{\"a\":\n1}", "{}"], true);
        let second = exchange(200, &["x"], false);
        let of_failed = "HTTP/1.1 503\r\ncontent-type: application/json\r\n\r\n{\n}";
        let of_first = "HTTP/1.1 200\r\ncontent-type: text/event-stream\r\n\r\n\
                        data: {\"a\":\ndata: 1}\n\ndata: {}\n\ndata: [DONE]\n\n";
        assert_eq!(written(&[&unanswered]), None);
        assert_eq!(written(&[&unanswered, &failed]).as_deref(), Some(of_failed));
        let all = [&failed, &first, &second];
        assert_eq!(written(&all).as_deref(), Some(of_first));
    }
}
