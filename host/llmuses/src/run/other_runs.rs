//! Other runs of this program on the machine. They take its processors and its network, or ask the same server, and
//! neither run can tell from its own times. Looked for at the start and at the end of a run.

use llmuses_core::plan::Target;
use llmuses_stats::OtherRuns;
use std::path::Path;
use url::{Host, Url};

/// Where a run is sent to that names no URL.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// The name of the program among those of processes.
const NAME: &str = env!("CARGO_PKG_NAME");

/// Looks for other runs. `None`: the system does not tell of processes.
pub(super) fn look(target: &Target) -> Option<OtherRuns> {
    let own = std::process::id();
    let mut found = OtherRuns::default();
    for entry in Path::new("/proc").read_dir().ok()? {
        let Ok(entry) = entry else { continue };
        let process: Option<u32> = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if process.is_none_or(|process| process == own) {
            continue;
        }
        // The name first: there are few of that name, and it costs less to read.
        let file = |name: &str| std::fs::read(entry.path().join(name)).ok();
        if file("comm").is_none_or(|name| name.trim_ascii_end() != NAME.as_bytes()) {
            continue;
        }
        // It may have ended meanwhile.
        let arguments = file("cmdline").unwrap_or_default();
        if let Some(others) = urls_of_run(&arguments) {
            found.runs += 1;
            let is_ours = |other: &Url| target.urls().any(|url| server(other) == server(url));
            found.same_server += u64::from(others.iter().any(is_ours));
        }
    }
    Some(found)
}

/// Where a run of this program goes, by its arguments as the system has them: each with a zero byte behind it. `None`:
/// it is no run, or none that can begin.
fn urls_of_run(arguments: &[u8]) -> Option<Vec<Url>> {
    let mut arguments = arguments
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .skip(1);
    arguments
        .find(|argument| !argument.starts_with('-'))
        .filter(|command| command == "perf" || command == "search")?;
    let mut urls = Vec::new();
    let (mut is_url, mut has_file) = (false, false);
    for argument in arguments.filter(|argument| !argument.is_empty()) {
        if let Some(text) = argument.strip_prefix("--url=") {
            urls.push(Url::parse(text).ok()?);
        } else if argument.starts_with('-') {
            is_url = argument == "--url";
            has_file |= argument == "--config" || argument.starts_with("--config=");
        } else if is_url {
            urls.push(Url::parse(&argument).ok()?);
        }
    }
    // A file of flags may name any.
    if urls.is_empty() && !has_file {
        urls.extend(Url::parse(DEFAULT_URL));
    }
    Some(urls)
}

fn server(url: &Url) -> (Option<Host<&str>>, Option<u16>) {
    (url.host(), url.port_or_known_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_by_its_arguments() {
        let url = |arguments: &[&str]| {
            let text: String = arguments.iter().map(|text| format!("{text}\0")).collect();
            let urls = urls_of_run(text.as_bytes())?;
            let urls: Vec<String> = urls.iter().map(Url::to_string).collect();
            Some(urls.join(" "))
        };
        let both = [
            "llmuses",
            "perf",
            "--url",
            "http://h:1/v1",
            "http://i/",
            "-n",
            "5",
        ];
        assert_eq!(url(&both), Some("http://h:1/v1 http://i/".to_owned()));
        let there = Some("http://h:1/v1".to_owned());
        assert_eq!(url(&["llmuses", "perf", "--url", "http://h:1/v1"]), there);
        assert_eq!(url(&["x", "perf", "-n", "5", "--url=http://h:1/v1"]), there);
        assert_eq!(
            url(&["llmuses", "perf"]),
            Some("http://127.0.0.1:8000/".to_owned())
        );
        let by_file = ["llmuses", "perf", "--config", "run.toml"];
        assert_eq!(url(&by_file), Some(String::new()));
        assert_eq!(url(&["llmuses", "report", "perf"]), None);
        assert_eq!(url(&["llmuses", "mock-server"]), None);
        assert_eq!(url(&["llmuses"]), None);
        assert_eq!(url(&["llmuses", "perf", "--url", "no url"]), None);
    }

    #[test]
    fn a_server_is_a_host_and_a_port() {
        let of = |text: &str| Url::parse(text).unwrap();
        let same = |a: &str, b: &str| server(&of(a)) == server(&of(b));
        assert!(same("http://h:80/v1", "http://h/v2?x=1"));
        assert!(!same("http://h/", "http://h:8000/"));
        assert!(!same("http://h/", "http://i/"));
    }
}
