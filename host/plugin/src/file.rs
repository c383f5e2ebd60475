//! From a path to the bytes of something that may be a component.

use super::load_error::LoadError;
use llmuses_core::bounds::Bounds;
use llmuses_kernel_io::regular_file::open_regular;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Reads a file that should be a parser.
pub(super) fn read(path: &Path, bounds: &Bounds) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let not = |reason: String| LoadError::NotAParser {
        label: path.display().to_string(),
        reason,
    };
    let file = open_regular(path).map_err(|error| match error.kind() {
        ErrorKind::IsADirectory | ErrorKind::InvalidInput => not(error.to_string()),
        _ => failed(error),
    })?;
    let too_large = |bytes: u64| {
        not(format!(
            "it has {bytes} bytes, and {} MiB is the most that is taken (--plugin-file-mib)",
            bounds.file_bytes >> 20
        ))
    };
    let known = file.metadata().map_err(failed)?.len();
    if known > bounds.file_bytes {
        return Err(too_large(known));
    }
    // It may grow while it is read.
    let mut bytes = Vec::new();
    file.take(bounds.file_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > bounds.file_bytes {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Tells from its first bytes what a file is, for a better message than the compiler would give.
pub(super) fn sniff(bytes: &[u8], label: &str) -> Result<(), LoadError> {
    const COMPONENT: &[u8] = b"\0asm\x0d\x00\x01\x00";
    const MODULE: &[u8] = b"\0asm\x01\x00\x00\x00";
    const MADE: &str =
        "Parsers are WebAssembly components (plugins/README.md says how to write one)";
    let reason = if bytes.is_empty() {
        format!("the file is empty. {MADE}")
    } else if bytes.starts_with(COMPONENT) {
        return Ok(());
    } else if bytes.starts_with(MODULE) {
        "it is a core WebAssembly module, not a component. `llmuses plugin new` makes a folder that \
         builds one"
            .to_owned()
    } else if bytes.starts_with(b"\x7fELF") {
        format!("it is machine code; compiled parsers from elsewhere are never run. {MADE}")
    } else if bytes.starts_with(b"\0asm") {
        "it is WebAssembly of a version that is not known here".to_owned()
    } else {
        format!("it is no WebAssembly at all. {MADE}")
    };
    Err(LoadError::NotAParser {
        label: label.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_parsers_are_told_what_they_are() {
        let said = |bytes: &[u8]| sniff(bytes, "x").unwrap_err().to_string();
        assert!(said(b"").contains("empty"));
        assert!(said(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
        assert!(said(b"\x7fELF").contains("machine code"));
        assert!(said(b"class PerfPlugin:").contains("no WebAssembly"));
        assert!(sniff(b"\0asm\x0d\0\x01\0", "x").is_ok());
    }

    #[test]
    fn a_file_beyond_the_bound_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.wasm");
        std::fs::write(&path, vec![0; 4096]).unwrap();
        let bounds = Bounds {
            file_bytes: 4095,
            ..Bounds::default()
        };
        let error = read(&path, &bounds).unwrap_err().to_string();
        assert!(error.contains("it has 4096 bytes"), "{error}");
    }
}
