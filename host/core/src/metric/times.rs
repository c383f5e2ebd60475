//! The times of a request.

use super::{Better, Live, Unit};

/// A row of the table: a time that a request may have.
#[derive(Debug, PartialEq, Eq)]
pub struct TimeRow {
    /// The name in a document; with the unit behind it, also that of its column in CSV.
    pub key: &'static str,
    /// The name in flags: `ttft_p99` in `--fail-if`. One that has it is compared, and has a chart.
    pub short: Option<&'static str>,
    /// The name in a table.
    pub title: &'static str,
    /// How it is measured.
    pub formula: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// Its column in a database.
    pub column: Option<&'static str>,
    /// Whether it may be an objective, and what a request is that has none.
    pub objective: Objective,
    /// Its histogram for Prometheus.
    pub live: Option<Live>,
    /// Where it stands in a table of times.
    pub place: TablePlace,
    /// Whether documents tell its confidence intervals and the curve of its percentiles.
    pub curve: bool,
    /// Whether it came after the first version of documents, tables and columns: older ones lack it.
    pub added: bool,
}

/// Whether a time may be an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// It may not.
    Never,
    /// It may, and a request without it has not met it.
    Missed,
    /// It may, and a request that cannot have it has met it.
    Met,
}

/// Where a time stands in a table of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TablePlace {
    /// In a row of its own, whether a request has it or not.
    Always,
    /// Under the row before it, whose part it is, where a request has it.
    Part,
    /// In none: documents tell it, and a doubt where it was long.
    Nowhere,
}

/// A time of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(usize);

impl Time {
    /// The times that came after the first version of documents, tables and columns.
    pub fn added() -> impl Iterator<Item = Self> {
        Self::all().filter(|time| time.added)
    }

    /// Whether a table has no row of it where no request has it: it is a part of another time, or came later.
    pub fn needs_samples(self) -> bool {
        self.place == TablePlace::Part || self.added
    }

    /// The times whose percentiles over the last seconds are told while a run goes on, with the name for Prometheus.
    pub fn recent() -> impl Iterator<Item = (Self, &'static str)> {
        Self::all().filter_map(|time| Some((time, time.live.as_ref()?.recent?)))
    }

    /// The times that a table of times has, in its order.
    pub fn tabled() -> impl Iterator<Item = Self> {
        Self::all().filter(|time| time.place != TablePlace::Nowhere)
    }

    /// Whether it is about the client: every request that was sent has it, for one that fails later was just as late.
    pub fn is_of_the_client(self) -> bool {
        [DISPATCH_LAG, CLIENT_LAG, BODY_WAIT, HELD_UP].contains(&self)
    }

    /// The times that may be an objective.
    pub fn objectives() -> impl Iterator<Item = Self> {
        Self::all().filter(|time| time.objective != Objective::Never)
    }

    /// The name where it stands alone: that of a part has the time that it is a part of.
    pub fn full_title(self) -> String {
        let title = self.title;
        if self.place != TablePlace::Part {
            return title.to_owned();
        }
        let before = Self::all().take_while(|time| *time != self);
        let whole = before
            .filter(|time| time.place == TablePlace::Always)
            .last();
        let whole = whole.map_or("", |time| time.title);
        match title.starts_with("of ") {
            true => format!("{whole} {title}"),
            false => format!("{whole}, {title}"),
        }
    }

    /// The name in a line of text: an abbreviation, or a word.
    pub fn in_short(self) -> String {
        match self.short {
            Some(short @ ("ttft" | "tpot" | "itl")) => short.to_uppercase(),
            Some(short) => short.to_owned(),
            None => self.title.to_owned(),
        }
    }

    /// The name in a document, with the unit.
    pub fn seconds_key(self) -> String {
        format!("{}_seconds", self.key)
    }

    /// The time of that name in a document.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::all().find(|time| time.key == key)
    }
}

