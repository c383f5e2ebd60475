//! The ranking of documents of Hugging Face's Text Embeddings Inference.

use llmuses_plugin::{
    Api, Framing, Item, Request, Response, Settings, Summary, Task, export_api, rerank,
};

struct RerankTei;

impl Api for RerankTei {
    const NAME: &'static str = "rerank_tei";
    const DESCRIPTION: &'static str = "ranking of texts of Text Embeddings Inference";
    const PATH: &'static str = "/rerank";
    const FRAMING: Framing = Framing::Plain;
    const TASK: Task = Task::Rerank;

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        rerank::request(item, settings, "texts", false)
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        rerank::response(response)
    }
}

export_api!(RerankTei);
