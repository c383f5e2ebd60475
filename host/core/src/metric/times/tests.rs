use super::*;

#[test]
fn every_row_is_found_by_its_key() {
    for time in Time::all() {
        assert_eq!(Time::of_key(time.key), Some(time));
    }
    assert_eq!(CLIENT_LAG.key, "dispatch_lag_without_connect");
    assert_eq!(Time::of_key("ttft"), None);
}
