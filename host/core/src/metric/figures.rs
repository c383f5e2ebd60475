//! The figures of a run as a whole.

use super::{Better, Live, Unit};
use crate::exchange::{CHOICES, HIDDEN_REASONING};

/// A row of the table: a figure of a run as a whole.
#[derive(Debug)]
pub struct FigureRow {
    /// The name in flags (`--fail-if`), in documents, and in the rows of Weights & Biases.
    pub name: &'static str,
    /// The name in a table.
    pub title: &'static str,
    /// How it is worked out.
    pub formula: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// How it is summed up.
    pub sum: Sum,
    /// Whether it is compared and may be bounded.
    pub compared: bool,
    /// Whether it is one of the headline figures of a page.
    pub headline: bool,
    /// Whether a summary tells it beside the specified block and the lines that are its own.
    pub further: bool,
    /// Its counter for Prometheus.
    pub live: Option<Live>,
}

/// The name under which plugins report how many tokens of a prompt the server took from its cache.
pub const CACHED_TOKENS: &str = "cached_tokens";

/// The name under which plugins report how many of the output tokens the server counts as reasoning.
pub const REASONING_TOKENS: &str = "reasoning_tokens";

/// The names under which plugins report how many texts were embedded, how many documents were ranked, and how long the
/// audio was in seconds.
pub const TEXTS: &str = "texts";
pub const DOCUMENTS: &str = "documents";
pub const AUDIO_SECONDS: &str = "audio_seconds";

/// The names of those figures of a plugin that other figures are made of. All of them are counts of one response.
pub const COUNTS_OF_PLUGINS: [&str; 7] = [
    CACHED_TOKENS,
    REASONING_TOKENS,
    HIDDEN_REASONING,
    CHOICES,
    TEXTS,
    DOCUMENTS,
    AUDIO_SECONDS,
];

/// A number out of the sums of a run, or of a slot of it. `None`: it is not known, or the run has no such thing.
type Read = fn(&Sums) -> Option<f64>;

/// How a figure is summed up over a run.
#[derive(Debug, Clone, Copy)]
pub enum Sum {
    /// So many per second from the first request sent to the last end.
    Rate(Read),
    /// The first of the second, which are requests: each is independent of the others.
    Share(Read, Read),
    /// The first by the second, both of which are sums over requests.
    Ratio(Read, Read),
}

/// What the figures of a run are made of: sums over its requests, those of the warm-up left out; or the same over a slot
/// of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// First request sent to last end.
    pub wall_seconds: Option<f64>,
    /// Requests that are over; not those that the client cancelled.
    pub completed: u64,
    /// Requests that succeeded.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that the client cancelled.
    pub disconnected: u64,
    /// Requests that met all objectives. `None` without objectives.
    pub met_all: Option<u64>,
    /// Tokens of prompts. `None` where nobody counted; so are the other tokens.
    pub input_tokens: Option<f64>,
    /// Output tokens.
    pub output_tokens: Option<f64>,
    /// Tokens of prompts that the server took from its cache: the figure [`CACHED_TOKENS`] of the plugins.
    pub cached_tokens: Option<f64>,
    /// Texts that were embedded: the figure [`TEXTS`] of the plugins.
    pub texts: Option<f64>,
    /// Documents that were ranked: the figure [`DOCUMENTS`] of the plugins.
    pub documents: Option<f64>,
    /// Seconds of audio: the figure [`AUDIO_SECONDS`] of the plugins.
    pub audio_seconds: Option<f64>,
    /// Output tokens that the server counts as reasoning: the figure [`REASONING_TOKENS`] of the plugins.
    pub reasoning_tokens: Option<f64>,
    /// Requests of which the server tells them.
    pub reasoning_known: u64,
    /// Tokens that are expected to be in the prefix cache of the server, of the prompts of which that can be predicted and
    /// the server tells what it found.
    pub predicted_cached_tokens: Option<f64>,
    /// Tokens of these prompts.
    pub predicted_of_tokens: Option<f64>,
    /// Requests whose length of the prompt was asked for and counted by the server.
    pub prompts_asked: u64,
    /// Those of them that have another length.
    pub prompts_missed: u64,
    /// Requests whose length of the output was asked for and counted by the server.
    pub outputs_asked: u64,
    /// Those of them whose output is clearly shorter.
    pub outputs_shorter: u64,
    /// Requests whose tokens of the prompt are known.
    pub input_known: u64,
    /// Requests whose output tokens are known.
    pub output_known: u64,
    /// Events of streams.
    pub packages: u64,
    /// Output chunks that brought tokens, of streams that tell their tokens so far with every chunk; without the first
    /// chunk of each stream.
    pub token_chunks: u64,
    /// Those of them that brought two tokens or more.
    pub chunks_of_several_tokens: u64,
    /// Bytes of the data of all events.
    pub bytes_received: u64,
}

