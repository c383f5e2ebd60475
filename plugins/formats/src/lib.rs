//! The formats of data sets that the load tester knows by itself. They are one component, so that one call tells what a
//! file is.

mod bodies;
mod chat;
mod lines;
mod media;
mod prompts;
mod ranking;
mod record;
mod sessions;
mod tables;
mod time;
mod traces;

use llmuses_plugin::export_format;

// What is more special comes first.
export_format!(
    traces::Mooncake,
    traces::Bailian,
    traces::TimedTrace,
    traces::GuidellmTrace,
    traces::WorkloadTrace,
    traces::Azure,
    traces::BurstGpt,
    chat::ShareGpt,
    chat::MultiTurn,
    ranking::Rerank,
    ranking::Texts,
    media::Images,
    media::Audio,
    bodies::Bodies,
    prompts::JsonLines,
    prompts::JsonArray,
    tables::Csv,
    tables::Tsv,
    lines::Lines,
);
