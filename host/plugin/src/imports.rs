//! The functions of the host that a plugin may call. Both versions of the contract have the same ones, under types of
//! their own.

use super::bindings::{first, second};
use super::readers::{ItemReader, LineReader};
use super::state::State;
use wasmtime::component::Resource;

type Texts = wasmtime::Result<Result<Vec<String>, String>>;

macro_rules! imports_of {
    ($version:ident) => {
        // The types have no functions of their own.
        impl $version::llmuses::perf::types::Host for State {}

        impl $version::llmuses::perf::datasets::Host for State {
            fn line_by_line(&mut self) -> wasmtime::Result<Result<Resource<LineReader>, String>> {
                self.open_lines()
            }

            fn json_list(&mut self) -> wasmtime::Result<Result<Resource<ItemReader>, String>> {
                self.open_items()
            }
        }

        impl $version::llmuses::perf::datasets::HostLineReader for State {
            fn next(&mut self, reader: Resource<LineReader>, max: u32) -> Texts {
                self.next_lines(reader, max)
            }

            fn drop(&mut self, reader: Resource<LineReader>) -> wasmtime::Result<()> {
                self.let_go(reader)
            }
        }

        impl $version::llmuses::perf::datasets::HostItemReader for State {
            fn next(&mut self, reader: Resource<ItemReader>, max: u32) -> Texts {
                self.next_items(reader, max)
            }

            fn drop(&mut self, reader: Resource<ItemReader>) -> wasmtime::Result<()> {
                self.let_go(reader)
            }
        }

        impl $version::llmuses::perf::tokenizer::Host for State {
            fn available(&mut self) -> wasmtime::Result<bool> {
                Ok(self.has_tokenizer())
            }

            fn count(&mut self, text: String) -> wasmtime::Result<Result<u64, String>> {
                self.count_tokens(&text)
            }
        }

        impl $version::llmuses::perf::logging::Host for State {
            fn log(
                &mut self,
                level: $version::llmuses::perf::logging::Level,
                message: String,
            ) -> wasmtime::Result<()> {
                use $version::llmuses::perf::logging::Level;
                let label = match level {
                    Level::Debug => None,
                    Level::Info => Some("info"),
                    Level::Warn => Some("warning"),
                    Level::Error => Some("error"),
                };
                self.say(label, &message)
            }
        }
    };
}

imports_of!(first);
imports_of!(second);
