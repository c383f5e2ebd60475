//! Files that a command writes: made before the work begins, so that what cannot be written is known by
//! then, and never over one that is there.

use super::error::ResultsError;
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
    pub fn make(flag: &'static str, target: &Target) -> Result<Self, ResultsError> {
        let place = match target {
            Target::StandardOutput => None,
            Target::File(path) => Some((path.clone(), create(flag, path)?)),
        };
        Ok(Self { flag, place })
    }

    /// Writes the whole content.
    ///
    /// # Errors
    /// Where it cannot be written; part of it may be in the file then.
    pub fn write(self, content: &str) -> Result<(), ResultsError> {
        match self.place {
            None => std::io::stdout()
                .lock()
                .write_all(content.as_bytes())
                .map_err(ResultsError::StandardOutput),
            Some((path, mut file)) => {
                file.write_all(content.as_bytes())
                    .map_err(|reason| ResultsError::Write {
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

fn create(flag: &'static str, path: &Path) -> Result<File, ResultsError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|reason| match reason.kind() {
            ErrorKind::AlreadyExists => ResultsError::Exists {
                flag,
                path: path.to_owned(),
            },
            _ => ResultsError::Write {
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
        let target = Target::of(path.to_str().unwrap());
        let file = NewFile::make("--json", &target).unwrap();
        let second = NewFile::make("--json", &target).unwrap_err();
        assert!(second.to_string().contains("--json"), "{second}");
        file.write("{}").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        std::fs::remove_file(&path).unwrap();
        NewFile::make("--json", &target).unwrap().discard();
        assert!(!path.exists());
        assert_eq!(Target::of("-"), Target::StandardOutput);
    }
}