super::rows! { TIMES: TimeRow, Time;
    TTFT TimeRow {
        key: "time_to_first_token",
        short: Some("ttft"),
        title: "Time to first token",
        formula: "first chunk that carries output − origin",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("ttft"),
        objective: Objective::Missed,
        live: Some(Live {
            name: "llmuses_time_to_first_token_seconds",
            help: "Time to first token of succeeded requests.",
            recent: Some("llmuses_recent_time_to_first_token_seconds"),
        }),
        place: TablePlace::Always,
        curve: true,
        added: false,
    };
    FIRST_TURN TimeRow {
        key: "time_to_first_token_of_first_turns",
        short: Some("ttft_first_turn"),
        title: "of first turns",
        formula: "time to first token of the first turn of a session of several",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: None,
        objective: Objective::Never,
        live: None,
        place: TablePlace::Part,
        curve: true,
        added: true,
    };
    LATER_TURNS TimeRow {
        key: "time_to_first_token_of_later_turns",
        short: Some("ttft_later_turns"),
        title: "of later turns",
        formula: "time to first token of every other turn of such a session",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: None,
        objective: Objective::Never,
        live: None,
        place: TablePlace::Part,
        curve: true,
        added: true,
    };
    ANSWER TimeRow {
        key: "time_to_first_answer_token",
        short: Some("ttfat"),
        title: "Time to first answer token",
        formula: "first chunk that carries a part of the answer, neither reasoning nor a tool call − origin",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("answer_latency"),
        objective: Objective::Missed,
        live: None,
        place: TablePlace::Always,
        curve: true,
        added: true,
    };
    FIRST_PACKAGE TimeRow {
        key: "time_to_first_package",
        short: None,
        title: "Time to first chunk",
        formula: "first chunk − origin",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("first_chunk_latency"),
        objective: Objective::Never,
        live: None,
        place: TablePlace::Always,
        curve: true,
        added: false,
    };
    TPOT TimeRow {
        key: "time_per_output_token",
        short: Some("tpot"),
        title: "Time per output token",
        formula: "(last output − first output) / (output tokens − 1), of each request with two or more",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("tpot"),
        objective: Objective::Met,
        live: Some(Live {
            name: "llmuses_time_per_output_token_seconds",
            help: "Time per output token of succeeded requests, after the first one.",
            recent: Some("llmuses_recent_time_per_output_token_seconds"),
        }),
        place: TablePlace::Always,
        curve: true,
        added: false,
    };
    ITL TimeRow {
        key: "inter_token_latency",
        short: Some("itl"),
        title: "Inter-token latency",
        formula: "gap between one output chunk and the next",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: None,
        objective: Objective::Never,
        live: None,
        place: TablePlace::Always,
        curve: true,
        added: false,
    };
    TOKEN_ITL TimeRow {
        key: "inter_token_latency_per_token",
        short: Some("itl_per_token"),
        title: "Inter-token latency per token",
        formula: "gap between two output chunks / tokens that the second one brought, once for each of these tokens; of streams that tell their tokens so far with every chunk",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: None,
        objective: Objective::Never,
        live: None,
        place: TablePlace::Always,
        curve: true,
        added: true,
    };
    LATENCY TimeRow {
        key: "latency",
        short: Some("latency"),
        title: "Request latency",
        formula: "end of the body or [DONE] − origin",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("latency"),
        objective: Objective::Missed,
        live: Some(Live {
            name: "llmuses_request_latency_seconds",
            help: "Latency of succeeded requests.",
            recent: None,
        }),
        place: TablePlace::Always,
        curve: true,
        added: false,
    };
    RESPONSE_HEAD TimeRow {
        key: "time_to_response_head",
        short: Some("head"),
        title: "Time to response head",
        formula: "response head complete − origin",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("head_latency"),
        objective: Objective::Missed,
        live: Some(Live {
            name: "llmuses_time_to_response_head_seconds",
            help: "Time to response head of succeeded requests.",
            recent: None,
        }),
        place: TablePlace::Always,
        curve: true,
        added: true,
    };
    CONNECT TimeRow {
        key: "connect",
        short: None,
        title: "Time to connect",
        formula: "opening of a connection: name, TCP and TLS",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("connect_time"),
        objective: Objective::Never,
        live: None,
        place: TablePlace::Always,
        curve: false,
        added: false,
    };
    DNS TimeRow {
        key: "dns",
        short: None,
        title: "name resolution",
        formula: "where the transport could tell",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("dns_time"),
        objective: Objective::Never,
        live: None,
        place: TablePlace::Part,
        curve: false,
        added: false,
    };
    TLS TimeRow {
        key: "tls",
        short: None,
        title: "TLS handshake",
        formula: "as far as the transport could tell it apart",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("tls_time"),
        objective: Objective::Never,
        live: None,
        place: TablePlace::Part,
        curve: false,
        added: false,
    };
    DISPATCH_LAG TimeRow {
        key: "dispatch_lag",
        short: None,
        title: "Send delay",
        formula: "sent − intended",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: None,
        objective: Objective::Never,
        live: None,
        place: TablePlace::Always,
        curve: false,
        added: false,
    };
    CLIENT_LAG TimeRow {
        key: "dispatch_lag_without_connect",
        short: None,
        title: "without connecting",
        formula: "sent − intended, without the opening of a connection",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: None,
        objective: Objective::Never,
        live: None,
        place: TablePlace::Part,
        curve: false,
        added: false,
    };
    BODY_WAIT TimeRow {
        key: "body_wait",
        short: None,
        title: "Wait for bodies",
        formula: "how long requests waited for their bodies",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: None,
        objective: Objective::Never,
        live: None,
        place: TablePlace::Nowhere,
        curve: false,
        added: true,
    };
    HELD_UP TimeRow {
        key: "held_up",
        short: None,
        title: "Held up",
        formula: "wait of those that were due while as many as may be were in flight",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("held_up_time"),
        objective: Objective::Never,
        live: Some(Live {
            name: "llmuses_held_up_seconds",
            help: "How long requests were held up that were due while as many as may be were in flight; its count is that of these requests.",
            recent: None,
        }),
        place: TablePlace::Always,
        curve: false,
        added: true,
    };
    SESSION TimeRow {
        key: "session",
        short: Some("session"),
        title: "Session",
        formula: "end of the last turn − when the first turn of its session was intended: of sessions of several turns, all of which succeeded; times to think are part of it",
        unit: Unit::Seconds,
        better: Better::Lower,
        column: Some("session_time"),
        objective: Objective::Never,
        live: None,
        place: TablePlace::Always,
        curve: true,
        added: true,
    };
}

/// A value for each time of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ByTime<T>([T; TIMES.len()]);

impl<T> ByTime<T> {
    /// Makes each value.
    pub fn of(make: impl FnMut(Time) -> T) -> Self {
        let mut make = make;
        Self(std::array::from_fn(|place| make(Time(place))))
    }

    /// Each time with its value, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Time, &T)> {
        Time::all().zip(&self.0)
    }
}

impl<T: Default> Default for ByTime<T> {
    fn default() -> Self {
        Self::of(|_| T::default())
    }
}

impl<T> std::ops::Index<Time> for ByTime<T> {
    type Output = T;

    fn index(&self, time: Time) -> &T {
        &self.0[time.0]
    }
}

impl<T> std::ops::IndexMut<Time> for ByTime<T> {
    fn index_mut(&mut self, time: Time) -> &mut T {
        &mut self.0[time.0]
    }
}

#[cfg(test)]
mod tests;
