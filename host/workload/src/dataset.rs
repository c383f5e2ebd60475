//! The data set of a run: one file, opened by the host, read by the parser through the host.

use super::items::ItemReader;
use super::lines::LineReader;
use flate2::read::MultiGzDecoder;
use llmuses_core::budget::Budget;
use llmuses_kernel_io::pipe::Pipe;
use llmuses_kernel_io::regular_file::open_regular;
use llmuses_plugin_host::{DatasetAccess, EntryReader};
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// It could not be opened.
    #[error("the data set {} cannot be read", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Standard input is a terminal.
    #[error("--dataset - reads the data set from standard input, and nothing is piped into it")]
    Terminal,
    /// It is a folder.
    #[error("the data set {} is a folder; --dataset takes a file", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

/// So much of a file shows its format: records with images or long texts are large.
const HEAD_BYTES: u64 = 1 << 20;

/// A data set file.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    /// What all passes of all runs read, whatever has its name meanwhile. Of a pipe a copy without a name: it can be read once
    /// only.
    file: Arc<File>,
    /// Its size and the time of its last change when it was opened.
    state: (u64, Option<SystemTime>),
    /// Entries that the readers have handed over, of all passes.
    entries: Arc<AtomicU64>,
    /// What is read ahead draws its memory from this.
    budget: Arc<Budget>,
}

impl Dataset {
    /// Looks whether `path` is a file or a pipe that can be read, or `-` for standard input. Reads at most the first
    /// bytes of a file.
    ///
    /// # Errors
    /// Where it is not. What is in it shows only as it is read.
    pub fn check(path: &Path) -> Result<(), DatasetError> {
        if is_standard_input(path) {
            return match std::io::stdin().is_terminal() {
                true => Err(DatasetError::Terminal),
                false => Ok(()),
            };
        }
        if is_pipe(path) {
            return Ok(());
        }
        match open_regular(path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::IsADirectory => Err(DatasetError::Folder {
                path: path.to_owned(),
            }),
            Err(source) => Err(DatasetError::Open {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// A data set in the file `path`. A pipe and standard input (`-`) are read to their end, into a temporary file.
    ///
    /// # Errors
    /// As [`Self::check`], or where the pipe cannot be read or copied.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        Self::check(path)?;
        let opened = if is_pipe(path) || is_standard_input(path) {
            copy_of(path)
        } else {
            open_regular(path)
        };
        let (file, state) = opened
            .and_then(|file| state_of(&file).map(|state| (file, state)))
            .map_err(|source| DatasetError::Open {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            state,
            entries: Arc::default(),
            budget: Arc::default(),
        })
    }

    /// The same data set, with what was read of it counted from the beginning, and what is read ahead drawn from
    /// `budget`.
    pub fn for_another_run(&self, budget: &Arc<Budget>) -> Self {
        Self {
            path: self.path.clone(),
            file: Arc::clone(&self.file),
            state: self.state,
            entries: Arc::default(),
            budget: Arc::clone(budget),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lines or items that have been read so far, in all passes together, unreadable ones included.
    pub fn entries_read(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// The beginning of the file, by which its format is recognised.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn head(&self) -> Result<Vec<u8>, DatasetError> {
        let failed = |source| DatasetError::Open {
            path: self.path.clone(),
            source,
        };
        let mut head = Vec::new();
        self.content()
            .map_err(std::io::Error::other)
            .and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head))
            .map_err(failed)?;
        // The mark with which some editors begin a file is no part of it.
        if head.starts_with(b"\xEF\xBB\xBF") {
            head.drain(..3);
        }
        Ok(head)
    }

    /// The name of the file without its folder and without the ending of a compressed one.
    pub fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let endings = [".gz", ".zst", ".zstd"];
        let plain = endings.iter().find_map(|ending| name.strip_suffix(ending));
        plain.unwrap_or(&name).to_owned()
    }

    /// What is in the file, from its beginning. A gzip or Zstandard file, known by its first bytes, is unpacked as it is
    /// read.
    ///
    /// # Errors
    /// A text for the user.
    pub fn content(&self) -> Result<Box<dyn Read + Send>, String> {
        let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
        let file = self.file()?;
        let mut begin = Vec::new();
        let first = self.file()?.take(4).read_to_end(&mut begin);
        first.map_err(cannot)?;
        Ok(match begin[..] {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                Box::new(zstd::stream::read::Decoder::new(file).map_err(cannot)?)
            }
            _ => Box::new(file),
        })
    }

    /// The file to read, from its beginning.
    ///
    /// # Errors
    /// A text for the user. One that was changed since it was opened would give requests of two data sets for those of one.
    pub fn file(&self) -> Result<Pass, String> {
        let name = self.path.display();
        match state_of(&self.file) {
            Ok(state) if state == self.state => Ok(Pass {
                file: Arc::clone(&self.file),
                at: 0,
            }),
            Ok(_) => Err(format!(
                "the data set {name} was changed after this run began to read it: what follows may be of another data set. Leave it as it is until the run is over"
            )),
            Err(error) => Err(format!("the data set {name} cannot be read again: {error}")),
        }
    }
}

/// A pass over the file of a data set. It has a place of its own in it.
#[derive(Debug)]
pub struct Pass {
    file: Arc<File>,
    at: u64,
}

impl Read for Pass {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn state_of(file: &File) -> std::io::Result<(u64, Option<SystemTime>)> {
    let found = file.metadata()?;
    Ok((found.len(), found.modified().ok()))
}

fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// The most that is copied of a pipe: one without an end would fill the disk.
const MOST_COPIED_BYTES: u64 = 16 << 30;

/// How long a pipe is waited for into which nobody writes yet.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

fn copy_of(pipe: &Path) -> std::io::Result<File> {
    if is_standard_input(pipe) {
        copied(std::io::stdin().lock(), MOST_COPIED_BYTES)
    } else {
        copied(Pipe::open(pipe, LONGEST_WAIT)?, MOST_COPIED_BYTES)
    }
}

fn copied(pipe: impl Read, most: u64) -> std::io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    let bytes = std::io::copy(&mut pipe.take(most.saturating_add(1)), &mut copy)?;
    if bytes > most {
        return Err(std::io::Error::new(
            ErrorKind::FileTooLarge,
            format!(
                "it brings more than {} GiB, the most that is copied of a pipe",
                most >> 30
            ),
        ));
    }
    Ok(copy)
}

impl DatasetAccess for Dataset {
    fn lines(&self) -> Result<Box<dyn EntryReader>, String> {
        Ok(Box::new(LineReader::new(
            self.content()?,
            Arc::clone(&self.entries),
        )))
    }

