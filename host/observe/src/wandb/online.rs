//! A run at the service: made once, then fed.

use super::client::Client;
use super::config::Config;
use super::protocol::{self, Bucket, Complete};
use super::trouble::Trouble;
use llmuses_core::wandb::{ApiKey, WandbSettings};
use std::time::Duration;
use url::Url;

/// The service, and what it has of the run.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    base_url: Url,
    settings: WandbSettings,
    run_id: String,
    config: Config,
    /// Where the run lies, once it was made.
    bucket: Option<Bucket>,
    /// Rows that the service has confirmed.
    confirmed: usize,
}

impl Service {
    pub(super) fn new(
        base_url: Url,
        api_key: ApiKey,
        settings: WandbSettings,
        run_id: String,
        config: Config,
    ) -> Result<Self, Trouble> {
        Ok(Self {
            client: Client::new(api_key)?,
            base_url,
            settings,
            run_id,
            config,
            bucket: None,
            confirmed: 0,
        })
    }

    /// Whether the run was made.
    pub(super) fn is_open(&self) -> bool {
        self.bucket.is_some()
    }

    /// Makes the run. Gives back where a person looks at it.
    pub(super) fn open(&mut self, timeout: Duration) -> Result<String, Trouble> {
        let body = protocol::upsert_bucket(&self.settings, &self.run_id, &self.config);
        let url = protocol::graphql(&self.base_url);
        let answer = self.client.post(url, &body, timeout)?;
        let bucket =
            Bucket::of_answer(&answer).map_err(|trouble| self.client.without_key(trouble))?;
        let page = bucket.page(&self.base_url);
        self.bucket = Some(bucket);
        Ok(page)
    }

    /// Appends rows to the history and replaces the summary. What failed may be sent again: it is told
    /// where in the history it belongs.
    pub(super) fn send(
        &mut self,
        rows: &[String],
        summary: &str,
        complete: Option<Complete>,
        timeout: Duration,
    ) -> Result<(), Trouble> {
        let Some(bucket) = &self.bucket else {
            return Err(Trouble::Garbage("there is no run yet"));
        };
        let body = protocol::file_stream(self.confirmed, rows, summary, complete);
        let url = bucket.file_stream(&self.base_url);
        self.client.post(url, &body, timeout)?;
        self.confirmed += rows.len();
        Ok(())
    }
}
