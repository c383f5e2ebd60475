//! Files that a command writes: made before the work begins, so that what cannot be written is known by
//! then, and never over one that is there.

use crate::error::OutputError;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output: `-` on the command line.
    StandardOutput,
    /// A new file.
    File(PathBuf),
}

impl Target {
    /// What was typed: `-`, or the name of a file.
    pub fn of(text: &str) -> Self {
        match text {
            "-" => Self::StandardOutput,
            path => Self::File(PathBuf::from(path)),
        }
    }
}

/// Where a command was told to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// The JSON document.
    pub json: Option<Target>,
    /// The table of requests.
    pub csv: Option<Target>,
    /// The page.
    pub html: Option<Target>,
}

impl Targets {
    /// What was typed for `--json`, `--csv` and `--html`.
    ///
    /// # Errors
    /// Where two of them would share standard output.
    pub fn of(
        json: Option<&str>,
        csv: Option<&str>,
        html: Option<&str>,
    ) -> Result<Self, OutputError> {
        let targets = Self {
            json: json.map(Target::of),
            csv: csv.map(Target::of),
            html: html.map(Target::of),
        };
        let on_stdout = targets
            .all()
            .filter(|target| **target == Target::StandardOutput);
        if on_stdout.count() > 1 {
            return Err(OutputError::TwoOnStandardOutput);
        }
        Ok(targets)
    }

    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Whether standard output is taken.
    pub fn take_stdout(&self) -> bool {
        self.all().any(|target| *target == Target::StandardOutput)
    }

    fn all(&self) -> impl Iterator<Item = &Target> {
        [&self.json, &self.csv, &self.html].into_iter().flatten()
    }
}

/// The files of [`Targets`], made and still empty.
#[derive(Debug, Default)]
pub struct NewFiles {
    /// For the JSON document.
    pub json: Option<NewFile>,
    /// For the table of requests.
    pub csv: Option<NewFile>,
    /// For the page.
    pub html: Option<NewFile>,
}

impl NewFiles {
    /// Makes all of the files, or none of them.
    ///
    /// # Errors
    /// Where there is such a file already, or none can be made.
    pub fn make(targets: &Targets) -> Result<Self, OutputError> {
        let mut files = Self::default();
        match files.fill(targets) {
            Ok(()) => Ok(files),
            Err(error) => {
                files.discard();
                Err(error)
            }
        }
    }

    fn fill(&mut self, targets: &Targets) -> Result<(), OutputError> {
        let make = |flag, target: &Option<Target>| {
            target
                .as_ref()
                .map(|target| NewFile::make(flag, target))
                .transpose()
        };
        self.json = make("--json", &targets.json)?;
        self.csv = make("--csv", &targets.csv)?;
        self.html = make("--html", &targets.html)?;
        Ok(())
    }

    /// Takes them away again: there is nothing to write.
    pub fn discard(self) {
        for file in [self.json, self.csv, self.html].into_iter().flatten() {
            file.discard();
        }
    }
}

/// A file that was made and is still empty, or standard output.
#[derive(Debug)]
pub struct NewFile {
    flag: &'static str,
    place: Option<(PathBuf, File)>,
}

impl NewFile {
    /// Makes the file of `target`, which the user gave with `flag`.
    ///
    /// # Errors
    /// Where there is such a file already, or none can be made.
    fn make(flag: &'static str, target: &Target) -> Result<Self, OutputError> {
        let place = match target {
            Target::StandardOutput => None,
            Target::File(path) => Some((path.clone(), create(flag, path)?)),
        };
        Ok(Self { flag, place })
    }

    /// The flag that named it.
    pub(super) fn flag(&self) -> &'static str {
        self.flag
    }

    /// Writes the whole content.
    ///
    /// # Errors
    /// Where it cannot be written; part of it may be in the file then.
    pub fn write(self, content: &str) -> Result<(), OutputError> {
        match self.place {
            None => {
                let mut out = std::io::stdout().lock();
                let written = out.write_all(content.as_bytes()).and_then(|()| out.flush());
                unless_closed(written, ())
            }
            Some((path, mut file)) => {
                file.write_all(content.as_bytes())
                    .map_err(|reason| OutputError::Write {
                        flag: self.flag,
                        path,
                        reason,
                    })
            }
        }
    }

    /// The name of the file. `None`: standard output.
    pub fn path(&self) -> Option<&Path> {
        self.place.as_ref().map(|(path, _)| path.as_path())
    }

    /// The file itself with its name, for someone who writes bit by bit. `None`: standard output.
    pub fn into_file(self) -> Option<(PathBuf, File)> {
        self.place
    }

    /// Takes the file away again: there is nothing to write.
    pub fn discard(self) {
        if let Some((path, _)) = self.place {
            // It is empty; one that cannot be removed does no harm.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether an error of the system is about the place that the user named, rather than about a disk that is
/// full or broken.
pub fn is_of_the_name(error: &std::io::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::Interrupted
            | ErrorKind::OutOfMemory
    ) && error.raw_os_error() != Some(libc::EIO)
}

/// A reader of standard output that closed its end had what it wanted.
pub(super) fn unless_closed<T>(written: std::io::Result<T>, closed: T) -> Result<T, OutputError> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(closed),
        written => written.map_err(OutputError::StandardOutput),
    }
}

fn create(flag: &'static str, path: &Path) -> Result<File, OutputError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|reason| match reason.kind() {
            ErrorKind::AlreadyExists => OutputError::Exists {
                flag,
                path: path.to_owned(),
            },
            _ => OutputError::Write {
                flag,
                path: path.to_owned(),
                reason,
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_beforehand_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        let targets = Targets::of(path.to_str(), None, None).unwrap();
        let files = NewFiles::make(&targets).unwrap();
        let second = NewFiles::make(&targets).unwrap_err();
        assert!(second.to_string().contains("--json"), "{second}");
        files.json.unwrap().write("{}").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        std::fs::remove_file(&path).unwrap();
        NewFiles::make(&targets).unwrap().discard();
        assert!(!path.exists());
    }

    #[test]
    fn all_are_made_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (new, there) = (folder.path().join("new"), folder.path().join("there"));
        std::fs::write(&there, "mine").unwrap();
        let targets = Targets::of(new.to_str(), None, there.to_str()).unwrap();
        let error = NewFiles::make(&targets).unwrap_err();
        assert!(error.to_string().contains("--html"), "{error}");
        assert!(!new.exists());
        assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    }

    #[test]
    fn standard_output_is_for_one() {
        let one = Targets::of(Some("-"), Some("x.csv"), None).unwrap();
        assert_eq!(one.json, Some(Target::StandardOutput));
        assert!(one.take_stdout() && !one.is_empty());
        assert!(Targets::of(Some("-"), None, Some("-")).is_err());
        assert!(Targets::of(None, None, None).unwrap().is_empty());
    }
}
