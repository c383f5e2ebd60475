//! End-to-end tests: the real program, real sockets, real WebAssembly. No network beyond loopback, no
//! fixed port, and every child process ends with the test that started it.

mod hostile;
mod support;
