//! `llmuses mock-server`: its arguments.

use super::CommandOutcome;
use super::values::{duration, share};
use clap::{Args, ValueEnum};
use llmuses_mock::{MockConfig, UsageMode};
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `llmuses mock-server`.
#[derive(Debug, Args)]
#[command(
    after_help = "Times take us, ms or s (without a unit: seconds). GET /truth tells, as JSON, what the \
                  server really did since the last call: the time to first token and the gaps between \
                  tokens that a client should have measured."
)]
pub(super) struct MockServerArguments {
    /// Address to listen on; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Port on 127.0.0.1, for short.
    #[arg(long, value_name = "PORT", conflicts_with = "listen")]
    port: Option<u16>,

    /// Time from a request to its first token.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = duration)]
    ttft: Duration,

    /// By how much that varies, up and down.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    ttft_jitter: Duration,

    /// Time that each token of the prompt adds to --ttft, except those in the prefix cache.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    prefill: Duration,

    /// Time from one token to the next.
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    itl: Duration,

    /// By how much that varies, up and down.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    itl_jitter: Duration,

    /// Share by which each further request that is being answered makes --itl longer: with 0.1 and five requests it
    /// is 1.4 times as long.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    decode_slowdown: f64,

    /// Requests that are answered at once; others wait, first come, first served [default: no limit]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,

    /// Requests that may wait for a slot; further ones are answered with status 429 [default: no limit]
    #[arg(long, value_name = "N", requires = "slots")]
    queue_limit: Option<usize>,

    /// Keep a prefix cache of so many blocks of 16 tokens; without a number, of 65536 [default: no cache]
    #[arg(long, value_name = "BLOCKS", num_args = 0..=1, default_missing_value = "65536")]
    prefix_cache: Option<usize>,

    /// Tokens that the chat template adds to each message.
    #[arg(long, value_name = "N", default_value_t = 0)]
    template_tokens: u64,

    /// Tokens of an answer; a request may ask for fewer (max_tokens), for more (min_tokens), or for exactly its limit
    /// (ignore_eos).
    #[arg(long, value_name = "N", default_value_t = 100)]
    tokens: u64,

    /// Tokens of reasoning before those, in APIs that tell reasoning from the answer.
    #[arg(long, value_name = "N", default_value_t = 0)]
    reasoning_tokens: u64,

    /// Share of answers that end before their last token, between 0 and 1.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    early_stop: f64,

    /// Begin every stream at once with what its API sends before the first token, such as a chunk that only names the
    /// role.
    #[arg(long)]
    role_chunk: bool,

    /// When token counts are told.
    #[arg(long, value_enum, default_value = "final")]
    usage: Usage,

    /// Share of requests that are answered with status 500, between 0 and 1.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    error_rate: f64,

    /// Seed of everything that varies.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Name of the model that /v1/models lists.
    #[arg(long, value_name = "NAME", default_value = "mock")]
    model: String,

    /// Write a line of JSON about each request to this file when it has ended.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Speak TLS, with a certificate of its own making; clients need --insecure.
    #[arg(long)]
    tls: bool,

    /// End when standard input is closed: so the server never outlives a program that started it.
    #[arg(long)]
    until_stdin_closes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Usage {
    /// Never.
    Off,
    /// In a chunk at the end, where the request asks for it.
    Final,
    /// In every chunk.
    Every,
}

/// Runs `llmuses mock-server`.
pub(super) fn execute(arguments: MockServerArguments) -> anyhow::Result<CommandOutcome> {
    let config = MockConfig {
        listen: match arguments.port {
            Some(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            None => arguments.listen,
        },
        ttft: arguments.ttft,
        ttft_jitter: arguments.ttft_jitter,
        prefill: arguments.prefill,
        itl: arguments.itl,
        itl_jitter: arguments.itl_jitter,
        decode_slowdown: arguments.decode_slowdown,
        slots: arguments.slots,
        queue_limit: arguments.queue_limit,
        prefix_cache: arguments.prefix_cache,
        template_tokens: arguments.template_tokens,
        tokens: arguments.tokens,
        reasoning_tokens: arguments.reasoning_tokens,
        early_stop: arguments.early_stop,
        role_chunk: arguments.role_chunk,
        usage: match arguments.usage {
            Usage::Off => UsageMode::Off,
            Usage::Final => UsageMode::Final,
            Usage::Every => UsageMode::Every,
        },
        error_rate: arguments.error_rate,
        seed: arguments.seed,
        tls: arguments.tls,
        model: arguments.model,
        log: arguments.log,
    };
    if arguments.until_stdin_closes {
        end_with_standard_input()?;
    }
    // The server holds one file for each connection.
    llmuses_transport::capacity::raise_open_file_limit()?;
    let scheme = if arguments.tls { "https" } else { "http" };
    llmuses_mock::serve(config, |address| {
        llmuses_observe::terminal::print(format!("listening on {scheme}://{address}\n"));
    })?;
    Ok(CommandOutcome::Done)
}

fn end_with_standard_input() -> std::io::Result<()> {
    std::thread::Builder::new()
        .name("standard-input".to_owned())
        .spawn(|| {
            let mut ignored = [0; 256];
            while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
            std::process::exit(0);
        })?;
    Ok(())
}
