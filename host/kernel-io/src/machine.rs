//! What this machine is.

use llmuses_core::clean::printable;
use llmuses_core::document::Machine;
use std::ffi::CStr;

/// The machine that this program runs on.
pub fn this_one() -> Machine {
    let names = names();
    let [host, system, release] = match names {
        Some(names) => names.map(Some),
        None => [None, None, None],
    };
    Machine {
        host,
        kernel: system
            .zip(release)
            .map(|(system, release)| format!("{system} {release}")),
        cpu: std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| model(&text)),
        processors: std::thread::available_parallelism()
            .ok()
            .map(|count| count.get() as u64),
    }
}

/// What tells one boot of one kernel from all others. `None`: the system does not tell.
pub fn boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(printable(text.trim()))
}

/// The name of the machine, of its system, and the version of its kernel.
fn names() -> Option<[String; 3]> {
    // SAFETY: `utsname` is a struct of arrays of characters, for which all zeros is a valid value; the call fills it with
    // texts that end with a zero each, and keeps no pointer to it.
    let names = unsafe {
        let mut names: libc::utsname = std::mem::zeroed();
        if libc::uname(&mut names) != 0 {
            return None;
        }
        names
    };
    let text = |characters: &[libc::c_char]| {
        let bytes: Vec<u8> = characters.iter().map(|c| *c as u8).collect();
        let text = CStr::from_bytes_until_nul(&bytes).ok()?;
        Some(printable(&text.to_string_lossy()))
    };
    Some([
        text(&names.nodename)?,
        text(&names.sysname)?,
        text(&names.release)?,
    ])
}

/// The model of the processor, by the first of the lines that name one: `model name` on x86, `Model` or `Hardware` of some
/// boards.
fn model(cpuinfo: &str) -> Option<String> {
    let values: Vec<(&str, &str)> = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    ["model name", "Model", "Hardware"].iter().find_map(|name| {
        let (_, value) = values.iter().find(|(found, _)| found == name)?;
        let words: Vec<&str> = value.split_whitespace().collect();
        (!words.is_empty()).then(|| printable(&words.join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read() {
        let x86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Intel(R)  Xeon(R) @ 2.00GHz\n";
        assert_eq!(model(x86).as_deref(), Some("Intel(R) Xeon(R) @ 2.00GHz"));
        assert_eq!(
            model("processor : 0\nModel : A board\n").as_deref(),
            Some("A board")
        );
        assert_eq!(model("BogoMIPS : 50\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_tells_its_name_and_kernel() {
        let found = this_one();
        assert!(
            found
                .kernel
                .is_some_and(|kernel| kernel.starts_with("Linux "))
        );
        assert!(found.host.is_some() && found.processors > Some(0));
    }
}
