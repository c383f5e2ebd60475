-- A finished run as version 1 of the tables held it.
PRAGMA application_id = 1819045237;
PRAGMA user_version = 1;
CREATE TABLE result (
    request TEXT NOT NULL,
    start_time REAL NOT NULL,
    chunk_times TEXT NOT NULL,
    success INTEGER NOT NULL,
    response_messages TEXT NOT NULL,
    completed_time REAL NOT NULL,
    latency REAL NOT NULL,
    first_chunk_latency REAL,
    n_chunks INTEGER NOT NULL,
    chunk_time REAL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    intended_time REAL NOT NULL,
    sent_time REAL,
    connect_time REAL,
    ttft REAL,
    tpot REAL,
    output_times TEXT,
    status INTEGER,
    error_kind TEXT,
    error TEXT,
    number INTEGER PRIMARY KEY
);
CREATE TABLE run (
    started_time REAL NOT NULL,
    finished_time REAL,
    state TEXT NOT NULL,
    plan TEXT NOT NULL,
    schedule_seed TEXT NOT NULL,
    llmuses_version TEXT NOT NULL,
    contract_version TEXT NOT NULL,
    wasmtime_version TEXT NOT NULL,
    plugin_name TEXT NOT NULL,
    plugin_version TEXT NOT NULL,
    plugin_sha256 TEXT NOT NULL,
    plugin_source TEXT NOT NULL,
    transport TEXT NOT NULL,
    stamps TEXT NOT NULL,
    totals TEXT,
    verdict TEXT,
    rows_kept INTEGER,
    rows_not_kept INTEGER,
    write_error TEXT
);
INSERT INTO result VALUES ('{"n":0}', 1714274496.5, '[1714274496.750000,1714274496.850000,1714274496.950000,1714274497.050000]', 1, '["a","b","c","d"]', 1714274497.1, 0.6, 0.25, 4, 0.1, 7, 4, 1714274496.5, 1714274496.5, NULL, 0.25, 0.1, '[1714274496.750000,1714274496.850000,1714274496.950000,1714274497.050000]', 200, NULL, NULL, 0);
INSERT INTO result VALUES ('{"n":1}', 1714274497.2, '[]', 0, '[]', 1714274497.3, 0.1, NULL, 0, NULL, NULL, NULL, 1714274497.2, 1714274497.2, NULL, NULL, NULL, NULL, 503, 'http-status', 'HTTP 503: busy', 1);
INSERT INTO run (started_time, finished_time, state, plan, schedule_seed, llmuses_version, contract_version, wasmtime_version, plugin_name, plugin_version, plugin_sha256, plugin_source, transport, stamps, totals, verdict, rows_kept, rows_not_kept) VALUES (1714274496.0, 1714274497.5, 'finished', '{"model":"qwen","arrivals":"closed","parallel":1,"transport":"socket","objectives":{"time_to_first_token_seconds":0.3,"time_per_output_token_seconds":null,"latency_seconds":null}}', '42', '0.1.0', '0.1.0', '48.0.0', 'openai_prompt', '0.1.0', '00ff', 'built in', 'sockets', 'kernel receive time', '{"completed":2}', '{"trusted":true}', 2, 0);
