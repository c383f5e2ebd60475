//! Files that a command writes: made before the work begins, so that what cannot be written is known by
//! then, and never over one that is there.

use crate::error::OutputError;
use llmuses_kernel_io::private_file::create_new;
use llmuses_kernel_io::standard_output::standard_output;
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
    /// `-`, or the name of a file, as it was given.
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
    /// The files, each with the flag that asked for it.
    pub files: Vec<(&'static str, OutputFile)>,
}

impl OutputFiles {
    /// What was given for the flags of files.
    ///
    /// # Errors
    /// Where two of them would share standard output.
    pub fn of(
        files: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Result<Self, OutputError> {
        let files = files.into_iter();
        let files = files.filter_map(|(flag, file)| Some((flag, OutputFile::of(&file?))));
        let targets = Self {
            files: files.collect(),
        };
        let mut on_stdout = targets.on_stdout();
        if let (Some(one), Some(other)) = (on_stdout.next(), on_stdout.next()) {
            return Err(OutputError::TwoOnStandardOutput(one, other));
        }
        drop(on_stdout);
        Ok(targets)
    }

    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether standard output is taken.
    pub fn take_stdout(&self) -> bool {
        self.on_stdout().next().is_some()
    }

    fn on_stdout(&self) -> impl Iterator<Item = &'static str> + '_ {
        let files = self.files.iter();
        files.filter_map(|(flag, target)| (*target == OutputFile::StandardOutput).then_some(*flag))
    }
}

/// A file that was made and is still empty, or standard output.
#[derive(Debug)]
pub struct NewFile {
    flag: &'static str,
    place: Option<(PathBuf, File)>,
}

impl NewFile {
    /// Makes all of the files, or none of them.
    ///
    /// # Errors
    /// Where there is such a file already, or one cannot be made.
    pub fn make_all(targets: &OutputFiles) -> Result<Vec<Self>, OutputError> {
        let mut files = Vec::new();
        for (flag, target) in &targets.files {
            match Self::make(flag, target) {
                Ok(file) => files.push(file),
                Err(error) => {
                    files.into_iter().for_each(Self::discard);
                    return Err(error);
                }
            }
        }
        Ok(files)
    }

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
                let mut out = standard_output();
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
        let targets = OutputFiles::of([("--json", name(&path))]).unwrap();
        let mut files = NewFile::make_all(&targets).unwrap();
        let second = NewFile::make_all(&targets).unwrap_err();
        assert!(second.to_string().contains("--json"), "{second}");
        let file = files.remove(0);
        file.replace("{").unwrap();
        file.write("{}").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        std::fs::remove_file(&path).unwrap();
        NewFile::make_all(&targets).unwrap().remove(0).discard();
        assert!(!path.exists());
    }

    #[test]
    fn all_are_made_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (new, there) = (folder.path().join("new"), folder.path().join("there"));
        std::fs::write(&there, "mine").unwrap();
        let documents = [("--json", name(&new)), ("--html", name(&there))];
        let targets = OutputFiles::of(documents).unwrap();
        let error = NewFile::make_all(&targets).unwrap_err();
        assert!(error.to_string().contains("--html"), "{error}");
        assert!(!new.exists());
        assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    }

    #[test]
    fn standard_output_is_for_one() {
        let dash = || Some("-".to_owned());
        let csv = ("--csv", Some("x.csv".to_owned()));
        let one = OutputFiles::of([("--json", dash()), csv]).unwrap();
        assert_eq!(one.files[0], ("--json", OutputFile::StandardOutput));
        assert!(one.take_stdout() && !one.is_empty());
        let both = OutputFiles::of([("--json", dash()), ("--html", dash())]).unwrap_err();
        assert!(both.to_string().contains("--json - and --html -"), "{both}");
        assert!(OutputFiles::default().is_empty());
    }
}
