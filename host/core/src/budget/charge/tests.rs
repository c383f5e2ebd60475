use super::*;

#[test]
fn what_is_drawn_goes_back() {
    let budget = Arc::new(Budget::new(10 << 20));
    let mut one = Charge::of(&budget);
    one.grow(10).unwrap();
    assert_eq!(budget.used(), SMALLEST_STEP);
    one.grow(SMALLEST_STEP).unwrap();
    one.shrink();
    assert_eq!(budget.used(), SMALLEST_STEP + 10);
    let mut other = Charge::of(&budget);
    other.grow(100_000).unwrap();
    drop(one);
    other.clear();
    assert_eq!(budget.used(), 0);
    Charge::default().grow(usize::MAX).unwrap();
}

#[test]
fn what_is_not_needed_any_more_goes_back_but_for_a_step() {
    let budget = Arc::new(Budget::new(10 << 20));
    let mut charge = Charge::of(&budget);
    charge.grow(8 << 20).unwrap();
    charge.need(1 << 20).unwrap();
    assert_eq!(budget.used(), (1 << 20) + LARGEST_STEP);
    charge.need(2 << 20).unwrap();
    assert_eq!(budget.used(), 2 << 20);
    assert!(charge.need(20 << 20).is_err());
    charge.shrink();
    assert_eq!(budget.used(), 2 << 20);
    charge.need(0).unwrap();
    charge.shrink();
    assert_eq!(budget.used(), 0);
}

#[test]
fn large_holders_leave_room_for_small_ones() {
    let budget = Arc::new(Budget::new(80 << 20));
    let mut large = Charge::of(&budget);
    while large.grow(1 << 20).is_ok() {}
    assert_eq!(budget.used(), 70 << 20);
    let mut small = Charge::of(&budget);
    small.grow(SMALL).unwrap();
    let error = small.grow(1).unwrap_err().to_string();
    assert!(error.contains("80 MiB, --memory-limit"), "{error}");
    drop(large);
    small.grow(1).unwrap();
}

#[test]
fn of_large_responses_that_grow_together_the_oldest_are_served() {
    let budget = Arc::new(Budget::new(64 << 20));
    let mut growing: Vec<_> = (0..10)
        .map(|place| (place, Charge::of_response(&budget), 0))
        .collect();
    let (mut whole, mut failed) = (Vec::new(), Vec::new());
    // Each has 12 MiB and comes in steps of 64 KiB, the youngest first in each round.
    while !growing.is_empty() {
        for index in (0..growing.len()).rev() {
            let (place, charge, size) = &mut growing[index];
            *size += 64 << 10;
            if charge.grow(64 << 10).is_err() {
                failed.push(*place);
                growing.remove(index);
            } else if *size == 12 << 20 {
                charge.shrink();
                whole.push(growing.remove(index));
            }
        }
    }
    failed.sort_unstable();
    // The budget less an eighth, 56 MiB, has room for four of them.
    assert_eq!(failed, [4, 5, 6, 7, 8, 9]);
    assert_eq!(budget.used(), 48 << 20);
    drop(whole);
    assert_eq!(budget.used(), 0);
    assert!(budget.large().is_empty());
}

/// A budget of 64 MiB, and two responses of which the first began first.
fn two_responses() -> (Arc<Budget>, Charge, Charge) {
    let budget = Arc::new(Budget::new(64 << 20));
    let old = Charge::of_response(&budget);
    let young = Charge::of_response(&budget);
    (budget, old, young)
}

#[test]
fn a_response_that_gave_up_leaves_room_to_those_that_begin_later() {
    let (budget, mut old, mut young) = two_responses();
    young.grow(30 << 20).unwrap();
    old.grow(30 << 20).unwrap();
    assert!(young.grow(1).is_err(), "it was asked to give up");
    young.clear();
    assert_eq!(budget.used(), 30 << 20);
    let mut next = Charge::of_response(&budget);
    next.grow(20 << 20).unwrap();
}

