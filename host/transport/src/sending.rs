//! What a request is sent with beside what all have: a function of seed, run, number and session alone.

use http::{HeaderName, HeaderValue};
use llmuses_core::exchange::{Job, Sending};
use llmuses_core::plan::Plan;
use llmuses_core::request_id::{request_id, session_id};

/// What the requests of a run are sent with.
#[derive(Debug, Clone, Default)]
pub struct SendingRules {
    seed: u64,
    run: u32,
    session_header: Option<HeaderName>,
    request_id_header: Option<HeaderName>,
}

impl SendingRules {
    /// Of the requests of a plan.
    pub fn of_plan(plan: &Plan) -> Self {
        Self {
            seed: plan.load.seed,
            run: plan.place.run,
            session_header: plan.target.session_header.clone(),
            request_id_header: plan.target.request_id_header.clone(),
        }
    }

    /// What this request is sent with.
    pub(super) fn of(&self, job: &Job) -> Sending {
        let mut headers = Vec::new();
        let mut add = |name: &Option<HeaderName>, id: &dyn Fn() -> String| {
            let name = name.as_ref()?;
            let id = id();
            // An id is of letters, digits and hyphens.
            let value = HeaderValue::from_str(&id).ok()?;
            headers.push((name.clone(), value));
            Some(id.into_boxed_str())
        };
        add(&self.session_header, &|| {
            session_id(self.seed, self.run, job.place.session)
        });
        let request_id = add(&self.request_id_header, &|| {
            request_id(self.seed, self.run, job.number)
        });
        Sending {
            headers,
            request_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::clock::Moment;
    use llmuses_core::exchange::Prepared;
    use llmuses_core::turn::TurnPlace;
    use std::time::Duration;

    fn job(number: u64, session: u64) -> Job {
        let prepared = Prepared {
            number,
            place: TurnPlace::first(session, 3),
            model: None,
            cancel_after: None,
            body: "{}".into(),
            held: Default::default(),
            own_head: None,
            at: None,
            later: None,
        };
        prepared.due(Moment::default(), Duration::ZERO, Duration::ZERO)
    }

    #[test]
    fn a_request_has_an_id_of_its_own_and_that_of_its_session() {
        let rules = SendingRules {
            seed: 7,
            run: 2,
            session_header: Some(HeaderName::from_static("x-session")),
            request_id_header: Some(HeaderName::from_static("x-request-id")),
        };
        let of = |number, session| {
            let sending = rules.of(&job(number, session));
            let headers = sending.headers.iter();
            let headers = headers.map(|(name, value)| (name.to_string(), value.clone()));
            (headers.collect::<Vec<_>>(), sending.request_id)
        };
        let (headers, id) = of(12, 4);
        assert_eq!(
            headers,
            [
                (
                    "x-session".to_owned(),
                    HeaderValue::from_static("llmuses-7-2-session-4")
                ),
                (
                    "x-request-id".to_owned(),
                    HeaderValue::from_static("llmuses-7-2-12")
                ),
            ]
        );
        assert_eq!(id.as_deref(), Some("llmuses-7-2-12"));
        let (next_turn, _) = of(13, 4);
        assert_eq!(next_turn[0], headers[0]);
        assert_ne!(next_turn[1], headers[1]);
    }

    #[test]
    fn nothing_is_added_where_nobody_asks() {
        let sending = SendingRules::default().of(&job(12, 4));
        assert!(sending.headers.is_empty() && sending.request_id.is_none());
    }
}
