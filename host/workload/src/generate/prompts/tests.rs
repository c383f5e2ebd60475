use super::super::text::RealText;
use super::super::vocabulary::Vocabulary;
use super::*;
use crate::tokenizer::HostTokenizer;
use llmuses_plugin_host::TokenCounter;
use std::path::Path;
use std::sync::Arc;

const TOKENIZER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../datasets/tokenizer/tokenizer.json"
);

fn generated(input: &str) -> Generated {
    Generated {
        input: input.parse().unwrap(),
        output: None,
        prefixes: None,
        text: None,
        as_token_ids: false,
    }
}

fn words(overhead: u32, text: Option<&str>) -> Words {
    let tokenizer = Arc::new(HostTokenizer::load(Path::new(TOKENIZER)).unwrap());
    let text = text.map(|text| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("text");
        std::fs::write(&file, text).unwrap();
        Arc::new(RealText::load(&file, Some(&tokenizer)).unwrap())
    });
    Words {
        vocabulary: Arc::new(Vocabulary::of(&tokenizer).unwrap()),
        counting: Counting::Tokenizer(tokenizer),
        text,
        overhead,
        later_overhead: overhead,
    }
}

/// Lengths that were learned: 3 tokens for two words, and 5 around a prompt.
fn learned_words(text: Option<&str>) -> Words {
    Words {
        vocabulary: Arc::new(Vocabulary::common()),
        counting: Counting::Learned { per_word: 1.5 },
        text: text.map(|text| Arc::new(RealText::in_words(text).unwrap())),
        overhead: 5,
        later_overhead: 5,
    }
}

fn count(words: &Words, text: &str) -> u64 {
    match &words.counting {
        Counting::Tokenizer(tokenizer) => tokenizer.count(text).unwrap(),
        Counting::Learned { .. } => text.split_whitespace().count() as u64,
    }
}

#[test]
fn learned_lengths_are_met_to_the_next_word() {
    let text = "one two, three\nfour five.";
    for words in [learned_words(None), learned_words(Some(text))] {
        let mut wanted = generated("uniform:20..500");
        wanted.prefixes = Some(Prefixes {
            share: Share::Tokens(3),
            number: 1,
            exponent: 0.0,
        });
        let maker = PromptMaker::new(wanted, 42, 0, words);
        for number in 0..50 {
            let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
            let counted = prompt.text.split_whitespace().count() as f64 * 1.5 + 5.0;
            let difference = counted - f64::from(prompt.asked.input);
            assert!(difference.abs() <= 1.0, "{difference}: {}", prompt.text);
            assert!(prompt.counted.abs_diff(prompt.asked.input) <= 1);
            assert_eq!(prompt.asked.prefix, Some((0, 3)));
        }
    }
}

fn maker(input: &str, words: Words) -> PromptMaker {
    PromptMaker::new(generated(input), 42, 0, words)
}

#[test]
fn every_prompt_has_the_tokens_asked_for() {
    let words = words(7, None);
    let maker = maker("uniform:8..500", words.clone());
    for number in 0..200 {
        let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
        let tokens = count(&words, &prompt.text) + 7;
        assert_eq!(tokens, u64::from(prompt.asked.input), "{}", prompt.text);
        assert_eq!(prompt.counted, prompt.asked.input);
        assert_eq!(maker.asked(number, TurnPlace::alone(number)), prompt.asked);
    }
}

#[test]
fn pieces_of_text_have_the_tokens_asked_for() {
    let text =
        "An astronomer's telescope, bought second-hand; \"unbelievable\" (1,024 times) — naïve? "
            .repeat(9);
    let words = words(0, Some(&text));
    let maker = maker("uniform:1..300", words.clone());
    for number in 0..200 {
        let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
        let tokens = count(&words, &prompt.text);
        assert_eq!(tokens, u64::from(prompt.asked.input), "{}", prompt.text);
    }
}

#[test]
fn a_prompt_depends_on_seed_and_number_alone() {
    let words = words(0, None);
    let (one, again) = (maker("100", words.clone()), maker("100", words.clone()));
    assert_eq!(
        one.make(17, TurnPlace::alone(17)).unwrap(),
        again.make(17, TurnPlace::alone(17)).unwrap()
    );
    assert_ne!(
        one.make(17, TurnPlace::alone(17)).unwrap().text,
        one.make(18, TurnPlace::alone(18)).unwrap().text
    );
    let other = PromptMaker::new(generated("100"), 43, 0, words);
    assert_ne!(
        one.make(17, TurnPlace::alone(17)).unwrap().text,
        other.make(17, TurnPlace::alone(17)).unwrap().text
    );
}

#[test]
fn prompts_share_the_prefixes_asked_for() {
    let words = words(3, None);
    let mut wanted = generated("200");
    wanted.prefixes = Some(Prefixes {
        share: Share::Tokens(64),
        number: 4,
        exponent: 0.0,
    });
    let maker = PromptMaker::new(wanted.clone(), 42, 0, words.clone());
    let prompts: Vec<Prompt> = (0..100)
        .map(|number| maker.make(number, TurnPlace::alone(number)).unwrap())
        .collect();
    let beginning = |prompt: &Prompt| -> Vec<String> {
        let words = prompt.text.split(' ').take(64);
        words.map(ToOwned::to_owned).collect()
    };
    let mut beginnings = std::collections::HashMap::new();
    for prompt in &prompts {
        let (which, length) = prompt.asked.prefix.unwrap();
        assert_eq!(length, 64);
        let begin = beginning(prompt);
        assert_eq!(count(&words, &begin.join(" ")), 64);
        assert_eq!(*beginnings.entry(which).or_insert(begin.clone()), begin);
    }
    assert_eq!(beginnings.len(), 4);
    // The prompts of a warm-up have others.
    let maker = PromptMaker::new(wanted, 42, 50, words);
    let warm = beginning(&maker.make(0, TurnPlace::alone(0)).unwrap());
    assert!(beginnings.values().all(|known| *known != warm));
    assert_eq!(maker.make(60, TurnPlace::alone(60)).unwrap(), prompts[60]);
}

