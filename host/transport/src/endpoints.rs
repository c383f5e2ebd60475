//! Which of several endpoints a request goes to.

use llmuses_core::credential::public_url;
use llmuses_core::plan::{Target, UrlPolicy};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The endpoints of a run, where it has several: shared by all client threads.
#[derive(Debug, Default)]
pub struct Endpoints {
    /// Empty where there is one endpoint, so that nothing has to be chosen.
    all: Vec<Endpoint>,
    policy: UrlPolicy,
    /// How many processes share the load. In a closed loop each has every so many numbers.
    parts: u64,
}

#[derive(Debug)]
struct Endpoint {
    /// Its URL, without credentials.
    url: Arc<str>,
    /// Requests under way.
    in_flight: AtomicU64,
}

impl Endpoints {
    /// The endpoints of a target, to which `parts` processes send the requests of one load.
    pub fn of(target: &Target, parts: u32) -> Self {
        let endpoint = |url| Endpoint {
            url: public_url(url).into(),
            in_flight: AtomicU64::new(0),
        };
        let all = match target.more_urls.is_empty() {
            true => Vec::new(),
            false => target.urls().map(endpoint).collect(),
        };
        Self {
            all,
            policy: target.url_policy,
            parts: u64::from(parts.max(1)),
        }
    }

    /// The endpoint of request `number` of a session, which counts as under way there until the choice is dropped.
    /// `None`: there is only one.
    pub(super) fn choose(&self, number: u64, session: u64) -> Option<Choice<'_>> {
        if self.all.is_empty() {
            return None;
        }
        let count = self.all.len();
        let in_turn = match self.policy {
            UrlPolicy::Session => session,
            UrlPolicy::RoundRobin | UrlPolicy::LeastInFlight => number,
        };
        // A remainder is below the number of endpoints.
        let first = (in_turn / self.parts % count as u64) as usize;
        let index = match self.policy {
            UrlPolicy::RoundRobin | UrlPolicy::Session => first,
            // Of several that have as few, the next one in turn: else the first would get more than the others.
            UrlPolicy::LeastInFlight => (first..first + count)
                .map(|index| index % count)
                .min_by_key(|index| self.all[*index].in_flight.load(Ordering::Relaxed))
                .unwrap_or(first),
        };
        let endpoint = &self.all[index];
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Choice { index, endpoint })
    }
}

/// The endpoint that one request goes to.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    /// Its place among the URLs of the target.
    pub(super) index: usize,
    endpoint: &'a Endpoint,
}

impl Choice<'_> {
    /// Its URL, without credentials.
    pub(super) fn url(&self) -> Arc<str> {
        Arc::clone(&self.endpoint.url)
    }
}

impl Drop for Choice<'_> {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    fn endpoints(policy: UrlPolicy, urls: &[&str]) -> Endpoints {
        let mut urls = urls.iter().map(|url| Url::parse(url).unwrap());
        let mut target = Target::new("m".to_owned(), urls.next().unwrap());
        target.more_urls = urls.collect();
        target.url_policy = policy;
        Endpoints::of(&target, 1)
    }

    const THREE: [&str; 3] = [
        "http://a/x",
        "http://b/x",
        "http://me:secret@c/x?key=secret",
    ];

    fn indices(endpoints: &Endpoints, numbers: std::ops::Range<u64>) -> Vec<usize> {
        numbers
            .filter_map(|number| endpoints.choose(number, number).map(|choice| choice.index))
            .collect()
    }

    #[test]
    fn requests_take_turns() {
        let three = endpoints(UrlPolicy::RoundRobin, &THREE);
        assert_eq!(indices(&three, 0..5), [0, 1, 2, 0, 1]);
        let url = three.choose(2, 2).unwrap().url();
        assert!(url.starts_with("http://c/x"), "{url}");
        assert!(!url.contains("secret"), "{url}");
    }

    #[test]
    fn a_part_of_a_load_goes_to_every_endpoint() {
        let three = Endpoints {
            parts: 3,
            ..endpoints(UrlPolicy::RoundRobin, &THREE)
        };
        let own = (1..13).step_by(3);
        let chosen =
            own.filter_map(|number| three.choose(number, number).map(|choice| choice.index));
        assert_eq!(chosen.collect::<Vec<_>>(), [0, 1, 2, 0]);
    }

    #[test]
    fn a_busy_endpoint_gets_fewer() {
        let three = endpoints(UrlPolicy::LeastInFlight, &THREE);
        assert_eq!(indices(&three, 0..4), [0, 1, 2, 0]);
        let (slow, slower) = (three.choose(0, 0).unwrap(), three.choose(1, 1).unwrap());
        assert_eq!((slow.index, slower.index), (0, 1));
        assert_eq!(indices(&three, 3..6), [2, 2, 2]);
        drop(slow);
        assert_eq!(indices(&three, 3..7), [0, 2, 2, 0]);
    }

    #[test]
    fn all_turns_of_a_session_go_to_the_same_endpoint() {
        let three = endpoints(UrlPolicy::Session, &THREE);
        let of_session = |session: u64| -> Vec<usize> {
            let numbers = [session * 4, session * 4 + 1, 97];
            let chosen =
                numbers.map(|number| three.choose(number, session).map(|choice| choice.index));
            chosen.into_iter().flatten().collect()
        };
        for session in 0..7 {
            assert_eq!(of_session(session), [session as usize % 3; 3]);
        }
    }

    #[test]
    fn one_endpoint_is_no_choice() {
        let one = endpoints(UrlPolicy::LeastInFlight, &THREE[..1]);
        assert!(one.choose(7, 7).is_none());
    }
}
