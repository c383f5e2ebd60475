//! The table of what is measured: one row for each figure of a run ([`Figure`]) and for each time of a request ([`Time`]).
//! Totals, documents and their schema, reports, comparisons, bounds, objectives and live figures all read it.

mod figures;
mod times;

pub use figures::{
    AUDIO_SECONDS, AUDIO_THROUGHPUT, CACHED_SHARE, CACHED_TOKENS, COUNTS_OF_PLUGINS,
    DISCONNECTED_SHARE, DOCUMENT_THROUGHPUT, DOCUMENTS, FAILED_SHARE, Figure, FigureRow, GOODPUT,
    GOODPUT_SHARE, INPUT_THROUGHPUT, INPUT_TOKENS, MISSED_INPUT_SHARE, OUTPUT_TOKENS, PACKAGES,
    PREDICTED_CACHED_SHARE, QPS, REASONING_PER_REQUEST, REASONING_TOKENS, SEVERAL_TOKENS_SHARE,
    SHORT_OUTPUT_SHARE, Sum, Sums, TEXT_THROUGHPUT, TEXTS, THROUGHPUT, TIME_PER_TOKEN,
    TOTAL_THROUGHPUT,
};
pub use times::{
    ANSWER, BODY_WAIT, ByTime, CLIENT_LAG, CONNECT, DISPATCH_LAG, DNS, FIRST_PACKAGE, FIRST_TURN,
    HELD_UP, ITL, LATENCY, LATER_TURNS, Objective, RESPONSE_HEAD, SESSION, TLS, TOKEN_ITL, TPOT,
    TTFT, TablePlace, Time, TimeRow,
};

/// What a figure counts, and so how it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, printed as milliseconds.
    Seconds,
    /// So many per second.
    PerSecond,
    /// A share of 1, printed as percent.
    Share,
    /// Tokens.
    Tokens,
    /// Events of a stream.
    Packages,
}

impl Unit {
    /// A value for a person.
    pub fn format(self, value: f64) -> String {
        let decimals = match self {
            Self::Seconds | Self::PerSecond => 3,
            Self::Share => 2,
            Self::Tokens | Self::Packages => 1,
        };
        self.format_with(value, decimals)
    }

    /// A value for a person with that many decimals.
    pub fn format_with(self, value: f64, decimals: usize) -> String {
        let shown = value * self.shown_times();
        match self {
            Self::Seconds => format!("{shown:.decimals$} ms"),
            Self::PerSecond => format!("{shown:.decimals$}/s"),
            Self::Share => format!("{shown:.decimals$} %"),
            Self::Tokens | Self::Packages => format!("{shown:.decimals$}"),
        }
    }

    /// By what a value is multiplied to be printed.
    pub const fn shown_times(self) -> f64 {
        match self {
            Self::Seconds => 1e3,
            Self::Share => 1e2,
            Self::PerSecond | Self::Tokens | Self::Packages => 1.0,
        }
    }
}

/// Which way of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher.
    Higher,
    /// Lower.
    Lower,
    /// Neither: a difference only says that the work, or the state of the server, was another one.
    Neither,
}

/// What Prometheus is told of a figure: the histogram of a time, or the counter of what a rate or a share counts.
#[derive(Debug, PartialEq, Eq)]
pub struct Live {
    /// Its name for Prometheus.
    pub name: &'static str,
    /// What it says of itself.
    pub help: &'static str,
    /// The name of the gauge of the last seconds, which the live view shows too. `None`: there is none.
    pub recent: Option<&'static str>,
}

/// Makes a table, and a name for each of its rows.
macro_rules! rows {
    ($table:ident: $type:ty, $handle:ident; $($name:ident $row:expr;)*) => {
        static $table: [$type; [$(stringify!($name)),*].len()] = [$($row),*];
        super::rows!(@ $handle 0; $($name)*);

        impl $handle {
            /// All rows, in the order of the table.
            pub fn all() -> impl ExactSizeIterator<Item = Self> {
                (0..$table.len()).map(Self)
            }
        }

        impl std::ops::Deref for $handle {
            type Target = $type;

            fn deref(&self) -> &$type {
                &$table[self.0]
            }
        }
    };
    (@ $handle:ident $place:expr; $name:ident $($rest:ident)*) => {
        #[doc = concat!("The row `", stringify!($name), "` of the table.")]
        pub const $name: $handle = $handle($place);
        super::rows!(@ $handle $place + 1; $($rest)*);
    };
    (@ $handle:ident $place:expr;) => {};
}
use rows;
