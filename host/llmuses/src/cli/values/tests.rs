use super::*;
use llmuses_core::metric::{TPOT, TTFT};
use serde_json::json;

#[test]
fn a_value_may_hold_equal_signs() {
    let pair = pair(&Secret::new("stop=a=b")).unwrap();
    assert_eq!((pair.key.as_str(), pair.value.as_str()), ("stop", "a=b"));
    assert!(super::pair(&Secret::new("stop")).is_err());
    assert!(super::pair(&Secret::new("=x")).is_err());
    // JSON with an `=` in it is no name, which would be shown, kept and sent.
    for json in ["{\"api_key\":\"a=b\"}", " [\"a=b\"]", "\"a=b\""] {
        assert!(super::pair(&Secret::new(json)).is_err(), "{json}");
    }
    assert_eq!(super::pair(&Secret::new("x=")).unwrap().value, "");
}

#[test]
fn a_header_is_given_either_way_and_never_shown() {
    let read = |text: &str| header(&secret(text).unwrap());
    for text in ["Authorization=Bearer a=:b", "Authorization:  Bearer a=:b"] {
        let pair = read(text).unwrap();
        assert_eq!(pair.key, "Authorization");
        assert_eq!(pair.value, "Bearer a=:b");
    }
    assert_eq!(read("X-Empty=").unwrap().value, "");
    for text in [
        "Authorization:",
        "sk-secret",
        ": sk-secret",
        "=sk-secret",
        "",
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains("NAME=VALUE") && !error.contains("secret"));
    }
}

#[test]
fn values_of_python_are_read_and_warned_of() {
    let warning = |text: &str| parameter_warning(&pair(&Secret::new(text)).unwrap());
    for (text, value) in [
        ("a=True", json!(true)),
        ("a=False", json!(false)),
        ("a=None", json!(null)),
    ] {
        assert_eq!(parameter(&text[2..]), value);
        assert!(warning(text).unwrap().contains("bool_true"), "{text}");
    }
    assert!(warning("a={'b': True}").unwrap().contains("sent as text"));
    for text in ["a=true", "a=bool_true", "a=[1]", "a=\"True\"", "a=text"] {
        assert_eq!(warning(text), None, "{text}");
    }
}

#[test]
fn parameters_have_the_type_that_they_look_like() {
    for (text, value) in [
        ("bool_true", json!(true)),
        ("bool_false", json!(false)),
        ("true", json!(true)),
        ("1", json!(1)),
        ("-1", json!(-1)),
        ("18446744073709551615", json!(u64::MAX)),
        ("0.7", json!(0.7)),
        ("1e3", json!(1000.0)),
        (".5", json!(0.5)),
        ("null", json!(null)),
        ("[1, \"a\"]", json!([1, "a"])),
        ("{\"a\": 1}", json!({"a": 1})),
        ("\"7\"", json!("7")),
        ("inf", json!("inf")),
        ("nan", json!("nan")),
        ("bool", json!("bool")),
        ("[1", json!("[1")),
        ("", json!("")),
        ("1.2.3", json!("1.2.3")),
    ] {
        assert_eq!(parameter(text), value, "{text}");
    }
}

#[test]
fn counts_are_checked() {
    assert_eq!(count("18446744073709551615").unwrap(), u64::MAX);
    assert_eq!(count_of_slots("1000").unwrap(), 1000);
    for text in ["0", "-1", "1.5", "x", "", "99999999999999999999"] {
        assert!(count(text).is_err(), "{text}");
    }
    assert!(count_of_slots("4294967296").is_err());
}

#[test]
fn a_warmup_is_of_requests_or_of_time() {
    assert_eq!(warmup("100").unwrap(), Warmup::Requests(100));
    assert_eq!(
        warmup("1.5s").unwrap(),
        Warmup::Time(Duration::from_millis(1500))
    );
    assert_eq!(
        warmup("500ms").unwrap(),
        Warmup::Time(Duration::from_millis(500))
    );
    for text in ["0", "1.5", "-3", "0s", "x", ""] {
        assert!(warmup(text).is_err(), "{text}");
    }
}

#[test]
fn a_recording_goes_to_a_file() {
    assert_eq!(file_name("a/b").unwrap(), PathBuf::from("a/b"));
    assert!(file_name("-").is_err() && file_name("").is_err());
}

#[test]
fn objectives_have_names() {
    let read = objectives("ttft:500ms,tpot:50ms").unwrap();
    let millis = Duration::from_millis;
    assert_eq!(
        read,
        Objectives::of([(TTFT, millis(500)), (TPOT, millis(50))])
    );
    let error = objectives("ttft:500").unwrap_err();
    assert!(error.contains("ttft:500ms"), "{error}");
    for text in ["", "ttft", "ttft:x", "ttft:1s,ttft:2s", "speed:1s"] {
        assert!(objectives(text).is_err(), "{text}");
    }
}

#[test]
fn times_and_rates_are_checked() {
    assert_eq!(seconds("0.25").unwrap(), Duration::from_millis(250));
    for text in ["0", "-1", "x", "nan", ""] {
        assert!(seconds(text).is_err(), "{text}");
    }
    assert!(seconds("1e300").is_ok());
    for (text, milliseconds) in [
        ("10s", 10_000),
        ("500ms", 500),
        ("2m", 120_000),
        ("1m30s", 90_000),
        ("1.5s", 1500),
        ("1h", 3_600_000),
    ] {
        let time = Duration::from_millis(milliseconds);
        assert_eq!(seconds(text).unwrap(), time, "{text}");
        assert_eq!(duration(text).unwrap(), time, "{text}");
    }
    assert_eq!(size("512MiB").unwrap(), 512 << 20);
    assert_eq!(size("1.5 g").unwrap(), 3 << 29);
    assert_eq!(size("2GB").unwrap(), 2_000_000_000);
    for text in ["512", "1MiB", "x", "1.2.3GiB", "MiB", "5 parsecs", "-1GiB"] {
        assert!(size(text).is_err(), "{text}");
    }
    for text in ["0s", "-1s", "10x", "ms"] {
        assert!(seconds(text).is_err(), "{text}");
    }
    assert_eq!(duration("50ms").unwrap(), Duration::from_millis(50));
    assert_eq!(duration("200us").unwrap(), Duration::from_micros(200));
    assert_eq!(duration("1.5").unwrap(), Duration::from_millis(1500));
    assert!(duration("-1s").is_err());
    assert_eq!(rate("-1"), Ok(Arrivals::AllAtOnce));
    assert_eq!(rate("0.5"), Ok(Arrivals::poisson(0.5)));
    assert_eq!(rate("inf"), Ok(Arrivals::AllAtOnce));
    assert_eq!(gaps("poisson"), Ok(Gaps::Poisson));
    assert_eq!(gaps("constant"), Ok(Gaps::Constant));
    assert_eq!(gaps("gamma:2.5"), Ok(Gaps::Gamma { cv: 2.5 }));
    for text in [
        "",
        "gamma",
        "gamma:",
        "gamma:0",
        "gamma:NaN",
        "gamma:-1",
        "uniform",
    ] {
        assert!(gaps(text).is_err(), "{text}");
    }
    for text in ["0", "-2", "-inf", "nan"] {
        assert!(rate(text).is_err(), "{text}");
    }
}