/// A figure of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure(usize);

impl Figure {
    /// The figure of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::all().find(|figure| figure.name == name)
    }

    /// The figures that are told of the last seconds while a run goes on, with the name for Prometheus.
    pub fn recent() -> impl Iterator<Item = (Self, &'static str)> {
        Self::all().filter_map(|figure| Some((figure, figure.live.as_ref()?.recent?)))
    }

    /// The figure of a run. `None` where the run does not have it.
    pub fn of(self, sums: &Sums) -> Option<f64> {
        let (part, whole) = (self.part(sums)?, self.whole(sums)?);
        (whole > 0.0).then(|| part / whole)
    }

    /// By what the figure divides what it counts.
    pub fn whole(self, sums: &Sums) -> Option<f64> {
        match self.sum {
            Sum::Rate(_) => sums.wall_seconds,
            Sum::Share(_, whole) | Sum::Ratio(_, whole) => whole(sums),
        }
    }

    /// Whether it is one sum by another, neither of which counts requests that are drawn by chance.
    pub fn is_ratio(self) -> bool {
        matches!(self.sum, Sum::Ratio(..))
    }

    /// What the figure counts: the tokens of tokens per second.
    pub fn part(self, sums: &Sums) -> Option<f64> {
        match self.sum {
            Sum::Rate(part) | Sum::Share(part, _) | Sum::Ratio(part, _) => part(sums),
        }
    }
}

