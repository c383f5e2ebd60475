//! Compiled parsers on disk, so that the second run with a parser starts at once.
//!
//! A compiled component is machine code that is run without a look at it. So nothing is ever read but what this program
//! wrote itself: into a folder that nobody else can change, with a digest over component and code that can be made
//! only with a key which nobody else can read. The name of an entry is made of the component's bytes and of everything
//! in the engine that shapes the code.

use super::cache_error::CacheError;
use super::private_folder::{NotRead, PrivateFolder};
use hmac::{Hmac, KeyInit, Mac};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::Sha256;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The file of the key.
const KEY: &str = "key";

/// The size of the key: a block of the hash.
const KEY_BYTES: usize = 64;

/// The size of a digest.
const DIGEST_BYTES: usize = 32;

/// How the name of an entry ends.
const SUFFIX: &str = ".code";

/// An entry is not read beyond this: no component becomes that large under the bounds of compiling.
const MOST_ENTRY_BYTES: u64 = 4 << 30;

/// What all entries take together at most; those that were not used for longest go first.
const MOST_BYTES: u64 = 512 << 20;

/// An entry that was not used for so long goes.
const MOST_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The folder of compiled parsers.
#[derive(Debug)]
pub struct CompileCache {
    folder: PrivateFolder,
    key: [u8; KEY_BYTES],
}

impl CompileCache {
    /// Opens the cache in the user's cache folder (`llmuses/components` in `XDG_CACHE_HOME` or
    /// `~/.cache`), and makes it where it is not there.
    ///
    /// # Errors
    /// Where there is no such place, or it is not safe.
    pub fn open() -> Result<Self, CacheError> {
        let base = directories::BaseDirs::new().ok_or(CacheError::NoHome)?;
        Self::open_in(&base.cache_dir().join("llmuses").join("components"), 2)
    }

    /// Opens the cache in `path`, and makes it where it is not there. The last `own` folders of the path are the
    /// cache's.
    fn open_in(path: &Path, own: usize) -> Result<Self, CacheError> {
        let folder = PrivateFolder::open(path, own)?;
        let failed = |source| CacheError::Io {
            path: folder.path(KEY),
            source,
        };
        let key = match key_in(&folder).map_err(failed)? {
            Some(key) => key,
            None => {
                // Whatever had that name: entries that were made with it are made anew.
                folder.remove(KEY).map_err(failed)?;
                let mut key = [0; KEY_BYTES];
                SysRng
                    .try_fill_bytes(&mut key)
                    .map_err(|error| failed(std::io::Error::other(error)))?;
                folder.write_new(KEY, &[&key]).map_err(failed)?;
                // Another run may have been faster.
                key_in(&folder).map_err(failed)?.ok_or_else(|| {
                    failed(std::io::Error::other(
                        "the key that was written is not there",
                    ))
                })?
            }
        };
        Ok(Self { folder, key })
    }

    /// The compiled form of a component. `None`: it is not here.
    ///
    /// # Errors
    /// Where it is here, but not what this program wrote; it has been removed then where that was possible.
    pub(super) fn load(
        &self,
        engine: &Engine,
        digest: &str,
    ) -> Result<Option<Component>, CacheError> {
        let (name, shape) = name_of(engine, digest);
        let bad = |reason| {
            let path = self.folder.path(&name);
            match self.folder.remove(&name) {
                Ok(()) => CacheError::Entry { path, reason },
                Err(source) => CacheError::Stays {
                    path,
                    reason,
                    source,
                },
            }
        };
        let entry = match self.folder.read(&name, MOST_ENTRY_BYTES) {
            Ok(entry) => entry,
            Err(NotRead::Missing) => return Ok(None),
            Err(NotRead::Foreign(reason)) => return Err(bad(reason)),
            Err(NotRead::Io(source)) => {
                return Err(CacheError::Io {
                    path: self.folder.path(&name),
                    source,
                });
            }
        };
        let Some((told, code)) = entry.split_at_checked(DIGEST_BYTES) else {
            return Err(bad("it is cut short"));
        };
        if self.digest(digest, shape, code).verify_slice(told).is_err() {
            return Err(bad("its digest is another one"));
        }
        // SAFETY: the digest over component and code can only be made with the key, which lies in a file of the user's
        // alone; so `store` below wrote this, with what this engine compiled, and these bytes in memory cannot change
        // any more. The engine itself refuses artefacts of another version or other settings.
        unsafe { Component::deserialize(engine, code) }
            .map(Some)
            .map_err(|_| bad("the engine does not take it"))
    }

