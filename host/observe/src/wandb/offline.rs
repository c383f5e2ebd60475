//! A run in a folder, for `wandb sync`: `offline-run-TIME-ID/run-ID.wandb` and an empty `files/`.

use super::config::Config;
use super::datastore::Datastore;
use super::records::{
    Config as ConfigRecord, Exit, Header, History, Info, Item, Record, Run, Step, Summary,
    Timestamp, VersionInfo,
};
use super::row::Started;
use super::trouble::Trouble;
use llmuses_core::wandb::WandbSettings;
use llmuses_kernel_io::private_file::create_new;
use prost::Message;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The oldest reader that makes sense of the file, as the Python client 0.31 puts it.
const MIN_CONSUMER: &str = "0.70.0";

/// The folder of a run, with its file open.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: PathBuf,
    datastore: Datastore<File>,
    run_id: String,
    records: i64,
}

impl Folder {
    /// Makes the folder of the run, and writes what is known of it at the start.
    pub(super) fn create(
        parent: &Path,
        settings: &WandbSettings,
        run_id: &str,
        config: &Config,
        started: Started,
    ) -> Result<Self, Trouble> {
        let time = jiff::Zoned::now().strftime("%Y%m%d_%H%M%S").to_string();
        let path = parent.join(format!("offline-run-{time}-{run_id}"));
        let file = path.join(format!("run-{run_id}.wandb"));
        let wrong = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| Trouble::Folder { path, source }
        };
        fs::create_dir_all(path.join("files")).map_err(wrong(&path))?;
        // Where the name is taken against all odds, another run's file is not written over.
        let handle = create_new(&file).map_err(wrong(&file))?;
        let datastore = Datastore::begin(handle).map_err(wrong(&file))?;
        let mut folder = Self {
            // The command to type should work from any other folder too.
            path: fs::canonicalize(&path).unwrap_or(path),
            file,
            datastore,
            run_id: run_id.to_owned(),
            records: 0,
        };
        folder.append(Record {
            header: Some(Header {
                version_info: Some(VersionInfo {
                    producer: concat!("llmuses/", env!("CARGO_PKG_VERSION")).to_owned(),
                    min_consumer: MIN_CONSUMER.to_owned(),
                }),
            }),
            ..Record::default()
        })?;
        let update = config
            .iter()
            .map(|(name, value)| Item {
                key: name.clone(),
                nested_key: Vec::new(),
                value_json: value.to_string(),
            })
            .collect();
        folder.append(Record {
            run: Some(Run {
                run_id: run_id.to_owned(),
                entity: settings.entity.clone().unwrap_or_default(),
                project: settings.project.clone(),
                config: Some(ConfigRecord { update }),
                display_name: settings.run_name.clone(),
                start_time: Some(Timestamp::of(started.unix())),
            }),
            ..Record::default()
        })?;
        Ok(folder)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a row, and what it makes of the summary: the reader does not work that out by itself.
    pub(super) fn row(&mut self, step: u64, row: &Map<String, Value>) -> Result<(), Trouble> {
        self.summary(row)?;
        self.append(Record {
            history: Some(History {
                item: Item::all(row),
                step: Some(Step {
                    num: i64::try_from(step).unwrap_or(i64::MAX),
                }),
            }),
            ..Record::default()
        })
    }

    /// Writes the end.
    pub(super) fn finish(
        &mut self,
        summary: &Map<String, Value>,
        exit_code: i32,
        runtime: Duration,
    ) -> Result<(), Trouble> {
        self.summary(summary)?;
        let runtime = i32::try_from(runtime.as_secs()).unwrap_or(i32::MAX);
        self.append(Record {
            summary: Some(Summary {
                update: vec![Item {
                    key: String::new(),
                    nested_key: vec!["_wandb".to_owned(), "runtime".to_owned()],
                    value_json: json!(runtime).to_string(),
                }],
            }),
            ..Record::default()
        })?;
        self.append(Record {
            exit: Some(Exit { exit_code, runtime }),
            ..Record::default()
        })
    }

    fn summary(&mut self, values: &Map<String, Value>) -> Result<(), Trouble> {
        self.append(Record {
            summary: Some(Summary {
                update: Item::all(values),
            }),
            ..Record::default()
        })
    }

    fn append(&mut self, mut record: Record) -> Result<(), Trouble> {
        self.records += 1;
        record.num = self.records;
        record.info = Some(Info {
            stream_id: self.run_id.clone(),
        });
        self.datastore
            .append(&record.encode_to_vec())
            .map_err(|source| Trouble::Folder {
                path: self.file.clone(),
                source,
            })
    }
}
