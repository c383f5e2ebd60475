//! Compiled parsers on disk, so that the second run with a parser starts at once.
//!
//! A compiled component is machine code that is run without a look at it. So nothing is ever read but
//! what this program wrote itself, into a folder that nobody else may write to. The name of an entry
//! is made of the component's bytes and of everything in the engine that shapes the code.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The cache could not be used. The parser works without; only time is lost.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There is no place for it.
    #[error("there is no home directory to keep compiled parsers in (set XDG_CACHE_HOME or HOME)")]
    NoHome,
    /// The folder or a file in it could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else could put code into the folder.
    #[error(
        "{} belongs to somebody else, or others may write to it; it would be code that this program \
         runs. Make it yours alone (chmod 700) or remove it",
        path.display()
    )]
    Shared {
        /// The folder.
        path: PathBuf,
    },
}

/// The folder of compiled parsers.
#[derive(Debug, Clone)]
pub struct CompileCache {
    folder: PathBuf,
}

impl CompileCache {
    /// Opens the cache in the user's cache folder (`llmuses/components` in `XDG_CACHE_HOME` or
    /// `~/.cache`), and makes it where it is not there.
    ///
    /// # Errors
    /// Where there is no such place, or it is not safe.
    pub fn open() -> Result<Self, CacheError> {
        let base = directories::BaseDirs::new().ok_or(CacheError::NoHome)?;
        Self::open_in(&base.cache_dir().join("llmuses").join("components"))
    }

    /// Opens the cache in `folder`, and makes it where it is not there.
    ///
    /// # Errors
    /// Where it cannot be made, or is not safe.
    pub fn open_in(folder: &Path) -> Result<Self, CacheError> {
        let failed = |source| CacheError::Io {
            path: folder.to_owned(),
            source,
        };
        create_private(folder).map_err(failed)?;
        if !is_private(folder).map_err(failed)? {
            return Err(CacheError::Shared {
                path: folder.to_owned(),
            });
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The compiled form of a component, if it is here and fits the engine.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(engine, digest);
        if !path.is_file() {
            return None;
        }
        // SAFETY: the folder is ours alone (checked when it was opened), and only `store` below writes
        // files into it, with what this engine compiled, each by renaming a finished file. The
        // engine itself refuses artefacts of another version or other settings.
        unsafe { Component::deserialize_file(engine, path) }.ok()
    }

    /// Keeps the compiled form of a component.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn store(
        &self,
        engine: &Engine,
        digest: &str,
        compiled: &[u8],
    ) -> Result<(), CacheError> {
        let path = self.path(engine, digest);
        // Of this process alone, so that two runs that compile the same parser do not meet.
        let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
        let write = || {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&unfinished)?.write_all(compiled)?;
            std::fs::rename(&unfinished, &path)
        };
        write().map_err(|source| {
            // What is left of it would only take space.
            let _ = std::fs::remove_file(&unfinished);
            CacheError::Io {
                path: path.clone(),
                source,
            }
        })
    }

    fn path(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder
            .join(format!("{digest}-{:016x}.compiled", hasher.finish()))
    }
}

#[cfg(unix)]
fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(unix)]
fn is_private(folder: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(folder)?;
    // SAFETY: `geteuid` has no arguments and cannot fail.
    let user = unsafe { libc::geteuid() };
    Ok(metadata.uid() == user && metadata.mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> std::io::Result<bool> {
    // The user's cache folder is theirs alone by the system's defaults.
    Ok(true)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_folder_is_made_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        CompileCache::open_in(&folder).unwrap();
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = CompileCache::open_in(home.path()).unwrap_err();
        assert!(matches!(error, CacheError::Shared { .. }), "{error}");
    }
}
