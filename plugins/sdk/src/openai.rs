//! OpenAI's chat completions, and what other servers make of them.

mod asked;
mod chunk;
mod reply;
mod request;

use crate::message::{Kind, Message, Transcript, choice_number, cleaned, leniently, read};
use crate::repeats::Repeats;
use crate::shape::Shapes;
use crate::usage::{Reading, Usage};
use crate::{Response, Summary, log};
use asked::prompt_texts;
pub(crate) use asked::{Asked, contents};
use chunk::{Choice, Chunk};
pub use request::{body, completion_request, request};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Reads one finished response, for [`Api::response`](crate::Api::response): all that [`parse`] reads, which of the
/// outputs carry the answer, the tokens so far where the server reports them with each chunk (`continuous_usage_stats`
/// of vLLM), why the answer ended, and the message for the next turn where it is wanted.
///
/// # Errors
/// As [`parse`].
pub fn response(
    response: &Response<'_>,
    count: impl Fn(&str) -> Option<u64>,
) -> Result<Summary, String> {
    // Only the prompt is read out of it, and only where nobody else counted that.
    let request = std::str::from_utf8(response.request).unwrap_or_default();
    let (summary, details) = read_all(response.events, request, &count)?;
    let mut summary = summary.answers(details.answers);
    if let Some(tokens) = details.tokens_so_far {
        summary = summary.tokens_so_far(tokens);
    }
    if let Some(reason) = details.finish_reason {
        summary = summary.finish_reason(reason);
    }
    if response.wants_reply {
        let said = transcript(
            response.events,
            &details.outputs,
            &mut Shapes::new(),
            details.is_repeating,
        );
        summary = summary.reply(reply::of(said.answer(), response.events));
    }
    Ok(summary)
}

/// Reads one finished response: the chunks of a stream, or the one body of a plain response, of chat
/// completions or of the older completions.
///
/// Output is text, reasoning, a refusal or a part of a tool call that is not empty. What the server reports
/// as `usage` wins; a side of which it reports nothing is counted with `count`, which a parser gets from
/// [`tokenizer_count`](crate::tokenizer_count). That text is put together only then. The summary also has
/// the metrics `cached_tokens` and `reasoning_tokens` where the server reports them, and
/// `hidden_reasoning_tokens` where reasoning was counted and did not come.
///
/// Where each chunk repeats the text before it, only one that adds to it is output, and the text is counted
/// once. The whole message once more at the end of a stream is no output.
///
/// # Errors
/// Where a response is not a JSON object (the text has its number, from 1, and the column), or where one reports
/// an error. A response without output is no error here: the host says what becomes of it.
pub fn parse(
    responses: &[Vec<u8>],
    request: &str,
    count: impl Fn(&str) -> Option<u64>,
) -> Result<Summary, String> {
    read_all(responses, request, &count).map(|(summary, _)| summary)
}

/// What there is to know of a response beside counts and outputs.
#[derive(Debug, PartialEq)]
struct Details {
    /// Responses that carry output, and no more than what was said before.
    outputs: Vec<u32>,
    /// Whether each of them repeats the text before it.
    is_repeating: bool,
    /// Outputs that carry the answer.
    answers: Vec<u32>,
    /// As many as there are outputs. `None`: not every output came with a number.
    tokens_so_far: Option<Vec<u32>>,
    finish_reason: Option<String>,
}

/// As [`parse`], but not generic, so that all the reading of JSON is compiled once, in this crate.
fn read_all(
    responses: &[Vec<u8>],
    request: &str,
    count: &dyn Fn(&str) -> Option<u64>,
) -> Result<(Summary, Details), String> {
    leniently(responses, |responses| {
        read_chunks(responses, request, count, Shapes::new())
    })
}

