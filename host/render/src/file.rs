//! Files that a command writes: made before the work begins, so that what cannot be written is known by
//! then, and never over one that is there.

use crate::error::OutputError;
use llmuses_kernel_io::private_file::create_new;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputFile {
    /// Standard output: `-` on the command line.
    StandardOutput,
    /// A new file.
    File(PathBuf),
}

impl OutputFile {
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
pub struct OutputFiles {
    /// The table of requests.
    pub csv: Option<OutputFile>,
    /// The documents, each with the flag that asked for it.
    pub documents: Vec<(&'static str, OutputFile)>,
}

impl OutputFiles {
    /// What was given for `--csv`, and for the flags of documents.
    ///
    /// # Errors
    /// Where two of them would share standard output.
    pub fn of(
        csv: Option<&str>,
        documents: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Result<Self, OutputError> {
        let targets = Self {
            csv: csv.map(OutputFile::of),
            documents: documents
                .into_iter()
                .filter_map(|(flag, file)| Some((flag, OutputFile::of(&file?))))
                .collect(),
        };
        let on_stdout = targets
            .all()
            .filter(|target| **target == OutputFile::StandardOutput);
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
        self.all()
            .any(|target| *target == OutputFile::StandardOutput)
    }

    fn all(&self) -> impl Iterator<Item = &OutputFile> {
        let documents = self.documents.iter().map(|(_, target)| target);
        self.csv.iter().chain(documents)
    }
}

/// The files of [`OutputFiles`], made and still empty.
#[derive(Debug, Default)]
pub struct NewFiles {
    /// For the table of requests.
    pub csv: Option<NewFile>,
    /// For the documents.
    pub documents: Vec<NewFile>,
}

impl NewFiles {
    /// Makes all of the files, or none of them.
    ///
    /// # Errors
    /// Where there is such a file already, or none can be made.
    pub fn make(targets: &OutputFiles) -> Result<Self, OutputError> {
        let mut files = Self::default();
        match files.fill(targets) {
            Ok(()) => Ok(files),
            Err(error) => {
                files.discard();
                Err(error)
            }
        }
    }

    fn fill(&mut self, targets: &OutputFiles) -> Result<(), OutputError> {
        for (flag, target) in &targets.documents {
            self.documents.push(NewFile::make(flag, target)?);
        }
        if let Some(target) = &targets.csv {
            self.csv = Some(NewFile::make("--csv", target)?);
        }
        Ok(())
    }

    /// Takes them away again: there is nothing to write.
    pub fn discard(self) {
        self.csv
            .into_iter()
            .chain(self.documents)
            .for_each(NewFile::discard);
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
    pub(super) fn make(flag: &'static str, target: &OutputFile) -> Result<Self, OutputError> {
        let place = match target {
            OutputFile::StandardOutput => None,
            OutputFile::File(path) => Some((path.clone(), create(flag, path)?)),
        };
        Ok(Self { flag, place })
    }

    /// The flag that named it.
    pub fn flag(&self) -> &'static str {
        self.flag
    }

    /// Writes the whole content.
    ///
    /// # Errors
    /// Where it cannot be written. A reader of standard output that closed its end is no error.
    pub fn write(self, content: &str) -> Result<(), OutputError> {
        match self.place {
            None => {
                let mut out = std::io::stdout().lock();
                let written = out.write_all(content.as_bytes()).and_then(|()| out.flush());
                unless_closed(written, ())
            }
            Some(_) => self.replace(content),
        }
    }

    /// Gives a file this content, all at once: whoever reads it finds the content from before or this one. Standard output
    /// stays as it is.
    ///
    /// # Errors
    /// Where it cannot be written; the file has the content from before then.
    pub fn replace(&self, content: &str) -> Result<(), OutputError> {
        let Some((path, _)) = &self.place else {
            return Ok(());
        };
        let mut beside = path.clone().into_os_string();
        beside.push(".part");
        // One that a run left which was killed.
        let _ = std::fs::remove_file(&beside);
        create_new(Path::new(&beside))
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|reason| {
                // It is of no use to anyone.
                let _ = std::fs::remove_file(&beside);
                OutputError::Write {
                    flag: self.flag,
                    path: path.clone(),
                    reason,
                }
            })
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

/// A reader of standard output that closed its end had what it wanted.
pub(super) fn unless_closed<T>(written: std::io::Result<T>, closed: T) -> Result<T, OutputError> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(closed),
        written => written.map_err(OutputError::StandardOutput),
    }
}

fn create(flag: &'static str, path: &Path) -> Result<File, OutputError> {
    create_new(path).map_err(|reason| match reason.kind() {
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

    fn name(path: &Path) -> Option<String> {
        path.to_str().map(ToOwned::to_owned)
    }

    #[test]
    fn a_file_is_made_beforehand_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        let targets = OutputFiles::of(None, [("--json", name(&path))]).unwrap();
        let files = NewFiles::make(&targets).unwrap();
        let second = NewFiles::make(&targets).unwrap_err();
        assert!(second.to_string().contains("--json"), "{second}");
        let file = files.documents.into_iter().next().unwrap();
        file.replace("{").unwrap();
        file.write("{}").unwrap();
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
        let documents = [("--json", name(&new)), ("--html", name(&there))];
        let targets = OutputFiles::of(None, documents).unwrap();
        let error = NewFiles::make(&targets).unwrap_err();
        assert!(error.to_string().contains("--html"), "{error}");
        assert!(!new.exists());
        assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    }

    #[test]
    fn standard_output_is_for_one() {
        let dash = || Some("-".to_owned());
        let one = OutputFiles::of(Some("x.csv"), [("--json", dash())]).unwrap();
        assert_eq!(one.documents, [("--json", OutputFile::StandardOutput)]);
        assert!(one.take_stdout() && !one.is_empty());
        assert!(OutputFiles::of(None, [("--json", dash()), ("--html", dash())]).is_err());
        assert!(OutputFiles::of(None, []).unwrap().is_empty());
    }
}
