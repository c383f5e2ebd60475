//! What is fuzzed of this crate, as a function of an input: `host/fuzz` gives it to a fuzzer, the test here the inputs that
//! are kept as its seeds.

use crate::bounds::ClockOffset;
use crate::lines::{ToCoordinator, ToWorker, line, message, next_line, shown};
use crate::row::{Row, RowContent};

/// The lines of a worker, or to one, whatever they hold: none panics, and what is understood is the same when it is sent on.
pub fn lines(input: &[u8]) {
    let mut input = input;
    let mut bytes = Vec::new();
    while next_line(&mut input, &mut bytes).is_ok_and(|is_whole| is_whole) {
        assert!(shown(&bytes).chars().all(|letter| !letter.is_control()));
        if let Ok(order) = message::<ToWorker>(&bytes) {
            let sent = line(&order);
            let again: ToWorker = message(&sent).expect("a line that was made is understood");
            assert_eq!(line(&again), sent);
        }
        if let Ok(ToCoordinator::Row(row)) = message(&bytes) {
            same_again(*row);
        }
    }
}

/// Fails where a request that came as a row is another one when it is sent as a row again.
fn same_again(row: Row) {
    let offset = ClockOffset {
        nanos: 0,
        bound_nanos: 0,
    };
    let session = row.session();
    let RowContent { outcome, asked } = row.content(offset);
    let sent = Row::of(&outcome, asked);
    assert_eq!(sent.session(), session);
    let bytes = line(&ToCoordinator::Row(Box::new(sent)));
    let Ok(ToCoordinator::Row(again)) = message(&bytes) else {
        panic!("a row that was made is understood");
    };
    let again = again.content(offset);
    let sent = Row::of(&again.outcome, again.asked);
    assert_eq!(line(&ToCoordinator::Row(Box::new(sent))), bytes);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_seeds_of_the_fuzzer_hold() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/lines");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            super::lines(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{count} inputs");
    }
}