/// Reads all chunks, those of a known shape without a look at their JSON.
fn read_chunks<'a>(
    responses: &'a [Vec<u8>],
    request: &str,
    count: &dyn Fn(&str) -> Option<u64>,
    mut shapes: Shapes<'a>,
) -> Result<(Summary, Details), String> {
    let mut reading = Reading::default();
    let mut seen = Seen::default();
    if responses.len() < 2 {
        // One response repeats nothing.
        seen.repeats.disprove();
    }
    let mut details = Details {
        outputs: Vec::new(),
        is_repeating: false,
        answers: Vec::new(),
        tokens_so_far: Some(Vec::new()),
        finish_reason: None,
    };
    for ((index, response), number) in responses.iter().enumerate().zip(0_u32..) {
        if let Some(piece) = shapes.recognize(response) {
            reading.outputs.push(number);
            if piece.kind == Kind::Text {
                details.answers.push(number);
            }
            details.tokens_so_far = None;
            seen.note_choice(piece.choice);
            seen.add(piece.kind, piece.text.len());
            if seen.repeats.is_open() {
                let text = Cow::Borrowed(piece.text);
                seen.repeats.note(number, piece.choice, piece.kind, text);
            }
            continue;
        }
        let Some(chunk) = read::<Chunk<'_>>(responses, index)? else {
            continue;
        };
        if let Some(error) = chunk.failure() {
            return Err(error);
        }
        for usage in chunk.usages() {
            reading.report(usage);
        }
        let choices = chunk.choices.as_slice();
        if let Some(reason) = choices.first().map(|choice| choice.finish_reason.as_str())
            && !reason.is_empty()
        {
            details.finish_reason = Some(reason.to_owned());
        }
        let by_part = choices.iter().any(Choice::has_part);
        // The whole message, behind the parts of it.
        let is_once_more = seen.by_part && !by_part;
        if is_once_more || !choices.iter().any(Choice::has_output) {
            continue;
        }
        seen.by_part |= by_part;
        reading.outputs.push(number);
        if choices.iter().any(Choice::has_answer) {
            details.answers.push(number);
        }
        let so_far = chunk.usages().filter_map(Usage::completion).last();
        details.tokens_so_far = details
            .tokens_so_far
            .zip(so_far.and_then(|tokens| u32::try_from(tokens).ok()))
            .map(|(mut all, tokens)| {
                all.push(tokens);
                all
            });
        seen.add_chunk(number, choices);
        if let Some((choice, kind, text)) = chunk.only_text() {
            shapes.learn(response, choice, kind, text);
        }
    }
    let repeats = seen.repeats.found().map(<[u32]>::to_vec);
    if let Some(idle) = &repeats {
        say_that_it_repeats();
        reading.outputs.retain(|index| !idle.contains(index));
        details.answers.retain(|index| !idle.contains(index));
        details.tokens_so_far = None;
    } else if seen.may_end_with_all(reading.outputs.len())
        && let Some((last, before)) = reading.outputs.split_last()
    {
        let all = transcript(responses, before, &mut shapes, false);
        if transcript(responses, &[*last], &mut shapes, false).says_again(&all) {
            reading.outputs.pop();
            details
                .answers
                .retain(|index| reading.outputs.last() >= Some(index));
            details.tokens_so_far = None;
        }
    }
    let outputs = reading.outputs.clone();
    let is_repeating = repeats.is_some();
    details.outputs.clone_from(&outputs);
    details.is_repeating = is_repeating;
    let hidden = reading.hidden_reasoning(|| {
        seen.has_reasoning
            || transcript(responses, &outputs, &mut shapes, is_repeating).has_tagged_reasoning()
    });
    // A plain response has no tokens so far, and numbers that fall are none.
    details.tokens_so_far = details
        .tokens_so_far
        .filter(|tokens| tokens.len() > 1 && tokens.is_sorted())
        // Where reasoning is counted apart, these leave it out.
        .filter(|_| !reading.counts_reasoning_apart());
    let choices = seen.choices.len();
    let summary = reading.finish(
        hidden,
        || prompt_texts(request),
        || transcript(responses, &outputs, &mut shapes, is_repeating).into_texts(),
        count,
    );
    let summary = match choices > 1 && responses.len() > 1 {
        true => {
            say_that_choices_are_several();
            summary.metric("choices", choices as f64)
        }
        false => summary,
    };
    Ok((summary, details))
}

/// Says once that no time per token is told.
fn say_that_choices_are_several() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        log::warn(
            "several answers came in one stream (`n`, or several prompts): its time per output token and its \
             inter-token latency are those of no answer, and are not told",
        );
    }
}

