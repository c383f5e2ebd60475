//! End-to-end tests: the real program, real sockets, real WebAssembly. No network beyond loopback, no
//! fixed port, and every child process ends with the test that started it.

mod calibrate;
mod datasets;
mod demo;
mod external;
mod failures;
mod flags;
mod helpers;
mod hostile;
mod measures;
mod misbehaving;
mod odd_forms;
mod parsers;
mod stall;
mod support;
mod templates;
mod text;
mod tls;
mod wandb;
