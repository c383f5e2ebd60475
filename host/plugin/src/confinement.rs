//! The sandbox of the child process that compiles: no file can be opened, no connection made, no program started, and
//! no memory made executable. What it needs it has before: code that somebody else wrote on standard input, and pipes
//! for what comes of it.

/// Confines this thread, and the threads that it starts from now on. Gives back, a line each, what the system does not
/// make possible: its limits of memory and time hold all the same.
#[cfg(target_os = "linux")]
pub(super) fn confine() -> Vec<String> {
    [landlock::confine(), seccomp::confine()]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

/// Elsewhere there is nothing of the kind.
#[cfg(not(target_os = "linux"))]
pub(super) fn confine() -> Vec<String> {
    vec!["this system has neither Landlock nor seccomp".to_owned()]
}

/// Files, TCP, and signals and sockets of other processes.
#[cfg(target_os = "linux")]
mod landlock {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
    };

    pub(super) fn confine() -> Result<(), String> {
        match enforce() {
            Ok(RulesetStatus::FullyEnforced) => Ok(()),
            Ok(RulesetStatus::PartiallyEnforced) => {
                Err("the kernel's Landlock is old and restricts less than is asked".to_owned())
            }
            Ok(RulesetStatus::NotEnforced) => Err("the kernel has no Landlock".to_owned()),
            Err(error) => Err(format!("Landlock: {error}")),
        }
    }

    /// No rule follows, so that nothing is allowed of what is handled.
    fn enforce() -> Result<RulesetStatus, RulesetError> {
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V5))?
            .handle_access(AccessNet::from_all(ABI::V4))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .restrict_self()?;
        Ok(status.ruleset)
    }
}

