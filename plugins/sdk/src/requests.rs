//! From prompts to request bodies: the loop that every parser gets unless it brings its own.

use crate::parser::PROMPT_ONLY;
use crate::{Entries, Options, Parser, Source, Value, dataset_items, dataset_lines};
use std::marker::PhantomData;

/// Request bodies, made one after another as they are asked for.
///
/// Every iterator over `Result<Value, String>` is one, with nothing passed over. Whoever counts what was
/// passed over implements the trait directly.
pub trait Requests {
    /// The next body, or `None` at the end, after which this is not called again.
    ///
    /// An error stands for exactly one entry of which no request could be made; the next call goes on behind.
    fn next_body(&mut self) -> Option<Result<Value, String>>;

    /// How many entries were passed over on purpose so far, by reason.
    fn skipped(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

impl<I: Iterator<Item = Result<Value, String>>> Requests for I {
    fn next_body(&mut self) -> Option<Result<Value, String>> {
        self.next()
    }
}

/// Counts what was passed over, by reason.
#[derive(Debug, Clone, Default)]
pub struct Skipped(Vec<(&'static str, u64)>);

impl Skipped {
    /// Counts one more for this reason.
    pub fn count(&mut self, reason: &'static str) {
        // A handful of reasons at most, so that a list is all it takes.
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.0.push((reason, 1)),
        }
    }

    /// The counts, in the order in which the reasons first came up.
    pub fn to_list(&self) -> Vec<(String, u64)> {
        self.0
            .iter()
            .map(|&(reason, count)| (reason.to_owned(), count))
            .collect()
    }
}

/// Begins as [`Parser::build_request`] promises.
pub(crate) fn begin<P: Parser>(mut options: Options) -> Result<Box<dyn Requests>, String> {
    // A prompt was chosen by hand, so that the limits of length do not apply to it.
    if let Some(prompt) = options.prompt.take() {
        return Ok(Box::new(std::iter::once(Ok(P::body(&options, prompt)))));
    }
    let entries = match (P::SOURCE, options.has_dataset) {
        (Source::PromptOnly, false) => return Err("it needs a prompt (--prompt)".to_owned()),
        (Source::PromptOnly, true) => return Err(PROMPT_ONLY.to_owned()),
        (_, false) => {
            return Err("it needs a prompt (--prompt) or a data set (--dataset)".to_owned());
        }
        (Source::Lines | Source::JsonLines, true) => dataset_lines()?,
        (Source::JsonArray, true) => dataset_items()?,
        (Source::Json, true) => return Err("only a format reads JSON of either kind".to_owned()),
    };
    Ok(Box::new(requests_from::<P>(options, entries)))
}

/// The requests of the parser `P` out of these entries: those whose prompt has a wanted length, one each.
pub fn requests_from<P: Parser>(options: Options, entries: Entries) -> impl Requests {
    FromEntries::<P> {
        options,
        entries,
        skipped: Skipped::default(),
        parser: PhantomData,
    }
}

struct FromEntries<P> {
    options: Options,
    entries: Entries,
    skipped: Skipped,
    parser: PhantomData<P>,
}

impl<P: Parser> Requests for FromEntries<P> {
    fn next_body(&mut self) -> Option<Result<Value, String>> {
        loop {
            let entry = match self.entries.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            if P::SOURCE == Source::JsonLines && entry.text().trim().is_empty() {
                self.skipped.count("blank");
                continue;
            }
            let prompt = match P::prompt_of(entry) {
                Ok(prompt) => prompt,
                Err(error) => return Some(Err(error)),
            };
            match self.options.unwanted(&prompt) {
                Some(reason) => self.skipped.count(reason),
                None => return Some(Ok(P::body(&self.options, prompt))),
            }
        }
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.skipped.to_list()
    }
}

/// A batch is no longer filled beyond this many bytes: long prompts would not fit into what one call may hand over.
const BATCH_BYTES: usize = 1 << 20;

/// Requests in batches, as the contract wants them: what is good comes first, and an error waits for the
/// call after, so that it always stands alone.
pub(crate) struct Batches {
    requests: Box<dyn Requests>,
    waiting: Option<String>,
    ended: bool,
}

impl Batches {
    pub(crate) fn new(requests: Box<dyn Requests>) -> Self {
        Self {
            requests,
            waiting: None,
            ended: false,
        }
    }

    /// At most `max` further bodies as JSON text; none at the end.
    pub(crate) fn next(&mut self, max: u32) -> Result<Vec<String>, String> {
        if let Some(error) = self.waiting.take() {
            return Err(error);
        }
        let max = max as usize;
        // Not reserved at once: `max` may be far more than there is.
        let mut bodies: Vec<String> = Vec::new();
        let mut bytes = 0;
        while bodies.len() < max && bytes < BATCH_BYTES && !self.ended {
            let body = match self.requests.next_body() {
                None => {
                    self.ended = true;
                    break;
                }
                Some(body) => {
                    body.and_then(|body| serde_json::to_string(&body).map_err(|e| e.to_string()))
                }
            };
            match body {
                Ok(body) => {
                    bytes += body.len();
                    bodies.push(body);
                }
                Err(error) if bodies.is_empty() => return Err(error),
                Err(error) => {
                    self.waiting = Some(error);
                    break;
                }
            }
        }
        Ok(bodies)
    }

    pub(crate) fn skipped(&self) -> Vec<(String, u64)> {
        self.requests.skipped()
    }
}

#[cfg(test)]
mod tests;