    /// Keeps the compiled form of a component, and takes away what is old or too much.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn store(
        &self,
        engine: &Engine,
        digest: &str,
        compiled: &[u8],
    ) -> Result<(), CacheError> {
        let (name, shape) = name_of(engine, digest);
        let failed = |source| CacheError::Io {
            path: self.folder.path(&name),
            source,
        };
        let told = self.digest(digest, shape, compiled).finalize().into_bytes();
        self.folder
            .write(&name, &[&told, compiled])
            .map_err(failed)?;
        self.shrink(SystemTime::now(), MOST_BYTES).map_err(failed)
    }

    /// Takes away entries that were not used for long, and then the oldest beyond `most` bytes together.
    fn shrink(&self, now: SystemTime, most: u64) -> std::io::Result<()> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let oldest = i64::try_from(now.saturating_sub(MOST_AGE.as_secs())).unwrap_or(i64::MAX);
        let mut entries = self.folder.entries()?;
        entries.retain(|entry| entry.name != KEY);
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut bytes = 0_u64;
        for (index, entry) in entries.iter().enumerate() {
            bytes = bytes.saturating_add(entry.bytes);
            // The newest is the one that is needed now, however large.
            if entry.used < oldest || (bytes > most && index > 0) {
                self.folder.remove_unneeded(&entry.name);
            }
        }
        Ok(())
    }

    /// The digest of an entry, that only who has the key can make.
    fn digest(&self, component: &str, shape: u64, code: &[u8]) -> Hmac<Sha256> {
        let mut digest = Hmac::<Sha256>::new(&self.key.into());
        digest.update(component.as_bytes());
        digest.update(&shape.to_le_bytes());
        digest.update(code);
        digest
    }
}

/// The key, where there is one that only the user can read.
fn key_in(folder: &PrivateFolder) -> std::io::Result<Option<[u8; KEY_BYTES]>> {
    match folder.read(KEY, KEY_BYTES as u64) {
        Ok(key) => Ok(key.try_into().ok()),
        Err(NotRead::Missing | NotRead::Foreign(_)) => Ok(None),
        Err(NotRead::Io(error)) => Err(error),
    }
}

