//! The ranking of documents as Cohere, Jina, vLLM and LiteLLM have it.

use llmuses_plugin::{
    Api, Framing, Item, Request, Response, Settings, Summary, Task, export_api, rerank,
};

struct Rerank;

impl Api for Rerank {
    const NAME: &'static str = "rerank";
    const DESCRIPTION: &'static str = "ranking of documents, as of Cohere, Jina and vLLM";
    const PATH: &'static str = "/v1/rerank";
    const FRAMING: Framing = Framing::Plain;
    const TASK: Task = Task::Rerank;

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        rerank::request(item, settings, "documents", true)
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        rerank::response(response)
    }
}

export_api!(Rerank);
