//! Random damage for a fixed short time, in this process, where a panic cannot hide: to the bytes of a
//! component as it is loaded, and to what the host reads out of a guest's memory. The seeds are fixed, so
//! a failure comes again.

use super::guest::{BODIES, BUILD, Guest, NEXT, PARSE, SKIPPED, TEXT, summary, words};
use llmuses_core::bounds::{Bounds, Sandbox};
use llmuses_core::clock::Moment;
use llmuses_core::exchange::{Reading, ResponseLog};
use llmuses_plugin_host::{
    BuildOptions, CallError, Compiler, InstanceContext, Loading, Parser, ParserInstance,
    PluginEngine, builtin,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long each of them looks for trouble.
const TIME: Duration = Duration::from_secs(4);

/// A damaged guest may loop for ever; a whole one only looks so where the machine is busy.
const DAMAGED: Duration = Duration::from_millis(50);
const WHOLE: Duration = Duration::from_secs(20);

fn bounds(call_time: Duration) -> Bounds {
    Bounds {
        memory_bytes: 16 << 20,
        call_time,
        transfer_bytes: 1 << 20,
        log_lines: 0,
        log_bytes: 0,
        sandbox: Sandbox::Wasi,
        ..Bounds::default()
    }
}

fn load(engine: &PluginEngine, bytes: &[u8], call_time: Duration) -> Option<Parser> {
    let loading = Loading {
        engine,
        bounds: bounds(call_time),
        compiler: Compiler::InProcess,
        cache: None,
        messages: llmuses_core::messages::Messages::new(|_| {}),
        details: None,
        cache_trouble: &|_| {},
    };
    match Parser::from_bytes(&loading, bytes, Path::new("damaged.wasm")) {
        Ok(parser) => Some(parser),
        Err(error) => {
            assert_sane(&error.to_string());
            None
        }
    }
}

/// What comes from a guest is short and does nothing to a terminal.
fn assert_sane(text: &str) {
    assert!(text.chars().count() < 2000, "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

fn options() -> BuildOptions {
    BuildOptions {
        model: "m".to_owned(),
        prompt: Some("hi".to_owned()),
        has_dataset: false,
        min_length: 0,
        max_length: u64::MAX,
        parameters: "{}".to_owned(),
    }
}

/// All calls of a run, also those that fail.
fn use_it(parser: &Parser) -> Result<(), CallError> {
    let mut instance = parser.instantiate(InstanceContext::default())?;
    let requests = instance.build_request(&options())?;
    let bodies = instance.next(requests, 4)?;
    assert!(bodies.len() <= 4);
    instance.skipped(requests)?;
    instance.drop_requests(requests)?;
    read(&mut instance, b"{\"choices\":[]}")?;
    Ok(())
}

fn read(instance: &mut ParserInstance, response: &[u8]) -> Result<Reading, CallError> {
    let mut log = ResponseLog::default();
    for piece in [response, b"{}"] {
        assert!(log.push(piece, Moment::default()));
    }
    let reading = instance.parse_responses(&log, b"{}", "{}", false)?;
    assert!(reading.outputs.is_sorted_by(|first, second| first < second));
    assert!(reading.outputs.iter().all(|index| *index < 2));
    assert!(reading.metrics.len() <= 64);
    for (name, _) in &reading.metrics {
        assert!(name.chars().count() <= 81 && !name.chars().any(char::is_control));
    }
    for count in [reading.prompt, reading.completion].into_iter().flatten() {
        assert!(count.tokens <= 1 << 53);
    }
    Ok(reading)
}

/// Numbers at which programs break.
const ODD: [u32; 10] = [
    0,
    1,
    7,
    0x7f,
    0xff,
    0xffff,
    0x0010_0000,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];

fn damage(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..6) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..7) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.random()),
            4 => {
                let odd = ODD[random.random_range(0..ODD.len())].to_le_bytes();
                for (byte, odd) in bytes[at..].iter_mut().zip(odd) {
                    *byte = odd;
                }
            }
            5 => {
                let end = random
                    .random_range(at..bytes.len().min(at + 40) + 1)
                    .min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.random_range(0..bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let end = (at + random.random_range(0..40)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
}

#[test]
fn damaged_components() {
    let engine = PluginEngine::new().expect("an engine");
    let built_in = builtin("openai_prompt").expect("a built-in parser");
    let built_in = built_in.bytes().expect("memory for it");
    let small = Guest::new().component();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let began = Instant::now();
    let (mut tried, mut loaded) = (0, 0);
    while began.elapsed() < TIME {
        // A large one takes a hundred times as long.
        let mut bytes = if tried % 100 == 99 {
            built_in.clone()
        } else {
            small.clone()
        };
        damage(&mut bytes, &mut random);
        tried += 1;
        if let Some(parser) = load(&engine, &bytes, DAMAGED) {
            loaded += 1;
            assert_sane(&parser.info().name);
            if let Err(error) = use_it(&parser) {
                assert_sane(&error.to_string());
            }
        }
    }
    eprintln!("{tried} damaged components, {loaded} of which loaded");
    assert!(tried > 20 && loaded > 0, "{tried}, {loaded}");
}

/// A guest whose memory the host can write: the first response is an address and what to put there.
fn poked() -> Guest {
    Guest::new().parse(
        "(local $from i32) (local $size i32)
        (local.set $from (i32.load (local.get $list)))
        (local.set $size (i32.load offset=4 (local.get $list)))
        (memory.copy
            (i32.and (i32.load (local.get $from)) (i32.const 0xffff))
            (i32.add (local.get $from) (i32.const 4))
            (i32.sub (local.get $size) (i32.const 4)))
        (i32.const 256)",
    )
}

/// What a function returns, or a part of that, made up.
fn result(random: &mut ChaCha8Rng) -> Vec<u8> {
    let pointer = |random: &mut ChaCha8Rng| match random.random_range(0..4) {
        0 => TEXT,
        1 => BODIES,
        2 => random.random_range(0..140_000),
        _ => ODD[random.random_range(0..ODD.len())],
    };
    let length = |random: &mut ChaCha8Rng| match random.random_range(0..4) {
        0 => 0,
        1 => random.random_range(0..70),
        2 => random.random_range(0..140_000),
        _ => ODD[random.random_range(0..ODD.len())],
    };
    let place =
        [PARSE, PARSE, PARSE, NEXT, BUILD, SKIPPED, BODIES, TEXT][random.random_range(0..8)];
    let mut bytes = words(&[place]);
    match place {
        PARSE => {
            let mut summary = summary(random.random(), random.random_range(0..1 << 54));
            summary[56] = random.random_range(0..3);
            let pieces = [
                pointer(random),
                length(random),
                pointer(random),
                length(random),
            ];
            summary[60..76].copy_from_slice(&words(&pieces));
            summary[0] = u8::from(random.random_ratio(1, 8));
            bytes.extend(summary);
        }
        TEXT => {
            let mut text = vec![0; 200];
            random.fill_bytes(&mut text);
            bytes.extend(text);
        }
        _ => {
            let tag = random.random_range(0..3);
            bytes.extend(words(&[tag, pointer(random), length(random)]));
        }
    }
    if random.random_ratio(1, 3) {
        let mut rest = bytes.split_off(4);
        damage(&mut rest, random);
        bytes.extend(rest);
    }
    bytes
}

#[test]
fn damaged_results() {
    let engine = PluginEngine::new().expect("an engine");
    let parser = load(&engine, &poked().component(), WHOLE).expect("the guest is well");
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let began = Instant::now();
    let (mut tried, mut well, mut refused, mut broken) = (0, 0, 0, 0);
    while began.elapsed() < TIME {
        let mut instance = parser
            .instantiate(InstanceContext::default())
            .expect("the guest starts");
        let Ok(requests) = instance.build_request(&options()) else {
            panic!("the guest makes requests");
        };
        for _ in 0..random.random_range(1..20) {
            tried += 1;
            let poked = read(&mut instance, &result(&mut random)).map(|_| ());
            let result = poked.and_then(|()| {
                let bodies = instance.next(requests, 4)?;
                assert!(bodies.len() <= 4);
                for (reason, _) in instance.skipped(requests)? {
                    assert_sane(&reason);
                }
                Ok(())
            });
            match result {
                Ok(()) => well += 1,
                Err(CallError::Refused(message)) => {
                    assert_sane(&message);
                    refused += 1;
                }
                Err(error) => {
                    assert_sane(&error.to_string());
                    broken += 1;
                    // It is never let in again.
                    assert!(instance.next(requests, 1).is_err());
                    break;
                }
            }
        }
    }
    eprintln!("{tried} results: {well} well, {refused} refused, {broken} broken");
    assert!(
        well > 0 && refused > 0 && broken > 0,
        "{well}, {refused}, {broken}"
    );
}

/// Not a test of behaviour: what replacing an instance costs, told with `--nocapture`.
#[test]
fn a_new_instance_takes_less_than_a_millisecond() {
    let engine = PluginEngine::new().expect("an engine");
    let component = builtin("openai_prompt").expect("a built-in parser");
    let loading = Loading {
        engine: &engine,
        bounds: Bounds::default(),
        compiler: Compiler::InProcess,
        cache: None,
        messages: llmuses_core::messages::Messages::new(|_| {}),
        details: None,
        cache_trouble: &|_| {},
    };
    let parser = Parser::from_builtin(&loading, component).expect("it loads");
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            let instance = parser.instantiate(InstanceContext::default());
            let time = began.elapsed();
            assert!(instance.is_ok());
            time
        })
        .collect();
    times.sort();
    eprintln!(
        "a new instance: median {:?}, slowest {:?}",
        times[100], times[199]
    );
    assert!(times[100] < Duration::from_millis(1), "{:?}", times[100]);
}