/// System calls: those for memory, threads of this process, time, and open files.
#[cfg(target_os = "linux")]
mod seccomp {
    use libc::{ENOSYS, EPERM};
    use seccompiler::SeccompCmpArgLen::{Dword, Qword};
    use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch, apply_filter,
    };
    use std::collections::BTreeMap;

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    pub(super) fn confine() -> Result<(), String> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| {
            format!(
                "no filter of system calls is known for {}",
                std::env::consts::ARCH
            )
        })?;
        // The flags of `clone3` lie in memory, where a filter cannot read them. A system that has not got it makes the
        // library use `clone`.
        let newer = Rules::from([(libc::SYS_clone3, Vec::new())]);
        for (rules, otherwise, matched) in [
            (Ok(newer), SeccompAction::Allow, errno(ENOSYS)),
            (allowed(), errno(EPERM), SeccompAction::Allow),
        ] {
            let program: BpfProgram = rules
                .and_then(|rules| SeccompFilter::new(rules, otherwise, matched, arch))
                .and_then(TryInto::try_into)
                .map_err(|error| format!("seccomp: {error}"))?;
            apply_filter(&program).map_err(|error| format!("seccomp: {error}"))?;
        }
        Ok(())
    }

    fn errno(error: i32) -> SeccompAction {
        SeccompAction::Errno(error.unsigned_abs())
    }

    /// What is allowed; everything else fails with `EPERM`, as it would for want of a right.
    fn allowed() -> Result<Rules, BackendError> {
        let mut rules: Rules = [
            // The pipes that are there.
            libc::SYS_read,
            libc::SYS_readv,
            libc::SYS_write,
            libc::SYS_writev,
            libc::SYS_close,
            libc::SYS_fstat,
            libc::SYS_lseek,
            libc::SYS_fcntl,
            // Memory.
            libc::SYS_brk,
            libc::SYS_mremap,
            libc::SYS_munmap,
            libc::SYS_madvise,
            // Threads.
            libc::SYS_clone3,
            libc::SYS_futex,
            libc::SYS_membarrier,
            libc::SYS_rseq,
            libc::SYS_set_robust_list,
            libc::SYS_set_tid_address,
            libc::SYS_gettid,
            libc::SYS_getpid,
            libc::SYS_sched_yield,
            libc::SYS_sched_getaffinity,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_sigaltstack,
            libc::SYS_exit,
            libc::SYS_exit_group,
            // Time and chance.
            libc::SYS_clock_gettime,
            libc::SYS_clock_nanosleep,
            libc::SYS_nanosleep,
            libc::SYS_restart_syscall,
            libc::SYS_getrandom,
        ]
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect();
        let own = u64::from(std::process::id());
        let rule = |place, length, operator, value| {
            SeccompRule::new(vec![SeccompCondition::new(place, length, operator, value)?])
        };
        let only = |place, operator, value| rule(place, Dword, operator, value);
        // The values of these flags are positive.
        let flag = |flag: i32| u64::from(flag.unsigned_abs());
        let executable = flag(libc::PROT_EXEC);
        let thread = flag(libc::CLONE_THREAD);
        for (call, rule) in [
            (libc::SYS_mmap, only(2, MaskedEq(executable), 0)?),
            (libc::SYS_mprotect, only(2, MaskedEq(executable), 0)?),
            (libc::SYS_clone, only(0, MaskedEq(thread), thread)?),
            // A signal that ends this process itself, as an abort does.
            (libc::SYS_tgkill, only(0, Eq, own)?),
            (libc::SYS_prctl, only(0, Eq, flag(libc::PR_SET_NAME))?),
            // Limits may be read, not set: a thread learns how large its stack is.
            (libc::SYS_prlimit64, rule(2, Qword, Eq, 0)?),
        ] {
            rules.insert(call, vec![rule]);
        }
        Ok(rules)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    /// What `attempt` gives in a thread of its own, confined by `confine`; `None` where the system cannot.
    fn confined<T: Send>(
        confine: fn() -> Result<(), String>,
        attempt: impl FnOnce() -> T + Send,
    ) -> Option<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| confine().ok().map(|()| attempt()));
            thread.join().unwrap()
        })
    }

    /// The kinds of error of opening a file, of starting a program, and of a connection.
    fn attempts() -> [Option<ErrorKind>; 3] {
        [
            std::fs::File::open("/proc/self/exe").err(),
            std::process::Command::new("/proc/self/exe").spawn().err(),
            std::net::TcpStream::connect("127.0.0.1:1").err(),
        ]
        .map(|error| error.map(|error| error.kind()))
    }

    #[test]
    fn no_file_is_opened_and_nothing_is_connected_under_landlock() {
        if let Some([file, program, connection]) = confined(landlock::confine, attempts) {
            let denied = Some(ErrorKind::PermissionDenied);
            assert_eq!([file, program, connection], [denied; 3]);
        }
    }

    #[test]
    fn no_file_is_opened_and_nothing_is_connected_under_seccomp() {
        if let Some(kinds) = confined(seccomp::confine, attempts) {
            assert_eq!(kinds, [Some(ErrorKind::PermissionDenied); 3]);
        }
    }

    #[test]
    fn memory_is_never_executable() {
        let map = |protection| {
            // SAFETY: a new mapping, where the system likes, which nobody looks into.
            let at = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    4096,
                    protection,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            at != libc::MAP_FAILED
        };
        let made = confined(seccomp::confine, || {
            [libc::PROT_READ, libc::PROT_READ | libc::PROT_EXEC].map(map)
        });
        assert!(made.is_none_or(|made| made == [true, false]), "{made:?}");
    }

    #[test]
    fn a_confined_thread_starts_others_and_has_memory() {
        let sum = confined(seccomp::confine, || {
            let threads: Vec<_> = (0..4_u64)
                .map(|number| {
                    std::thread::Builder::new()
                        .name(format!("confined-{number}"))
                        .spawn(move || vec![number; 1 << 20].iter().sum::<u64>())
                        .unwrap()
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<u64>()
        });
        assert!(sum.is_none_or(|sum| sum == 6 << 20));
    }
}
