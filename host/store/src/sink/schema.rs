//! The tables of a database, and what each column holds.
//!
//! Times of day are Unix seconds, spans of time are seconds; what a request does not have is NULL.

use llmuses_core::metric::Time;

/// Marks a database of this program (`PRAGMA application_id`): the letters `llmu`.
pub const APPLICATION_ID: i32 = 0x6C6C_6D75;

/// The version of the tables (`PRAGMA user_version`).
pub const SCHEMA_VERSION: i32 = 3;

/// The tables, but for the columns of times that were added later.
const TABLES: &str = "
CREATE TABLE result (
    request TEXT NOT NULL,              -- the body that was sent, or was to be sent
    start_time REAL NOT NULL,           -- sent; for a request that was never sent: intended
    chunk_times TEXT NOT NULL,          -- JSON: the arrival of each event of the response
    success INTEGER NOT NULL,           -- 1 or 0
    response_messages TEXT NOT NULL,    -- JSON: the data of each event as a string, invalid UTF-8 replaced;
                                        -- a BLOB is such a text as a Zstandard frame
    completed_time REAL NOT NULL,       -- end of the response, or of the attempt
    latency REAL NOT NULL,              -- end - origin (run.totals tells the origin: intended or sent)
    first_chunk_latency REAL,           -- first event - origin
    n_chunks INTEGER NOT NULL,          -- number of events
    chunk_time REAL,                    -- (event n-2 - event 0) / (n-2): average package latency
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    intended_time REAL NOT NULL,        -- when the schedule wanted the request sent
    sent_time REAL,                     -- just before the last bytes of the request were written
    connect_time REAL,                  -- opening of the connection; NULL on a kept one
    ttft REAL,                          -- first event with output - origin
    tpot REAL,                          -- (last output - first output) / (completion tokens - 1)
    output_times TEXT,                  -- JSON: the arrival of each event with output
    status INTEGER,                     -- HTTP status
    error_kind TEXT,
    error TEXT,
    number INTEGER NOT NULL,            -- place in the order of issue, from 0
    run INTEGER NOT NULL,               -- run.id
    warmup INTEGER NOT NULL,            -- 1: of the warm-up, in no figure
    prompt_tokens_by TEXT,              -- server, tokenizer or parser
    completion_tokens_by TEXT,
    dns_time REAL,                      -- parts of connect_time, where they could be told apart
    tls_time REAL,
    streamed INTEGER NOT NULL,          -- 1: a stream of events, 0: one body
    stamped_by TEXT NOT NULL,           -- whose time the arrivals are: kernel or read
    metrics TEXT,                       -- JSON: [name, value] of each figure of the parser's own
    UNIQUE (run, number)
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY,             -- from 1; a sweep has several
    started_time REAL NOT NULL,
    finished_time REAL,
    state TEXT NOT NULL,                -- running, then finished, interrupted or failed
    plan TEXT NOT NULL,                 -- JSON
    schedule_seed TEXT NOT NULL,        -- decimal; text, since SQLite has no unsigned 64-bit numbers
    llmuses_version TEXT NOT NULL,
    contract_version TEXT NOT NULL,
    wasmtime_version TEXT NOT NULL,
    plugin_name TEXT NOT NULL,
    plugin_version TEXT NOT NULL,
    plugin_sha256 TEXT NOT NULL,
    plugin_source TEXT NOT NULL,        -- built in, or the path of a file
    transport TEXT NOT NULL,
    stamps TEXT NOT NULL,               -- where arrival times come from
    totals TEXT,                        -- JSON
    verdict TEXT,                       -- JSON
    summary TEXT,                       -- the summary as it was printed
    rows_kept INTEGER,                  -- rows of result
    rows_not_kept INTEGER,              -- outcomes for which there is no row
    write_error TEXT,                   -- the first reason for that
    first_due_time REAL,                -- when requests began to be issued: the timeline begins here
    task TEXT                           -- JSON: what a model was asked for; added later
);
CREATE TABLE worker (                   -- of runs that several workers sent; added later
    run INTEGER NOT NULL,               -- run.id
    worker INTEGER NOT NULL,            -- result.worker
    name TEXT NOT NULL,                 -- as --hosts names it, or which part it sent
    host TEXT,                          -- as its machine calls itself
    boot TEXT,                          -- the boot of its kernel
    version TEXT,
    build TEXT,
    processors INTEGER,
    requests INTEGER NOT NULL,          -- of which there is a result
    requests_without_result INTEGER NOT NULL,
    clock_offset REAL,                  -- by how much its wall clock was ahead of the coordinator's; NULL: not measured
    clock_bound REAL,                   -- by how much that may be more or less
    clock_drift REAL,                   -- the most by which the clocks moved against each other
    lost_after REAL,                    -- after first_due_time; NULL: it was not lost
    lost TEXT,                          -- why
    PRIMARY KEY (run, worker)
);
";

