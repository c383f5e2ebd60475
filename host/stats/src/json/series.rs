//! What happened when, and the slowest requests.

use super::seconds;
use crate::slowest::Slowest;
use crate::timeline::{Slot, Timeline};
use llmuses_core::clock::Moment;
use llmuses_core::document::{SlowestRequest, TimeSeries};

pub(super) fn timeline(timeline: &Timeline, has_objectives: bool) -> TimeSeries {
    let slots = timeline.slots();
    let counts = |count: fn(&Slot) -> u64| slots.iter().map(count).collect::<Vec<u64>>();
    let ttft = |time: fn(&Slot) -> f64| {
        let known = |slot: &Slot| (slot.ttft_samples > 0).then(|| time(slot));
        slots.iter().map(known).collect()
    };
    let mut in_flight = 0_u64;
    TimeSeries {
        slot_seconds: seconds(timeline.slot_length()),
        warmup_seconds: None,
        requests_sent: counts(|slot| slot.sent),
        requests_succeeded: counts(|slot| slot.succeeded),
        requests_that_met_all: has_objectives.then(|| counts(|slot| slot.good)),
        requests_failed: counts(|slot| slot.failed),
        requests_in_flight_at_the_end: slots
            .iter()
            .map(|slot| {
                in_flight = (in_flight + slot.sent).saturating_sub(slot.left);
                in_flight
            })
            .collect(),
        // Shares of a token mean nothing beyond a thousandth.
        output_tokens: slots
            .iter()
            .map(|slot| (slot.output_tokens * 1e3).round() / 1e3)
            .collect(),
        input_tokens: counts(|slot| slot.input_tokens),
        time_to_first_token_mean_seconds: ttft(|slot| {
            seconds(slot.ttft_sum) / slot.ttft_samples as f64
        }),
        time_to_first_token_max_seconds: ttft(|slot| seconds(slot.ttft_max)),
    }
}

pub(super) fn slowest(slowest: &Slowest, start: Moment) -> Vec<SlowestRequest> {
    slowest
        .requests()
        .iter()
        .map(|request| SlowestRequest {
            number: request.number,
            sent_seconds_after_start: request.sent.map(|sent| seconds(sent.since(start))),
            latency_seconds: seconds(request.latency),
            time_to_first_token_seconds: request.ttft.map(seconds),
            time_per_output_token_seconds: request.tpot.map(seconds),
            input_tokens: request.prompt_tokens,
            output_tokens: request.completion_tokens,
            prompt: request.prompt.clone(),
            answer: request.answer.clone(),
        })
        .collect()
}
