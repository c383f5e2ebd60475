//! What is drawn for each session: how many turns it has, and how long its user thinks.

use super::draw;
use super::draw::random_of;
use llmuses_core::plan::Sessions;
use llmuses_core::turn::TurnPlace;
use std::time::Duration;

/// Makes the draws of turns differ from those of prompts.
const TURNS: u64 = 0x74_75_72_6e_73;

/// Makes the draws of times to think differ from those of prompts.
const THINK: u64 = 0x74_68_69_6e_6b;

/// Draws what differs from session to session: a function of seed and session alone.
#[derive(Debug, Clone)]
pub struct SessionDraws {
    plan: Sessions,
    seed: u64,
}

impl SessionDraws {
    /// Draws for such sessions.
    pub fn new(plan: Sessions, seed: u64) -> Self {
        Self { plan, seed }
    }

    /// How many turns a session has whose prompts are not read.
    pub fn turns(&self, session: u64) -> u32 {
        match &self.plan.turns {
            Some(turns) => draw::length(turns, &mut random_of(self.seed ^ TURNS, session)),
            None => 1,
        }
    }

    /// The time between the end of the turn before and this one. `delay`: what the data set says, in seconds.
    pub fn think_time(&self, place: TurnPlace, delay: Option<f64>) -> Duration {
        if let Some(time) = &self.plan.think_time {
            let seed = self.seed ^ THINK ^ (u64::from(place.turn) << 32);
            let milliseconds =
                draw::length(time.milliseconds(), &mut random_of(seed, place.session));
            return Duration::from_millis(milliseconds.into());
        }
        let delay = delay.unwrap_or_default().max(0.0);
        Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX)
    }

    /// Whether later turns have the replies that the data set recorded.
    pub fn replies_are_recorded(&self) -> bool {
        self.plan.recorded_replies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(turns: &str, think: Option<&str>) -> SessionDraws {
        let plan = Sessions {
            turns: Some(turns.parse().unwrap()),
            think_time: think.map(|time| time.parse().unwrap()),
            recorded_replies: false,
        };
        SessionDraws::new(plan, 42)
    }

    #[test]
    fn a_session_has_the_same_draws_each_time() {
        let (one, other) = (
            draws("uniform:2..9", Some("exponential:1s")),
            draws("uniform:2..9", Some("exponential:1s")),
        );
        let all = |draws: &SessionDraws| -> Vec<(u32, Duration)> {
            (0..100)
                .map(|session| {
                    let turns = draws.turns(session);
                    let place = TurnPlace {
                        turn: 1,
                        ..TurnPlace::first(session, turns)
                    };
                    (turns, draws.think_time(place, Some(9.0)))
                })
                .collect()
        };
        assert_eq!(all(&one), all(&other));
        let turns: std::collections::BTreeSet<u32> =
            all(&one).into_iter().map(|(turns, _)| turns).collect();
        assert_eq!(turns, (2..=9).collect());
    }

    #[test]
    fn the_data_set_says_how_long_to_think_where_nobody_else_does() {
        let place = TurnPlace {
            turn: 1,
            ..TurnPlace::first(0, 2)
        };
        let time = |think, delay| draws("3", think).think_time(place, delay);
        assert_eq!(time(None, Some(1.5)), Duration::from_millis(1500));
        assert_eq!(time(Some("200ms"), Some(1.5)), Duration::from_millis(200));
        assert_eq!(time(Some("0"), Some(1.5)), Duration::ZERO);
        assert_eq!(time(None, None), Duration::ZERO);
        assert_eq!(time(None, Some(-1.0)), Duration::ZERO);
    }
}