#[test]
fn a_part_of_each_prompt_is_its_prefix() {
    let mut wanted = generated("uniform:100..1000");
    wanted.prefixes = Some(Prefixes {
        share: Share::Part(0.6),
        number: 1,
        exponent: 0.0,
    });
    let maker = PromptMaker::new(wanted, 42, 0, words(0, None));
    let prompts: Vec<Prompt> = (0..50)
        .map(|number| maker.make(number, TurnPlace::alone(number)).unwrap())
        .collect();
    for pair in prompts.windows(2) {
        let common = pair[0]
            .text
            .split(' ')
            .zip(pair[1].text.split(' '))
            .take_while(|(one, other)| one == other)
            .count() as f64;
        let shorter = pair[0].asked.input.min(pair[1].asked.input);
        assert!(common >= f64::from(shorter) * 0.6 - 1.0);
    }
}

#[test]
fn prefixes_chosen_by_zipf_come_more_often_the_earlier_they_are() {
    let mut wanted = generated("50");
    wanted.prefixes = Some(Prefixes {
        share: Share::Tokens(10),
        number: 5,
        exponent: 2.0,
    });
    let maker = PromptMaker::new(wanted, 42, 0, words(0, None));
    let mut chosen = [0; 5];
    for number in 0..400 {
        let (which, _) = maker
            .make(number, TurnPlace::alone(number))
            .unwrap()
            .asked
            .prefix
            .unwrap();
        chosen[which as usize] += 1;
    }
    assert!(
        chosen[0] > 2 * chosen[1] && chosen[1] > chosen[4],
        "{chosen:?}"
    );
}

#[test]
fn a_mix_says_how_long_outputs_are() {
    let maker = maker("70%:20/5,30%:80/30", words(0, None));
    for number in 0..50 {
        let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
        assert!(matches!(
            (prompt.asked.input, prompt.asked.output),
            (20, Some(5)) | (80, Some(30))
        ));
    }
}

#[test]
fn prompts_without_room_are_drawn_again() {
    let words = words(12, None);
    for lengths in [
        "1..60",
        "normal:30,20",
        "lognormal:30,20",
        "exponential:30",
        "poisson:20",
        "zipf:1.2,400",
        "50%:20,50%:exponential:30",
    ] {
        let wanted = generated(lengths);
        words.ensure_room(&wanted, true).unwrap();
        let maker = PromptMaker::new(wanted, 42, 0, words.clone());
        for number in 0..100 {
            let place = TurnPlace::first(number, 2);
            for place in [place, TurnPlace { turn: 1, ..place }] {
                let prompt = maker.make(number, place).unwrap();
                let tokens = count(&words, &prompt.text) + 12;
                assert_eq!(tokens, u64::from(prompt.asked.input), "{lengths}");
                assert!(tokens > 12, "{lengths}");
                assert_eq!(maker.asked(number, place), prompt.asked);
            }
        }
    }
}

#[test]
fn prompts_have_room_for_their_prefix() {
    let words = words(5, None);
    let mut wanted = generated("exponential:40");
    wanted.prefixes = Some(Prefixes {
        share: Share::Tokens(30),
        number: 1,
        exponent: 0.0,
    });
    words.ensure_room(&wanted, false).unwrap();
    let maker = PromptMaker::new(wanted, 42, 0, words);
    for number in 0..200 {
        let asked = maker.asked(number, TurnPlace::alone(number));
        assert_eq!(asked.prefix, Some((0, 30)));
        assert!(asked.input > 35, "{asked:?}");
    }
}

#[test]
fn lengths_without_room_are_refused() {
    let said = |lengths: &str, prefix: Option<u32>, overheads: [u32; 2]| {
        let mut wanted = generated(lengths);
        wanted.prefixes = prefix.map(|tokens| Prefixes {
            share: Share::Tokens(tokens),
            number: 1,
            exponent: 0.0,
        });
        let words = Words {
            later_overhead: overheads[1],
            ..words(overheads[0], None)
        };
        let error = |has_later| {
            words
                .ensure_room(&wanted, has_later)
                .unwrap_err()
                .to_string()
        };
        error(overheads[0] < overheads[1])
    };
    let taken = "the chat template or special tokens take";
    for (lengths, prefix, overheads, wanted) in [
        (
            "8",
            None,
            [8, 0],
            format!("a prompt of 8 tokens has no room for a text, since {taken} 8 tokens"),
        ),
        (
            "1..8",
            None,
            [3, 8],
            format!("a prompt of 8 tokens or fewer has no room for a text, since {taken} 8 tokens"),
        ),
        (
            "50%:100,50%:20",
            Some(15),
            [5, 0],
            format!(
                "a prompt of 20 tokens has no room for a text, since {taken} 5 tokens and the prefix 15"
            ),
        ),
        (
            "normal:20,2",
            Some(40),
            [0, 0],
            "fewer than 1 % of the lengths normal:20,2 have room for a text, since the prefix has 40 tokens"
                .to_owned(),
        ),
        (
            "lognormal:1,1e90",
            None,
            [0, 0],
            format!(
                "fewer than 1 % of the lengths lognormal:1,{} are from 1 to 4194304 tokens",
                1e90
            ),
        ),
    ] {
        assert_eq!(said(lengths, prefix, overheads), wanted);
    }
    let words = words(8, None);
    for lengths in ["9", "1..9", "normal:9,0"] {
        words.ensure_room(&generated(lengths), true).unwrap();
    }
}