super::rows! { FIGURES: FigureRow, Figure;
    QPS FigureRow {
        name: "qps",
        title: "Requests per second",
        formula: "succeeded requests / wall; wall = first sent to last end",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| Some(sums.succeeded as f64)),
        compared: true,
        headline: true,
        further: false,
        live: None,
    };
    THROUGHPUT FigureRow {
        name: "throughput",
        title: "Output tokens per second",
        formula: "output tokens of succeeded requests / wall",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| sums.output_tokens),
        compared: true,
        headline: true,
        further: false,
        live: Some(Live {
            name: "llmuses_output_tokens_total",
            help: "Output tokens of succeeded requests, counted when a request is over.",
            recent: Some("llmuses_recent_output_tokens_per_second"),
        }),
    };
    INPUT_THROUGHPUT FigureRow {
        name: "input_throughput",
        title: "Input tokens per second",
        formula: "tokens of the prompts of succeeded requests / wall",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| sums.input_tokens),
        compared: true,
        headline: true,
        further: true,
        live: Some(Live {
            name: "llmuses_input_tokens_total",
            help: "Tokens of the prompts of succeeded requests.",
            recent: None,
        }),
    };
    TOTAL_THROUGHPUT FigureRow {
        name: "total_throughput",
        title: "Total tokens per second",
        formula: "input and output tokens of succeeded requests / wall",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| Some(sums.input_tokens? + sums.output_tokens?)),
        compared: true,
        headline: true,
        further: true,
        live: None,
    };
    TEXT_THROUGHPUT FigureRow {
        name: "text_throughput",
        title: "Texts per second",
        formula: "texts embedded by succeeded requests / wall",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| sums.texts),
        compared: true,
        headline: true,
        further: true,
        live: None,
    };
    DOCUMENT_THROUGHPUT FigureRow {
        name: "document_throughput",
        title: "Documents per second",
        formula: "documents ranked by succeeded requests / wall",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| sums.documents),
        compared: true,
        headline: true,
        further: true,
        live: None,
    };
    AUDIO_THROUGHPUT FigureRow {
        name: "audio_throughput",
        title: "Audio seconds per second",
        formula: "seconds of audio transcribed by succeeded requests / wall",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| sums.audio_seconds),
        compared: true,
        headline: true,
        further: true,
        live: None,
    };
    GOODPUT FigureRow {
        name: "goodput",
        title: "Goodput",
        formula: "succeeded requests that met every objective / wall",
        unit: Unit::PerSecond,
        better: Better::Higher,
        sum: Sum::Rate(|sums| Some(sums.met_all? as f64)),
        compared: true,
        headline: true,
        further: false,
        live: None,
    };
    GOODPUT_SHARE FigureRow {
        name: "goodput_share",
        title: "Met all objectives",
        formula: "succeeded requests that met every objective / completed requests",
        unit: Unit::Share,
        better: Better::Higher,
        sum: Sum::Share(|sums| Some(sums.met_all? as f64), |sums| Some(sums.completed as f64)),
        compared: true,
        headline: false,
        further: false,
        live: None,
    };
    FAILED_SHARE FigureRow {
        name: "failed_share",
        title: "Failed",
        formula: "failed requests / completed requests",
        unit: Unit::Share,
        better: Better::Lower,
        sum: Sum::Share(|sums| Some(sums.failed as f64), |sums| Some(sums.completed as f64)),
        compared: true,
        headline: false,
        further: false,
        live: None,
    };
    DISCONNECTED_SHARE FigureRow {
        name: "disconnected_share",
        title: "Disconnected by the client",
        formula: "requests that the client cancelled / these and the completed ones",
        unit: Unit::Share,
        better: Better::Neither,
        sum: Sum::Share(
            |sums| (sums.disconnected > 0).then_some(sums.disconnected as f64),
            |sums| Some((sums.completed + sums.disconnected) as f64),
        ),
        compared: true,
        headline: false,
        further: false,
        live: None,
    };
    CACHED_SHARE FigureRow {
        name: "cached_share",
        title: "Cache hit share",
        formula: "tokens of prompts that the server took from its cache / tokens of prompts; a request of which the server does not say has none",
        unit: Unit::Share,
        better: Better::Neither,
        sum: Sum::Ratio(|sums| sums.cached_tokens, |sums| sums.input_tokens),
        compared: true,
        headline: true,
        further: true,
        live: Some(Live {
            name: "llmuses_cached_input_tokens_total",
            help: "Tokens of the prompts of succeeded requests that the server took from its cache, as far as it says.",
            recent: None,
        }),
    };
    PREDICTED_CACHED_SHARE FigureRow {
        name: "predicted_cached_share",
        title: "Predicted cache hit share",
        formula: "tokens that the prompts sent before let expect in the server's prefix cache / tokens of these prompts; of made-up prompts and traces, where the server tells its hits; of sessions the first turns",
        unit: Unit::Share,
        better: Better::Neither,
        sum: Sum::Ratio(|sums| sums.predicted_cached_tokens, |sums| sums.predicted_of_tokens),
        compared: true,
        headline: true,
        further: true,
        live: None,
    };
    MISSED_INPUT_SHARE FigureRow {
        name: "missed_input_share",
        title: "Prompts of another length than asked",
        formula: "prompts that the server counts with another length than was asked for / prompts of which a length was asked for and counted; later turns of sessions among them",
        unit: Unit::Share,
        better: Better::Lower,
        sum: Sum::Share(
            |sums| (sums.prompts_asked > 0).then_some(sums.prompts_missed as f64),
            |sums| Some(sums.prompts_asked as f64),
        ),
        compared: true,
        headline: false,
        further: true,
        live: None,
    };
    SHORT_OUTPUT_SHARE FigureRow {
        name: "short_output_share",
        title: "Outputs shorter than asked",
        formula: "outputs that are shorter than was asked for, by more than 5 % or 50 tokens / outputs of which a length was asked for and counted",
        unit: Unit::Share,
        better: Better::Lower,
        sum: Sum::Share(
            |sums| (sums.outputs_asked > 0).then_some(sums.outputs_shorter as f64),
            |sums| Some(sums.outputs_asked as f64),
        ),
        compared: true,
        headline: false,
        further: true,
        live: None,
    };
    SEVERAL_TOKENS_SHARE FigureRow {
        name: "several_tokens_share",
        title: "Chunks with several tokens",
        formula: "output chunks that brought two tokens or more / output chunks that brought tokens; of streams that tell their tokens so far with every chunk, without the first chunk of each",
        unit: Unit::Share,
        better: Better::Neither,
        sum: Sum::Ratio(
            |sums| Some(sums.chunks_of_several_tokens as f64),
            |sums| Some(sums.token_chunks as f64),
        ),
        compared: true,
        headline: false,
        further: true,
        live: None,
    };
    INPUT_TOKENS FigureRow {
        name: "input_tokens",
        title: "Input tokens per request",
        formula: "tokens of prompts / succeeded requests whose tokens are known",
        unit: Unit::Tokens,
        better: Better::Neither,
        sum: Sum::Ratio(|sums| sums.input_tokens, |sums| Some(sums.input_known as f64)),
        compared: true,
        headline: false,
        further: false,
        live: None,
    };
    OUTPUT_TOKENS FigureRow {
        name: "output_tokens",
        title: "Output tokens per request",
        formula: "output tokens / succeeded requests whose tokens are known",
        unit: Unit::Tokens,
        better: Better::Neither,
        sum: Sum::Ratio(|sums| sums.output_tokens, |sums| Some(sums.output_known as f64)),
        compared: true,
        headline: false,
        further: false,
        live: None,
    };
    REASONING_PER_REQUEST FigureRow {
        name: "reasoning_tokens",
        title: "Reasoning tokens per request",
        formula: "output tokens that the server counts as reasoning / succeeded requests of which it tells them",
        unit: Unit::Tokens,
        better: Better::Neither,
        sum: Sum::Ratio(|sums| sums.reasoning_tokens, |sums| Some(sums.reasoning_known as f64)),
        compared: true,
        headline: false,
        further: true,
        live: None,
    };
    TIME_PER_TOKEN FigureRow {
        name: "time_per_token",
        title: "Wall per output token",
        formula: "wall / output tokens of succeeded requests: the inverse of the throughput",
        unit: Unit::Seconds,
        better: Better::Lower,
        sum: Sum::Ratio(|sums| sums.wall_seconds, |sums| sums.output_tokens),
        compared: false,
        headline: false,
        further: false,
        live: None,
    };
    PACKAGES FigureRow {
        name: "packages",
        title: "Chunks per request",
        formula: "events of streams / succeeded requests",
        unit: Unit::Packages,
        better: Better::Neither,
        sum: Sum::Ratio(|sums| Some(sums.packages as f64), |sums| Some(sums.succeeded as f64)),
        compared: false,
        headline: false,
        further: false,
        live: None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_found_by_its_name() {
        for figure in Figure::all() {
            assert_eq!(Figure::of_name(figure.name), Some(figure));
        }
        assert_eq!(Figure::of_name("ttft_p99"), None);
    }

    #[test]
    fn figures_follow_their_formulas() {
        let sums = Sums {
            wall_seconds: Some(4.0),
            completed: 5,
            succeeded: 4,
            failed: 1,
            input_tokens: Some(80.0),
            output_tokens: Some(20.0),
            cached_tokens: Some(60.0),
            input_known: 4,
            output_known: 2,
            reasoning_tokens: Some(30.0),
            reasoning_known: 2,
            predicted_cached_tokens: Some(20.0),
            predicted_of_tokens: Some(40.0),
            prompts_asked: 4,
            prompts_missed: 1,
            ..Sums::default()
        };
        for (figure, expected) in [
            (QPS, Some(1.0)),
            (INPUT_THROUGHPUT, Some(20.0)),
            (TOTAL_THROUGHPUT, Some(25.0)),
            (GOODPUT, None),
            (FAILED_SHARE, Some(0.2)),
            (CACHED_SHARE, Some(0.75)),
            (OUTPUT_TOKENS, Some(10.0)),
            (REASONING_PER_REQUEST, Some(15.0)),
            (PREDICTED_CACHED_SHARE, Some(0.5)),
            (MISSED_INPUT_SHARE, Some(0.25)),
            (SHORT_OUTPUT_SHARE, None),
            (TIME_PER_TOKEN, Some(0.2)),
        ] {
            assert_eq!(figure.of(&sums), expected, "{}", figure.name);
        }
        let nobody_counted = Sums {
            output_tokens: None,
            ..sums
        };
        assert_eq!(TOTAL_THROUGHPUT.of(&nobody_counted), None);
        assert_eq!(QPS.of(&Sums::default()), None);
    }
}
