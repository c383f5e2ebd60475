//! How much memory there is: of the machine, or of the control group of this process where that has less.

use std::path::Path;

/// The bytes of memory that this process can have at most. `None`: the system does not tell.
pub fn available() -> Option<u64> {
    let group = std::fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|groups| of_groups(&groups, Path::new("/sys/fs/cgroup")));
    [of_machine(), group].into_iter().flatten().min()
}

fn of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}

/// The smallest limit of the groups of a process and of those around them.
fn of_groups(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            return None;
        };
        // Within a container the path is that of the host, and the group itself stands at the root.
        let of_process = root.join(path.trim_start_matches('/'));
        of_process
            .ancestors()
            .take_while(|folder| folder.starts_with(&root))
            .filter_map(|folder| {
                let text = std::fs::read_to_string(folder.join(file)).ok()?;
                // `max` in version 2: there is none.
                text.trim().parse::<u64>().ok()
            })
            .min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_of_a_group_and_those_around_it_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        std::fs::write(root.path().join("a/memory.max"), "5000\n").unwrap();
        assert_eq!(of_groups("0::/a/b\n", root.path()), Some(5000));
        assert_eq!(of_groups("0::/elsewhere\n", root.path()), None);
        let old = root.path().join("memory");
        std::fs::create_dir_all(&old).unwrap();
        std::fs::write(old.join("memory.limit_in_bytes"), "4000\n").unwrap();
        assert_eq!(
            of_groups("3:cpu:/x\n2:memory:/x\n", root.path()),
            Some(4000)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_tells() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
