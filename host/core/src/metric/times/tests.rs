use super::*;

#[test]
fn every_row_is_found_by_its_key() {
    for time in Time::all() {
        assert_eq!(Time::of_key(time.key), Some(time));
    }
    assert_eq!(CLIENT_LAG.key, "dispatch_lag_without_connect");
    assert_eq!(Time::of_key("ttft"), None);
}

#[test]
fn a_part_is_told_with_its_whole_where_it_stands_alone() {
    let title = |key: &str| Time::of_key(key).map(Time::full_title).unwrap_or_default();
    assert_eq!(title("latency"), LATENCY.title);
    assert_eq!(
        title("time_to_first_token_of_later_turns"),
        "Time to first token of later turns"
    );
    assert_eq!(title("dns"), "Time to connect, name resolution");
    assert_eq!(title("tls"), "Time to connect, TLS handshake");
}