    fn items(&self) -> Result<Box<dyn EntryReader>, String> {
        Ok(Box::new(ItemReader::new(
            self.content()?,
            Arc::clone(&self.entries),
            &self.budget,
        )?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn of_a_pipe_without_an_end_not_all_is_copied() {
        let error = copied(std::io::repeat(b'x'), 1 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let copy = copied(&b"line"[..], 4).unwrap();
        let mut bytes = [0; 9];
        assert_eq!(copy.read_at(&mut bytes, 0).unwrap(), 4);
        assert_eq!(&bytes[..4], b"line");
    }

    #[test]
    fn all_passes_read_the_file_that_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let dataset = Dataset::open(&path).unwrap();
        let read = || {
            let mut content = String::new();
            dataset
                .content()?
                .read_to_string(&mut content)
                .map_err(|error| error.to_string())?;
            Ok::<_, String>(content)
        };
        assert_eq!(read().as_deref(), Ok("one\ntwo\n"));
        // Another file under its name, and none.
        let other = folder.path().join("b.txt");
        std::fs::write(&other, "other\n").unwrap();
        let kept = folder.path().join("kept.txt");
        std::fs::hard_link(&path, &kept).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(read().as_deref(), Ok("one\ntwo\n"));
        std::fs::remove_file(&path).unwrap();
        let again = dataset.for_another_run(&Arc::default());
        assert!(again.lines().unwrap().next(1).unwrap() == ["one"]);
        // The same file with another content.
        std::fs::write(&kept, "one\n").unwrap();
        let error = read().unwrap_err();
        assert!(
            error.contains("a.txt was changed after this run began to read it"),
            "{error}"
        );
    }

    #[test]
    fn compressed_files_are_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let text = "one\ntwo\n".repeat(200_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (name, bytes) in [("a.csv.gz", &gzip), ("a.csv.zst", &zstd)] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let dataset = Dataset::open(&path).unwrap();
            let mut content = String::new();
            dataset
                .content()
                .unwrap()
                .read_to_string(&mut content)
                .unwrap();
            assert!(content == text, "{name}");
            assert!(
                dataset.head().unwrap() == text.as_bytes()[..1 << 20],
                "{name}"
            );
            assert_eq!(dataset.file_name(), "a.csv");
            // A file that was cut.
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            let mut content = Dataset::open(&path).unwrap().content().unwrap();
            assert!(content.read_to_end(&mut Vec::new()).is_err(), "{name}");
        }
    }
}