/// The columns of times that were added later: at the end, in the order of the table of metrics. A reader of this program
/// does without them, so that they need no other version of the tables.
pub fn added_columns() -> impl Iterator<Item = (Time, &'static str)> {
    Time::added().filter_map(|time| Some((time, time.column?)))
}

/// The columns behind them, added later too, each with its type and what it holds.
const LAST: [(&str, &str, &str); 11] = [
    (
        "finish_reason",
        "TEXT",
        "why the answer ended, in the word of the API",
    ),
    (
        "label",
        "TEXT",
        "who answered: the value of the response header of --label-header",
    ),
    (
        "url",
        "TEXT",
        "where it was sent, without credentials, if the run has several URLs",
    ),
    (
        "session",
        "INTEGER",
        "the session of which this is a turn, in the order in which they began, from 0",
    ),
    ("turn", "INTEGER", "the turn of the session, from 0"),
    (
        "turns",
        "INTEGER",
        "how many turns the session was to have; 1: the request stands alone",
    ),
    (
        "tokens_so_far",
        "TEXT",
        "JSON: tokens by the end of each of output_times",
    ),
    (
        WORKER,
        "INTEGER",
        "which worker sent it, from 0; NULL where there are not several",
    ),
    (
        "model",
        "TEXT",
        "the model that it asked, if the run has several",
    ),
    ("request_id", "TEXT", "the value of its --request-id-header"),
    (
        "asked_output_tokens",
        "INTEGER",
        "output tokens that were asked for, where a length was",
    ),
];

/// The names of these columns.
pub fn last_columns() -> impl Iterator<Item = &'static str> {
    LAST.into_iter().map(|(name, ..)| name)
}

/// The column of `run` that was added later.
pub const TASK: &str = "task";

/// The column that says which of several workers sent the request.
pub const WORKER: &str = "worker";

/// Adds a row to `worker`, or replaces it.
pub(super) const INSERT_WORKER: &str =
    "INSERT OR REPLACE INTO worker VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)";

/// All tables.
pub(super) fn tables() -> String {
    let added: String = added_columns()
        .map(|(time, column)| format!("    {column} REAL, -- {}\n", time.formula))
        .chain(LAST.map(|(name, of_type, about)| format!("    {name} {of_type}, -- {about}\n")))
        .collect();
    let unique = "    UNIQUE (run, number)";
    TABLES.replace(unique, &format!("{added}{unique}"))
}

/// Columns of `result` that are there in every version.
const COLUMNS: usize = 31;

/// Adds a row to `result`, with its columns in the order of the table.
pub(super) fn insert_result() -> String {
    let columns = COLUMNS + added_columns().count() + LAST.len();
    let places: Vec<String> = (1..=columns).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO result VALUES ({})", places.join(","))
}

/// Adds the row of `run`.
pub(super) const INSERT_RUN: &str = "INSERT INTO run (id, started_time, state, plan, schedule_seed, \
    llmuses_version, contract_version, wasmtime_version, plugin_name, plugin_version, plugin_sha256, \
    plugin_source, transport, stamps, task) \
    VALUES (?1,?2,'running',?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)";

/// Notes in the row of `run` that requests begin to be issued.
pub(super) const BEGIN_RUN: &str = "UPDATE run SET first_due_time = ?1 WHERE id = ?2";

/// Completes the row of `run`.
pub(super) const FINISH_RUN: &str = "UPDATE run SET finished_time = ?1, state = ?2, totals = ?3, \
    verdict = ?4, summary = ?5, rows_kept = ?6, rows_not_kept = ?7, write_error = ?8 WHERE id = ?9";
