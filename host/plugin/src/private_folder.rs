//! A folder that nobody but its owner can change, held open: what is done in it is done through its handle, so that
//! no path can be made to lead elsewhere meanwhile.

use super::cache_error::CacheError;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// An open folder of the user's alone.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    handle: OwnedFd,
    path: PathBuf,
}

/// A file was not read.
#[derive(Debug)]
pub(super) enum NotRead {
    /// There is none of that name.
    Missing,
    /// It is not a file that this program can have written.
    Foreign(&'static str),
    /// The system could not.
    Io(std::io::Error),
}

/// A file of the folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was last used, in Unix seconds.
    pub(super) used: i64,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl PrivateFolder {
    /// Opens the folder, and makes it and what is missing above it. `own` folders at the end of the path are this
    /// program's; where links lead elsewhere, those of the same names at the end of where they lead.
    ///
    /// # Errors
    /// Where it cannot be made, it or one above it can be changed by another user, or it can be read by one.
    pub(super) fn open(path: &Path, own: usize) -> Result<Self, CacheError> {
        let failed = |at: &Path, error: std::io::Error| CacheError::Io {
            path: at.to_owned(),
            source: error,
        };
        let given = path;
        let path = real(given).map_err(|error| failed(given, error))?;
        let last = path.components().count() - 1;
        // A user may have put a link in the place of one of them. What it leads to is somebody's folder for other things, and
        // so is what is above that.
        let names = path.components().rev().zip(given.components().rev());
        let own = names.take(own).take_while(|(one, other)| one == other);
        let own = own.count();
        let mut at = PathBuf::new();
        let mut handle: Option<OwnedFd> = None;
        for (index, part) in path.components().enumerate() {
            at.push(part);
            let opened = match (&handle, part) {
                (None, _) => rustix::fs::open(&at, FOLDER, Mode::empty()),
                (Some(above), part) => open_or_make(above, part),
            };
            let opened = opened.map_err(|error| failed(&at, error.into()))?;
            let stat = rustix::fs::fstat(&opened).map_err(|error| failed(&at, error.into()))?;
            let is_own = index + own > last;
            if !is_kept_from_others(&stat, is_own || index == last) {
                return Err(if is_own {
                    CacheError::Shared { path: at }
                } else if index == last {
                    CacheError::Linked {
                        link: given.to_owned(),
                        path: at,
                    }
                } else {
                    CacheError::Parent { path: at }
                });
            }
            handle = Some(opened);
        }
        match handle {
            Some(handle) => Ok(Self { handle, path }),
            None => Err(CacheError::NoHome),
        }
    }

    /// Where a file of the folder lies, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a file of at most `most` bytes, and notes that it was used.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, NotRead> {
        let io = |error: Errno| NotRead::Io(error.into());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Err(NotRead::Missing),
            Err(Errno::LOOP) => return Err(NotRead::Foreign("it is a link")),
            Err(error) => return Err(io(error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(io)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(NotRead::Foreign("it is not an ordinary file"));
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(NotRead::Foreign("another user owns it"));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(NotRead::Foreign("other users have rights to it"));
        }
        if stat.st_nlink != 1 {
            return Err(NotRead::Foreign("it has another name elsewhere"));
        }
        // It only keeps the entry from being taken for an old one.
        let _ = rustix::fs::futimens(&file, &now());
        let mut bytes = Vec::new();
        File::from(file)
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(NotRead::Io)?;
        if bytes.len() as u64 > most {
            return Err(NotRead::Foreign("it is too large"));
        }
        Ok(bytes)
    }

    /// Writes a file, in place of one of that name.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        let unfinished = self.unfinished(parts)?;
        rustix::fs::renameat(&self.handle, &unfinished, &self.handle, name).map_err(|error| {
            self.remove_unneeded(&unfinished);
            error.into()
        })
    }

    /// Writes a file unless there is one of that name.
    pub(super) fn write_new(&self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        let unfinished = self.unfinished(parts)?;
        let flags = AtFlags::empty();
        let linked = rustix::fs::linkat(&self.handle, &unfinished, &self.handle, name, flags);
        self.remove_unneeded(&unfinished);
        match linked {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes away what has this name, also an empty folder.
    ///
    /// # Errors
    /// Where it stays. That there is none is no error.
    pub(super) fn remove(&self, name: &str) -> std::io::Result<()> {
        let removed = match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            // Linux says the first of a folder, other systems the second.
            Err(Errno::ISDIR | Errno::PERM) => {
                rustix::fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR)
            }
            other => other,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a file away that nobody needs. One that stays is found the next time.
    pub(super) fn remove_unneeded(&self, name: &str) {
        let _ = self.remove(name);
    }

    /// The files of the folder.
    pub(super) fn entries(&self) -> std::io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            let stat =
                rustix::fs::statat(&self.handle, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
            // Another run may have taken it away; folders are none of ours.
            let (Ok(stat), Ok(name)) = (stat, entry.file_name().to_str()) else {
                continue;
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                continue;
            }
            entries.push(Entry {
                name: name.to_owned(),
                bytes: u64::try_from(stat.st_size).unwrap_or_default(),
                used: stat.st_mtime,
            });
        }
        Ok(entries)
    }

    /// Writes a file under a name that no other run has.
    fn unfinished(&self, parts: &[&[u8]]) -> std::io::Result<String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "{}-{}.tmp",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        // What a run of that number left behind is nobody's any more.
        self.remove_unneeded(&name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(rustix::fs::openat(&self.handle, &name, flags, mode)?);
        for part in parts {
            if let Err(error) = file.write_all(part) {
                // What is left of it would only take space.
                self.remove_unneeded(&name);
                return Err(error);
            }
        }
        Ok(name)
    }
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut there = path.as_path();
    loop {
        match there.canonicalize() {
            Ok(real) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(real, |path, part| path.join(part)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (Some(above), Some(name)) = (there.parent(), there.file_name()) else {
                    return Err(error);
                };
                missing.push(name);
                there = above;
            }
            Err(error) => return Err(error),
        }
    }
}

fn open_or_make(above: &OwnedFd, part: Component<'_>) -> Result<OwnedFd, Errno> {
    let name = part.as_os_str();
    match rustix::fs::openat(above, name, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) => match rustix::fs::mkdirat(above, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => rustix::fs::openat(above, name, FOLDER, Mode::empty()),
            Err(error) => Err(error),
        },
        opened => opened,
    }
}

/// Whether another user can do nothing in a folder of ours, or replace nothing in one above it.
fn is_kept_from_others(stat: &Stat, is_own: bool) -> bool {
    const STICKY: u32 = 0o1000;
    let user = rustix::process::geteuid().as_raw();
    if is_own {
        return stat.st_uid == user && stat.st_mode & 0o077 == 0;
    }
    // In one with the sticky bit, everybody can only rename what is theirs.
    let held = stat.st_mode & 0o022 == 0 || stat.st_mode & STICKY != 0;
    (stat.st_uid == user || stat.st_uid == 0) && held
}

fn now() -> Timestamps {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    Timestamps {
        last_access: now,
        last_modification: now,
    }
}
