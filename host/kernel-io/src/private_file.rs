//! Files for results. They hold prompts and answers, so nobody but their owner may read them.

use std::fs::{File, OpenOptions};
use std::path::Path;

/// Makes a new file that only its owner reads and writes.
///
/// # Errors
/// Where there is such a file already, or none can be made.
pub fn create_new(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_reads_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let file = create_new(&path).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create_new(&path).is_err());
    }
}