/// The name of an entry, and what of the engine shapes it.
fn name_of(engine: &Engine, digest: &str) -> (String, u64) {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let shape = hasher.finish();
    (format!("{digest}-{shape:016x}{SUFFIX}"), shape)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A folder without links in its path, with nothing but root and the user above it.
    fn home() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn engine() -> Engine {
        Engine::default()
    }

    /// A cache with the compiled form of the smallest component, and the path of its entry.
    fn filled(home: &Path) -> (CompileCache, Engine, std::path::PathBuf) {
        let engine = engine();
        let cache = CompileCache::open_in(&home.join("llmuses/components"), 2).unwrap();
        let code = engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        cache.store(&engine, "aa", &code).unwrap();
        let path = cache.folder.path(&name_of(&engine, "aa").0);
        (cache, engine, path)
    }

    fn why(cache: &CompileCache, engine: &Engine) -> String {
        cache
            .load(engine, "aa")
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_was_stored_is_found_by_the_next_run() {
        let home = home();
        let (first, engine, path) = filled(home.path());
        let next = CompileCache::open_in(&home.path().join("llmuses/components"), 2).unwrap();
        assert!(next.load(&engine, "aa").unwrap().is_some());
        assert!(next.load(&engine, "bb").unwrap().is_none());
        for made in [
            path.parent().unwrap(),
            path.parent().unwrap().parent().unwrap(),
        ] {
            assert_eq!(
                fs::metadata(made).unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
        for file in [path, first.folder.path(KEY)] {
            assert_eq!(
                fs::metadata(file).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn an_entry_that_this_program_did_not_write_is_removed_and_named() {
        for (said, change) in [
            (
                "digest",
                (|path| {
                    let mut bytes = fs::read(path).unwrap();
                    *bytes.last_mut().unwrap() ^= 1;
                    fs::write(path, bytes).unwrap();
                }) as fn(&Path),
            ),
            ("cut short", |path| fs::write(path, b"short").unwrap()),
            ("digest", |path| {
                // The entry of another component under this name.
                let bytes = fs::read(path).unwrap();
                let other = path.with_file_name("other");
                fs::write(&other, &bytes[..bytes.len() - 1]).unwrap();
                fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
                fs::rename(other, path).unwrap();
            }),
            ("other users", |path| {
                fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
            }),
            ("link", |path| {
                let other = path.with_file_name("other");
                fs::rename(path, &other).unwrap();
                symlink(other, path).unwrap();
            }),
            ("another name", |path| {
                fs::hard_link(path, path.with_file_name("other")).unwrap();
            }),
            ("ordinary file", |path| {
                fs::remove_file(path).unwrap();
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    path,
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RWXU,
                    0,
                )
                .unwrap();
            }),
            ("ordinary file", |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
            }),
        ] {
            let home = home();
            let (cache, engine, path) = filled(home.path());
            change(&path);
            let told = why(&cache, &engine);
            assert!(told.contains(said), "{told}");
            assert!(fs::symlink_metadata(&path).is_err(), "{said}");
            assert!(cache.load(&engine, "aa").unwrap().is_none());
        }
    }

    #[test]
    fn an_entry_that_cannot_be_removed_is_not_said_to_be() {
        let home = home();
        let (cache, engine, path) = filled(home.path());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), b"x").unwrap();
        let told = why(&cache, &engine);
        assert!(told.contains("cannot be removed"), "{told}");
        assert!(!told.contains("was removed"), "{told}");
        assert!(path.join("file").exists());
    }

    #[test]
    fn an_entry_under_the_name_of_another_component_is_not_run() {
        let home = home();
        let (cache, engine, path) = filled(home.path());
        let other = cache.folder.path(&name_of(&engine, "bb").0);
        fs::rename(path, other).unwrap();
        let told = cache
            .load(&engine, "bb")
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(told.contains("digest"), "{told}");
    }

    #[test]
    fn a_key_that_others_can_read_is_made_anew() {
        let home = home();
        let (cache, engine, _) = filled(home.path());
        fs::set_permissions(cache.folder.path(KEY), Permissions::from_mode(0o644)).unwrap();
        let next = CompileCache::open_in(&home.path().join("llmuses/components"), 2).unwrap();
        assert_ne!(next.key, cache.key);
        assert!(why(&next, &engine).contains("digest"));
    }

    #[test]
    fn a_folder_that_others_may_change_is_refused_with_the_advice_to_remove_it() {
        for path in ["llmuses", "llmuses/components"] {
            let home = home();
            filled(home.path());
            fs::set_permissions(home.path().join(path), Permissions::from_mode(0o777)).unwrap();
            let error =
                CompileCache::open_in(&home.path().join("llmuses/components"), 2).unwrap_err();
            assert!(matches!(error, CacheError::Shared { .. }), "{error}");
            assert!(error.to_string().contains("Remove it"), "{error}");
        }
    }

    #[test]
    fn it_is_not_advised_to_remove_a_folder_to_which_a_link_leads() {
        for (link, path) in [
            ("cache/llmuses", "other"),
            ("cache/llmuses/components", "other/deep"),
        ] {
            let home = home();
            let target = home.path().join(path);
            fs::create_dir_all(&target).unwrap();
            let link = home.path().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&target, &link).unwrap();
            let open = || CompileCache::open_in(&home.path().join("cache/llmuses/components"), 2);
            // As of a folder that a group shares.
            for folder in [home.path().join("other"), target.clone()] {
                fs::set_permissions(&folder, Permissions::from_mode(0o775)).unwrap();
                let error = open().unwrap_err().to_string();
                assert!(!error.contains("Remove it"), "{error}");
                assert!(error.contains(&folder.display().to_string()), "{error}");
                fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
            }
            open().unwrap();
        }
    }

    #[test]
    fn a_parent_that_others_may_change_is_refused() {
        let home = home();
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        let open = || CompileCache::open_in(&home.path().join("llmuses/components"), 2);
        let error = open().unwrap_err();
        assert!(matches!(error, CacheError::Parent { .. }), "{error}");
        // As in /tmp: everybody may make things, and rename what is theirs.
        fs::set_permissions(home.path(), Permissions::from_mode(0o1777)).unwrap();
        open().unwrap();
    }

    #[test]
    fn old_entries_and_those_beyond_the_size_go() {
        let home = home();
        let (cache, engine, path) = filled(home.path());
        let now = SystemTime::now();
        cache.folder.write("left.tmp", &[&[0; 100]]).unwrap();
        cache.shrink(now, MOST_BYTES).unwrap();
        assert!(path.exists());
        std::thread::sleep(Duration::from_millis(1100));
        assert!(cache.load(&engine, "aa").unwrap().is_some());
        cache.shrink(now, 50).unwrap();
        assert!(path.exists() && !cache.folder.path("left.tmp").exists());
        cache
            .shrink(now + MOST_AGE + Duration::from_secs(5), MOST_BYTES)
            .unwrap();
        assert!(!path.exists());
        // The key is no entry.
        assert!(cache.folder.path(KEY).exists());
    }
}