#[test]
fn a_response_gives_up_with_its_next_read_also_where_it_needs_no_more_memory() {
    let (_, mut old, mut young) = two_responses();
    young.grow(30 << 20).unwrap();
    // A step ahead of what it needs.
    young.grow(1).unwrap();
    let drawn = young.drawn;
    old.grow(28 << 20).unwrap();
    assert!(young.grow(1).is_err(), "it was asked to give up");
    assert_eq!(young.drawn, drawn);
}

#[test]
fn small_responses_take_no_room_from_large_ones() {
    let budget = Arc::new(Budget::new(64 << 20));
    let mut large: [_; 2] = std::array::from_fn(|_| Charge::of_response(&budget));
    let mut small: [_; 8] = std::array::from_fn(|_| Charge::of_response(&budget));
    for one in &mut small {
        one.grow(SMALL).unwrap();
    }
    // Together 52 MiB, and 56 MiB is what large ones may have; with the small ones it is 60 MiB.
    for one in &mut large {
        one.grow(26 << 20).unwrap();
    }
    // As a large one it is the youngest.
    let [.., last] = &mut small;
    assert!(last.grow(8 << 20).is_err());
    drop((large, small));
    assert_eq!(budget.used(), 0);
    assert_eq!(budget.used_by_small.load(Ordering::Relaxed), 0);
}

#[test]
fn an_old_response_waits_until_a_young_one_has_given_up() {
    let (_, mut old, mut young) = two_responses();
    young.grow(30 << 20).unwrap();
    old.grow(26 << 20).unwrap();
    assert!(!old.should_wait(), "nobody was asked to give up");
    old.grow(1 << 20).unwrap();
    assert!(old.should_wait());
    assert!(!young.should_wait(), "it has to give up");
    young.clear();
    assert!(!old.should_wait());
}

#[test]
fn a_response_is_large_once_it_needs_more_than_a_small_one() {
    let budget = Arc::new(Budget::new(64 << 20));
    let mut charge = Charge::of_response(&budget);
    charge.grow(SMALL - (16 << 10)).unwrap();
    charge.grow(16 << 10).unwrap();
    // The step ahead of it is no need.
    assert!(charge.drawn > SMALL);
    assert!(budget.large().is_empty());
    charge.grow(1).unwrap();
    assert_eq!(budget.large().len(), 1);
    charge.shrink();
    assert!(budget.large().is_empty());
}

#[test]
fn what_can_wait_leaves_half() {
    let budget = Arc::new(Budget::new(8 << 20));
    let mut body = Charge::of(&budget);
    body.grow_within_half(3 << 20).unwrap();
    let mut other = Charge::of(&budget);
    assert!(other.grow_within_half(2 << 20).is_err());
    other.grow_within_half(1 << 20).unwrap();
    drop((body, other));
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_no_large_holder_may_have_is_not_waited_for() {
    let budget = Arc::new(Budget::new(8 << 20));
    let mut small = Charge::of(&budget);
    small.grow(SMALL).unwrap();
    let mut large = Charge::of(&budget);
    let begun = Instant::now();
    let patience = Duration::from_secs(60);
    assert!(large.grow_within((7 << 20) + 1, patience).is_err());
    assert!(begun.elapsed() < patience / 2);
}

#[test]
fn waiting_ends_when_something_comes_back_or_can_never_come() {
    let budget = Arc::new(Budget::new(8 << 20));
    let mut first = Charge::of(&budget);
    first.grow(6 << 20).unwrap();
    let mut second = Charge::of(&budget);
    let begun = Instant::now();
    assert!(
        second
            .grow_within(9 << 20, Duration::from_secs(60))
            .is_err()
    );
    assert!(
        second
            .grow_within(4 << 20, Duration::from_millis(50))
            .is_err()
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
    let waits = std::thread::spawn(move || second.grow_within(4 << 20, Duration::from_secs(60)));
    std::thread::sleep(Duration::from_millis(20));
    drop(first);
    waits.join().unwrap().unwrap();
}