/// Says once that a server sends the text so far with each chunk.
fn say_that_it_repeats() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        log::warn(
            "each chunk of the server repeats the text before it; that text is counted once, and only a chunk \
             that adds to it is output",
        );
    }
}

/// What the chunks with output have shown so far.
#[derive(Default)]
struct Seen<'a> {
    repeats: Repeats<'a>,
    /// A chunk has brought a part of a message, rather than a whole one.
    by_part: bool,
    has_reasoning: bool,
    /// The numbers of the answers.
    choices: Vec<u64>,
    /// Bytes of reasoning and of all else, in all chunks and in the last one.
    total: [usize; 2],
    last: [usize; 2],
}

impl Seen<'_> {
    fn note_choice(&mut self, choice: u64) {
        /// So many are told apart.
        const MOST: usize = 128;
        if self.choices.last() != Some(&choice)
            && self.choices.len() < MOST
            && !self.choices.contains(&choice)
        {
            self.choices.push(choice);
        }
    }

    fn add(&mut self, kind: Kind, size: usize) {
        self.last = match kind {
            Kind::Reasoning => [size, 0],
            Kind::Text => [0, size],
        };
        self.has_reasoning |= kind == Kind::Reasoning;
        self.total[0] += self.last[0];
        self.total[1] += self.last[1];
    }

    fn add_chunk(&mut self, number: u32, choices: &[Choice<'_>]) {
        self.last = [0, 0];
        for (place, choice) in choices.iter().enumerate() {
            let [reasoning, all] = choice.sizes();
            if all > 0 {
                self.note_choice(choice_number(choice.index, place));
            }
            self.last[0] += reasoning;
            self.last[1] += all - reasoning;
            if !self.repeats.is_open() {
                continue;
            }
            let Some([text, reasoning]) = choice.two_texts() else {
                self.repeats.disprove();
                continue;
            };
            for (kind, text) in [(Kind::Text, text), (Kind::Reasoning, reasoning)] {
                if !text.is_empty() && self.repeats.is_open() {
                    let choice = choice_number(choice.index, place);
                    let text = Cow::Owned(text.into_bytes());
                    self.repeats.note(number, choice, kind, text);
                }
            }
        }
        self.has_reasoning |= self.last[0] > 0;
        self.total[0] += self.last[0];
        self.total[1] += self.last[1];
    }

    /// Whether the last of so many chunks is as long as all before it together, so that it may say all of it
    /// again.
    fn may_end_with_all(&self, outputs: usize) -> bool {
        let [reasoning, text] = self.last;
        let is_text_again = text > 0 && text * 2 >= self.total[1];
        let is_reasoning_again = reasoning == 0 || reasoning * 2 >= self.total[0];
        outputs >= 3 && is_text_again && is_reasoning_again
    }
}

/// Adds what each choice of a chunk says.
fn add_chunk(transcript: &mut Transcript, chunk: &Chunk<'_>) {
    let nothing = Message::default();
    for (place, choice) in chunk.choices.as_slice().iter().enumerate() {
        let message = choice.message().unwrap_or(&nothing);
        transcript.add(choice_number(choice.index, place), message, choice.text());
    }
}

/// What each choice says, out of the responses that carried output.
fn transcript<'a>(
    responses: &'a [Vec<u8>],
    outputs: &[u32],
    shapes: &mut Shapes<'a>,
    is_repeating: bool,
) -> Transcript {
    let mut transcript = Transcript::new(is_repeating);
    for &index in outputs {
        let index = index as usize;
        if let Some(piece) = shapes.recognize(&responses[index]) {
            transcript.add_text(piece.choice, piece.kind, &piece.text());
            continue;
        }
        // These were read before, so that there is nothing new to report.
        match read::<Chunk<'_>>(responses, index) {
            Ok(Some(chunk)) => {
                if let Some((choice, kind, text)) = chunk.only_text() {
                    shapes.learn(&responses[index], choice, kind, text);
                }
                add_chunk(&mut transcript, &chunk);
            }
            Ok(None) => {}
            Err(_) => {
                let cleaned = [cleaned(&responses[index])];
                if let Ok(Some(chunk)) = read::<Chunk<'_>>(&cleaned, 0) {
                    add_chunk(&mut transcript, &chunk);
                }
            }
        }
    }
    transcript
}

#[cfg(test)]
mod tests;
