//! Whether a run is logged at Weights & Biases, and where: flags first, then the environment variables
//! of its own client. They are read here and nowhere else.

use super::usage::UsageError;
use crate::cli::values::{Secret, secret};
use clap::Args;
use llmuses_core::wandb::{ApiKey, ApiKeyError, WandbSettings, WandbTarget};
use std::path::PathBuf;
use url::Url;

/// The project of all runs.
const PROJECT: &str = "perf_benchmark";

/// The public service.
const PUBLIC_SERVICE: &str = "https://api.wandb.ai";

/// The flags.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Results")]
pub(super) struct WandbArguments {
    /// API key of Weights & Biases; figures and summary of the run go there [env: WANDB_API_KEY]
    #[arg(long, value_name = "KEY", value_parser = secret)]
    wandb_api_key: Option<Secret>,

    /// Write the run for Weights & Biases into a folder, for `wandb sync` later, and send nothing.
    #[arg(long)]
    wandb_offline: bool,

    /// Nothing for Weights & Biases, though WANDB_API_KEY is set.
    #[arg(long, conflicts_with_all = ["wandb_api_key", "wandb_offline"])]
    no_wandb: bool,
}

/// The settings that were meant. `environment`: the value of a variable; an empty one counts as none, as
/// with the Python client.
///
/// # Errors
/// Where a value cannot be what it should be.
pub(super) fn settings(
    typed: WandbArguments,
    run_name: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<WandbSettings>, UsageError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    if typed.no_wandb {
        return Ok(None);
    }
    let mode = variable("WANDB_MODE").unwrap_or_default();
    let key = match (&typed.wandb_api_key, variable("WANDB_API_KEY")) {
        (Some(typed), _) => Some(("--wandb-api-key", typed.reveal().to_owned())),
        // Set for all programs, so what turns all of them off turns this one off too.
        (None, Some(key)) if mode != "disabled" => Some(("WANDB_API_KEY", key)),
        (None, _) => None,
    };
    let target = if typed.wandb_offline || (mode == "offline" && key.is_some()) {
        let root = variable("WANDB_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        WandbTarget::Offline {
            folder: root.join("wandb"),
        }
    } else if let Some((from, key)) = key {
        WandbTarget::Online {
            base_url: base_url(variable("WANDB_BASE_URL"))?,
            api_key: ApiKey::new(&key)
                .map_err(|reason: ApiKeyError| UsageError::WandbKey { from, reason })?,
        }
    } else {
        return Ok(None);
    };
    Ok(Some(WandbSettings {
        target,
        entity: variable("WANDB_ENTITY"),
        project: PROJECT.to_owned(),
        run_name: run_name.to_owned(),
    }))
}

/// The root of the API. It is not shown in errors: somebody may have put a password into it.
fn base_url(text: Option<String>) -> Result<Url, UsageError> {
    let wrong = |reason: &'static str| UsageError::WandbBaseUrl { reason };
    let text = text.as_deref().unwrap_or(PUBLIC_SERVICE);
    let url = Url::parse(text).map_err(|_| wrong("it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it should begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it should have no user name and no password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it should end with the host or a path"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef01234567";

    fn chosen(
        flag: Option<&str>,
        offline: bool,
        none: bool,
        environment: &[(&str, &str)],
    ) -> Result<Option<WandbSettings>, UsageError> {
        let typed = WandbArguments {
            wandb_api_key: flag.map(|key| secret(key).unwrap()),
            wandb_offline: offline,
            no_wandb: none,
        };
        settings(typed, "run", |name| {
            environment
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn is_online(settings: Option<WandbSettings>) -> bool {
        matches!(settings.unwrap().target, WandbTarget::Online { .. })
    }

    #[test]
    fn a_key_turns_it_on_from_either_place() {
        assert!(chosen(None, false, false, &[]).unwrap().is_none());
        assert!(is_online(chosen(Some(KEY), false, false, &[]).unwrap()));
        let variable = [("WANDB_API_KEY", KEY)];
        assert!(is_online(chosen(None, false, false, &variable).unwrap()));
        assert!(chosen(None, false, true, &variable).unwrap().is_none());
        let empty = [("WANDB_API_KEY", "")];
        assert!(chosen(None, false, false, &empty).unwrap().is_none());
        let disabled = [("WANDB_API_KEY", KEY), ("WANDB_MODE", "disabled")];
        assert!(chosen(None, false, false, &disabled).unwrap().is_none());
        assert!(is_online(
            chosen(Some(KEY), false, false, &disabled).unwrap()
        ));
    }

    #[test]
    fn offline_needs_no_key_and_takes_the_folder_of_the_client() {
        let folder = |settings: Option<WandbSettings>| match settings.unwrap().target {
            WandbTarget::Offline { folder } => folder,
            WandbTarget::Online { .. } => panic!("it is online"),
        };
        let here = chosen(None, true, false, &[]).unwrap();
        assert_eq!(folder(here), PathBuf::from("./wandb"));
        let there = [("WANDB_DIR", "/there"), ("WANDB_MODE", "offline")];
        let there = chosen(Some(KEY), false, false, &there).unwrap();
        assert_eq!(folder(there), PathBuf::from("/there/wandb"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        for (key, said) in [
            ("", "--wandb-api-key: the key is empty"),
            ("secret key", "characters"),
            ("secret\n", "characters"),
        ] {
            let error = chosen(Some(key), false, false, &[])
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        for (url, said) in [
            ("localhost", "not a URL"),
            ("ftp://host", "https://"),
            ("https://me:secret@host", "no user name"),
            ("https://host/?secret=1", "end with"),
        ] {
            let variables = [("WANDB_BASE_URL", url)];
            let error = chosen(Some(KEY), false, false, &variables)
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn nothing_shows_the_key() {
        let settings = chosen(Some(KEY), false, false, &[]).unwrap().unwrap();
        assert!(!format!("{settings:?} {:?}", settings.to_record()).contains(KEY));
        assert!(!format!("{:?}", secret(KEY).unwrap()).contains(KEY));
    }
}
