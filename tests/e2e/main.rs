//! End-to-end tests: the real program, real sockets, real WebAssembly. No network beyond loopback, no
//! fixed port, and every child process ends with the test that started it.

mod agreement;
mod answers;
mod apis;
mod architecture;
mod beginnings;
mod calibrate;
mod cancel;
mod connections;
mod datasets;
mod demo;
mod docs;
#[cfg(target_os = "linux")]
mod engines;
mod external;
mod failures;
mod flags;
mod formats;
mod helpers;
mod hostile;
mod html;
mod in_flight;
mod inputs;
mod large;
#[cfg(unix)]
mod live;
mod made_up;
mod measures;
mod metrics;
mod misbehaving;
mod mock_server;
mod odd_forms;
#[cfg(unix)]
mod outputs;
mod parsers;
#[cfg(unix)]
mod pty;
mod repeats;
mod replay;
mod replicas;
mod results;
#[cfg(unix)]
mod routes;
mod same_figures;
mod schema;
mod sessions;
mod shards;
mod shell;
mod slow;
mod stages;
mod stall;
mod support;
mod targets;
mod templates;
mod text;
mod timing;
mod tls;
mod tls_server;
mod traces;
mod verdict;
#[cfg(feature = "wandb")]
mod wandb;
#[cfg(unix)]
mod workers;
