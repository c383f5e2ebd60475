use super::*;

fn parse(text: &str) -> Result<Vec<Part>, String> {
    text.parse::<Lengths>()
        .map(|lengths| lengths.parts)
        .map_err(|error| error.reason)
}

#[test]
fn a_number_is_a_fixed_length() {
    let parts = parse("1024").unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].input, NumberDistribution::Fixed(1024));
    assert_eq!(parts[0].output, None);
}

#[test]
fn distributions_have_their_numbers() {
    let one = |text| parse(text).unwrap()[0].input;
    let (mean, deviation) = (1000.0, 200.0);
    assert_eq!(
        one("10..20"),
        NumberDistribution::Uniform { min: 10, max: 20 }
    );
    assert_eq!(
        one("uniform:10..20"),
        NumberDistribution::Uniform { min: 10, max: 20 }
    );
    assert_eq!(
        one("normal:1000,200"),
        NumberDistribution::Normal { mean, deviation }
    );
    assert_eq!(
        one("lognormal:1000,200"),
        NumberDistribution::LogNormal { mean, deviation }
    );
    assert_eq!(
        one("exponential:1000"),
        NumberDistribution::Exponential { mean }
    );
    assert_eq!(one("poisson:1000"), NumberDistribution::Poisson { mean });
    assert_eq!(
        one("zipf:1.2,4000"),
        NumberDistribution::Zipf {
            exponent: 1.2,
            max: 4000
        }
    );
}

#[test]
fn a_mix_has_shares_and_outputs() {
    let parts = parse("70%:200/50,30%:normal:8000,500/300").unwrap();
    assert_eq!(parts.len(), 2);
    assert_eq!((parts[0].weight, parts[1].weight), (70.0, 30.0));
    assert_eq!(
        parts[1].input,
        NumberDistribution::Normal {
            mean: 8000.0,
            deviation: 500.0
        }
    );
    assert_eq!(parts[1].output, Some(NumberDistribution::Fixed(300)));
    let lengths: Lengths = "70%:200,30%:8000".parse().unwrap();
    assert_eq!((lengths.shortest(), lengths.longest()), (200, 8000));
    assert!(!lengths.has_outputs());
}

#[test]
fn lengths_are_printed_as_they_are_read() {
    for text in [
        "1024",
        "uniform:10..20",
        "normal:1000,200",
        "lognormal:1000,200.5",
        "exponential:500",
        "poisson:300",
        "zipf:1.2,4000",
        "70%:200/50,30%:normal:8000,500/300",
    ] {
        assert_eq!(text.parse::<Lengths>().unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_length_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "`` is no whole number of tokens"),
        ("0", "0 tokens are not between 1 and 4194304"),
        ("-5", "`-5` is no whole number of tokens"),
        ("1e9", "`1e9` is no whole number of tokens"),
        ("20..10", "the range 20..10 is empty"),
        (
            "uniform:5",
            "uniform takes a range, such as uniform:100..2000",
        ),
        (
            "normal:100",
            "normal takes two numbers, normal:MEAN,DEVIATION",
        ),
        ("normal:nan,1", "`nan` is no number"),
        ("normal:100,-1", "the standard deviation is below 0"),
        ("beta:1,2", "there is no distribution `beta`"),
        (
            "70%:200,20%:300",
            "the shares of the mix add up to 90 %, not to 100 %",
        ),
        ("0%:200,100%:300", "a share is not above 0 %"),
        (
            "70%:200/50,30%:300",
            "some parts of the mix have an output length (INPUT/OUTPUT), others have none",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), reason, "{text}");
    }
}
