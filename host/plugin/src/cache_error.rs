//! What can be wrong with the cache of compiled plugins.

use std::path::PathBuf;

/// Something is wrong with the cache. The parser works without; only time is lost.
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
    /// Somebody else could put code into the folder, or has done so.
    #[error(
        "{} belongs to another user, or other users have rights to it: what lies in it may not be this program's. \
         Remove it with all that is in it; it is made anew",
        path.display()
    )]
    Shared {
        /// The folder.
        path: PathBuf,
    },
    /// The same of a folder that was not made for it, to which a link leads.
    #[error(
        "a link in {} leads to {}, which belongs to another user, or other users have rights to it: what lies in it may \
         not be this program's. Remove the link; a folder is made in its place",
        link.display(), path.display()
    )]
    Linked {
        /// The path with the link.
        link: PathBuf,
        /// The folder.
        path: PathBuf,
    },
    /// Somebody else could put another folder in its place.
    #[error(
        "other users may rename what is in {}, and so put code of theirs in the place of the cache: set \
         XDG_CACHE_HOME to a folder that only you may write to, and whose parents only you or root may",
        path.display()
    )]
    Parent {
        /// The folder above that of the cache.
        path: PathBuf,
    },
    /// An entry is not what this program wrote. It was removed, and the parser compiled anew.
    #[error(
        "the compiled parser {} was damaged or not written by this program ({reason}): it was removed, and the \
         parser is compiled anew",
        path.display()
    )]
    Entry {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The same of one that stays where it is.
    #[error(
        "the compiled parser {} was damaged or not written by this program ({reason}), and cannot be removed ({source}): \
         remove it, or the parser is compiled anew each time",
        path.display()
    )]
    Stays {
        /// What is there.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}
