//! The folder of a run that was not sent: its records, read by a reader of the format, and by the Python
//! client's own.

use super::*;

/// The fields of a protocol buffer: number and bytes, those of numbers as eight bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a number has an end");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number is too long");
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => varint(&mut bytes).to_le_bytes().to_vec(),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                value.to_vec()
            }
            kind => panic!("no field of ours is of kind {kind}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn field(bytes: &[u8], number: u64) -> Vec<u8> {
    let all = fields(bytes);
    let found = all.into_iter().find(|(known, _)| *known == number);
    found.unwrap_or_else(|| panic!("no field {number}")).1
}

/// Names and values of items: history, summary and configuration have them alike.
fn items(bytes: &[u8]) -> Map<String, Value> {
    fields(bytes)
        .into_iter()
        .filter(|(number, _)| *number == 1)
        .map(|(_, item)| {
            let name: Vec<String> = fields(&item)
                .into_iter()
                .filter(|(number, _)| matches!(number, 1 | 2))
                .map(|(_, part)| String::from_utf8(part).expect("a name is text"))
                .collect();
            let value = serde_json::from_slice(&field(&item, 16)).expect("a value is JSON");
            (name.join("."), value)
        })
        .collect()
}

/// The records of a file, as field number and content.
fn records(path: &Path) -> Vec<(u64, Vec<u8>)> {
    let bytes = std::fs::read(path).expect("the file is there");
    assert_eq!(&bytes[..7], b":W&B\xe1\xbe\x00");
    let (mut at, mut records, mut record) = (7, Vec::new(), Vec::new());
    while at < bytes.len() {
        let left = 0x8000 - at % 0x8000;
        if left < 7 {
            at += left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let kind = bytes[at + 6];
        let end = at + 7 + length;
        assert!(
            end <= bytes.len() && 7 + length <= left,
            "a fragment is cut"
        );
        let crc = crc32fast::hash(&bytes[at + 6..end]);
        assert_eq!(bytes[at..at + 4], crc.to_le_bytes(), "at {at}");
        record.extend_from_slice(&bytes[at + 7..end]);
        at = end;
        if matches!(kind, 1 | 4) {
            let whole = std::mem::take(&mut record);
            let number = u64::from_le_bytes(field(&whole, 1).try_into().expect("a number"));
            records.push(whole);
            assert_eq!(number as usize, records.len(), "records are counted");
        }
    }
    records
        .iter()
        .map(|record| {
            fields(record)
                .into_iter()
                .find(|(number, _)| !matches!(number, 1 | 200))
                .expect("every record says something")
        })
        .collect()
}

#[test]
fn a_folder_has_the_whole_run() {
    let (bench, mock) = (Bench::new(), quick_mock());
    // No key, and a service that would be noticed.
    let service = Recorder::start(Service::Good);
    let ended = run(&mut logged(
        &bench,
        &mock,
        &service.address,
        30,
        &["--wandb-offline", "--rate", "10"],
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(service.seen().len(), 0);
    let folders: Vec<_> = std::fs::read_dir(bench.path("wandb"))
        .expect("the folder was made")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    let [folder] = folders.as_slice() else {
        panic!("{folders:?}");
    };
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.expect("a name").to_owned();
    let parts: Vec<&str> = name.split('-').collect();
    assert_eq!(parts[..2], ["offline", "run"]);
    let id = parts[3];
    assert!(folder.join("files").is_dir());
    let told = ended
        .stderr
        .lines()
        .find(|line| line.contains("wandb sync "));
    assert!(told.is_some_and(|line| line.ends_with(&name)), "{told:?}");

    let records = records(&folder.join(format!("run-{id}.wandb")));
    assert_eq!(records[0].0, 21, "the header comes first");
    assert_eq!(records[1].0, 17, "then the run");
    let run = &records[1].1;
    let text = |number| String::from_utf8(field(run, number)).expect("it is text");
    assert_eq!(
        (text(1), text(3), text(8)),
        (id.into(), "perf_benchmark".into(), "run".into())
    );
    let config = items(&field(run, 4));
    assert_eq!(config["model"], "m");
    assert_eq!(config["parser_name"], "openai_prompt");
    let rows: Vec<_> = records
        .iter()
        .filter(|(number, _)| *number == 2)
        .map(|(_, row)| items(row))
        .collect();
    assert!(rows.len() >= 2, "{} rows", rows.len());
    for (step, row) in rows.iter().enumerate() {
        assert_eq!(row["_step"], step);
    }
    assert_eq!(rows[rows.len() - 1]["completed"], 30);
    let summary: Map<String, Value> = records
        .iter()
        .filter(|(number, _)| *number == 3)
        .flat_map(|(_, update)| items(update))
        .collect();
    assert_eq!(summary["completed"], 30);
    assert_eq!(summary["requests/succeeded"], 30);
    assert!(summary["_wandb.runtime"].is_number());
    let (number, exit) = records.last().expect("there are records");
    assert_eq!(*number, 18, "the end comes last");
    // An exit code of zero is left out, as all that is zero.
    assert!(fields(exit).iter().all(|(number, _)| *number == 2));
}

/// The reader of the Python client itself. Needs the program `wandb` (`pip install wandb`), or the path of
/// one in `WANDB_PROGRAM`; run it with `cargo test -- --ignored wandb::`.
#[test]
#[ignore = "needs the Python package wandb"]
fn wandb_sync_takes_the_folder() {
    let (bench, mock, service) = (Bench::new(), quick_mock(), Recorder::start(Service::Good));
    let offline = ["--wandb-offline", "--rate", "10"];
    let ended = run(&mut logged(&bench, &mock, &service.address, 30, &offline));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let program = std::env::var("WANDB_PROGRAM").unwrap_or_else(|_| "wandb".to_owned());
    let folder = std::fs::read_dir(bench.path("wandb"))
        .expect("the folder was made")
        .next()
        .expect("with a run in it")
        .expect("it can be listed")
        .path();
    let synced = run(Command::new(program)
        .arg("sync")
        .arg(&folder)
        .current_dir(bench.path(""))
        .env("HOME", bench.path(""))
        .env("WANDB_API_KEY", KEY)
        .env("WANDB_BASE_URL", format!("http://{}", service.address)));
    assert_eq!(synced.code, Some(0), "{}{}", synced.stdout, synced.stderr);
    let seen = service.seen();
    let made = seen
        .iter()
        .find(|request| request.body["operationName"] == "UpsertBucket")
        .expect("it makes the run");
    assert_eq!(made.body["variables"]["displayName"], "run");
    let config = object_in(&made.body["variables"]["config"]);
    assert_eq!(config["parser_name"]["value"], "openai_prompt");
    let last = seen
        .iter()
        .rfind(|request| request.path.ends_with("/file_stream"))
        .expect("it sends lines");
    assert_eq!(last.body["complete"], true);
    let summary = object_in(&last.body["files"]["wandb-summary.json"]["content"][0]);
    assert_eq!(summary["completed"], 30);
    assert_eq!(summary["requests/succeeded"], 30);
}
