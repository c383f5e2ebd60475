//! What is fuzzed of this crate, as functions of an input: `host/fuzz` gives them to a fuzzer, the tests here the
//! inputs that are kept as its seeds. The first bytes of each input say in what pieces the rest comes.

mod events;
mod values;

pub use crate::socket::fuzzed::{body, head};
pub use events::events;
pub use values::values;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs `target` over its seeds.
    fn replay(name: &str, target: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/seeds")
            .join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            target(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{count} inputs of {name}");
    }

    #[test]
    fn the_corpora_of_the_fuzzer_hold() {
        replay("head", super::head);
        replay("body", super::body);
        replay("events", super::events);
        replay("values", super::values);
    }
}
