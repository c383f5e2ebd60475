//! Names of requests and sessions that a server's log can be searched for: functions of seed, run and number alone.

/// The id of a request: unique among those of a run, and the same whenever the run is repeated.
pub fn request_id(seed: u64, run: u32, number: u64) -> String {
    format!("llmuses-{seed}-{run}-{number}")
}

/// The id of a session, which all of its turns have.
pub fn session_id(seed: u64, run: u32, session: u64) -> String {
    format!("llmuses-{seed}-{run}-session-{session}")
}
