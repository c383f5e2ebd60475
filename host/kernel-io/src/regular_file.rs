//! Files that a user names: ordinary ones, of a bounded size. A pipe would be waited for without end, and a device may
//! have no end.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Seek};
use std::path::Path;

/// The begin of what Git leaves in the place of a large file that it has not fetched:
/// <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Opens an ordinary file to be read.
///
/// # Errors
/// Where it cannot be opened, is a folder, a pipe or a device, or is a Git LFS pointer in place of the file.
pub fn open_regular(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a pipe would wait for somebody to write into it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(Error::new(ErrorKind::IsADirectory, "it is a folder"));
    }
    if !kind.is_file() {
        return Err(no_ordinary_file());
    }
    let mut begin = Vec::new();
    (&file)
        .take(LFS_POINTER.len() as u64)
        .read_to_end(&mut begin)
        .map_err(of_reading)?;
    if begin == LFS_POINTER {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "this is a Git LFS pointer in place of the file: run `git lfs pull` where it was cloned",
        ));
    }
    file.rewind()?;
    Ok(file)
}

fn no_ordinary_file() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "it is a pipe or a device, and an ordinary file is needed",
    )
}

/// Why a file cannot be read. Some of the kernel's files are ordinary by their kind and pipes by what they do, such as
/// `/proc/kmsg`.
fn of_reading(error: Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock => no_ordinary_file(),
        _ => error,
    }
}

/// Reads an ordinary file of at most `most` bytes.
///
/// # Errors
/// As of [`open_regular`], and where the file is larger.
pub fn read_regular(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!(
                "it is larger than {} MiB, the most that is taken",
                most >> 20
            ),
        ));
    }
    Ok(bytes)
}

/// Reads an ordinary file of at most `most` bytes as text.
///
/// # Errors
/// As of [`read_regular`], and where it is not UTF-8.
pub fn read_regular_text(path: &Path, most: u64) -> std::io::Result<String> {
    String::from_utf8(read_regular(path, most)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: &Path) -> String {
        read_regular(path, 2 << 20).unwrap_err().to_string()
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, vec![0; 2 << 20]).unwrap();
        assert_eq!(read_regular(&path, 2 << 20).unwrap().len(), 2 << 20);
        std::fs::write(&path, vec![0; (2 << 20) + 1]).unwrap();
        assert!(why(&path).contains("larger than 2 MiB"));
        assert!(why(folder.path()).contains("folder"));
    }

    #[test]
    fn what_has_nothing_to_read_yet_is_no_ordinary_file() {
        let error = of_reading(Error::from(ErrorKind::WouldBlock));
        assert!(error.to_string().contains("a pipe or a device"), "{error}");
        let error = of_reading(Error::from(ErrorKind::UnexpectedEof));
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_git_lfs_pointer_is_refused_and_other_files_are_read_from_their_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        std::fs::write(&path, pointer).unwrap();
        assert!(why(&path).contains("git lfs pull"));
        for text in [&pointer[1..], "version https", ""] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_regular(&path, 1 << 20).unwrap(), text.as_bytes());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [&pipe, Path::new("/dev/zero")] {
            assert!(why(path).contains("pipe or a device"), "{}", path.display());
        }
    }
}
