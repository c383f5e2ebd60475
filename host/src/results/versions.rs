//! Older versions of the tables, read as if they were of the current one: a temporary view over each table, in
//! memory, gives it the columns that it lacks. The file is not touched, however large it is.

use crate::sink::SCHEMA_VERSION;
use rusqlite::Connection;

/// How the tables of one version look in the next one. `{run}` and `{result}` stand for those of the version before.
struct Step {
    run: &'static str,
    result: &'static str,
}

/// The steps from version 1 on.
const STEPS: [Step; 2] = [
    // Totals had another form then, so they are made again of the rows. Nobody noted who counted tokens.
    Step {
        run: "SELECT rowid AS id, started_time, finished_time, state, plan, schedule_seed, llmuses_version, \
              contract_version, wasmtime_version, plugin_name, plugin_version, plugin_sha256, plugin_source, \
              transport, stamps, NULL AS totals, NULL AS verdict, NULL AS summary, rows_kept, rows_not_kept, \
              write_error FROM {run}",
        result: "SELECT rowid AS rowid, request, start_time, chunk_times, success, response_messages, \
                 completed_time, latency, first_chunk_latency, n_chunks, chunk_time, prompt_tokens, \
                 completion_tokens, intended_time, sent_time, connect_time, ttft, tpot, output_times, status, \
                 error_kind, error, number, 1 AS run, 0 AS warmup, \
                 iif(prompt_tokens IS NULL, NULL, 'parser') AS prompt_tokens_by, \
                 iif(completion_tokens IS NULL, NULL, 'parser') AS completion_tokens_by, NULL AS dns_time, \
                 NULL AS tls_time, n_chunks > 1 AS streamed, \
                 (SELECT iif(stamps = 'kernel receive time', 'kernel', 'read') FROM {run} LIMIT 1) AS stamped_by, \
                 NULL AS metrics FROM {result}",
    },
    // Nobody noted when requests began to be issued.
    Step {
        run: "SELECT *, NULL AS first_due_time FROM {run}",
        result: "SELECT rowid AS rowid, * FROM {result}",
    },
];

/// Makes the tables of version `found` look like those of the current one, under the same names.
///
/// # Errors
/// Where a column that the version has is missing.
pub(super) fn migrate(connection: &Connection, found: i32) -> rusqlite::Result<()> {
    let (mut run, mut result) = ("main.run".to_owned(), "main.result".to_owned());
    for (version, step) in (1..SCHEMA_VERSION).zip(&STEPS) {
        if version < found {
            continue;
        }
        let suffix = match version + 1 {
            SCHEMA_VERSION => String::new(),
            next => format!("_{next}"),
        };
        let made = [("run", step.run), ("result", step.result)].map(|(table, select)| {
            let select = select.replace("{run}", &run).replace("{result}", &result);
            format!("CREATE TEMP VIEW {table}{suffix} AS {select};")
        });
        connection.execute_batch(&made.concat())?;
        (run, result) = (format!("temp.run{suffix}"), format!("temp.result{suffix}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_step_from_each_older_version() {
        assert_eq!(STEPS.len() as i32, SCHEMA_VERSION - 1);
    }
}
