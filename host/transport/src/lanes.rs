//! Connections of reqwest that carry a given number of requests.
//!
//! The pool of a client tells neither which connection will carry a request nor how many that one has carried. A client
//! that has one request at a time has one connection, though, and what it has carried is counted here; its last request
//! says `Connection: close`. A connection of HTTP/2 carries many at a time: there a client is let go after so many requests,
//! and its connection is closed with the last of them.

use reqwest::Client;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;

/// A client that has one request at a time.
#[derive(Debug)]
struct Lane {
    client: Client,
    /// Requests that its connection has carried; 0 where it has none.
    carried: u32,
}

/// The clients of one thread to one endpoint.
#[derive(Debug)]
pub(super) struct Lanes {
    limit: u32,
    free: Rc<RefCell<Vec<Lane>>>,
    /// The one for HTTP/2.
    shared: RefCell<Option<Lane>>,
}

impl Lanes {
    /// No client so far. `limit`: how many requests a connection carries.
    pub(super) fn new(limit: NonZeroU32) -> Self {
        Self {
            limit: limit.get(),
            free: Rc::default(),
            shared: RefCell::default(),
        }
    }

    /// Makes so many clients beforehand, since to make one takes longer than a request may wait.
    ///
    /// # Errors
    /// Those of `make`, which makes a client that keeps its connection.
    pub(super) fn prepare<E>(
        &self,
        clients: usize,
        mut make: impl FnMut() -> Result<Client, E>,
    ) -> Result<(), E> {
        while self.free.borrow().len() < clients {
            let client = make()?;
            self.free.borrow_mut().push(Lane { client, carried: 0 });
        }
        Ok(())
    }

    /// A client for one request of HTTP/1.1.
    ///
    /// # Errors
    /// Those of `make`, which makes a client that keeps its connection.
    pub(super) fn take<E>(&self, make: impl FnOnce() -> Result<Client, E>) -> Result<Taken, E> {
        let free = self.free.borrow_mut().pop();
        let lane = match free {
            Some(lane) => lane,
            None => Lane {
                client: make()?,
                carried: 0,
            },
        };
        Ok(Taken {
            is_last: lane.carried + 1 >= self.limit,
            lane: Some(lane),
            free: Rc::clone(&self.free),
        })
    }

    /// The client for one more request of HTTP/2.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn share<E>(&self, make: impl FnOnce() -> Result<Client, E>) -> Result<Client, E> {
        let mut shared = self.shared.borrow_mut();
        let lane = match shared.take() {
            Some(lane) if lane.carried < self.limit => lane,
            _ => Lane {
                client: make()?,
                carried: 0,
            },
        };
        let client = lane.client.clone();
        *shared = Some(Lane {
            carried: lane.carried + 1,
            ..lane
        });
        Ok(client)
    }

    /// Lets go of clients that carry nothing.
    pub(super) fn clear(&self) {
        self.free.borrow_mut().clear();
        self.shared.take();
    }
}

/// A client that carries a request of HTTP/1.1. It is free again once this is dropped, without a connection unless it was
/// given back.
#[derive(Debug)]
pub(super) struct Taken {
    lane: Option<Lane>,
    /// Whether the connection is to be closed behind this request.
    pub(super) is_last: bool,
    free: Rc<RefCell<Vec<Lane>>>,
}

impl Taken {
    pub(super) fn client(&self) -> Option<Client> {
        self.lane.as_ref().map(|lane| lane.client.clone())
    }

    /// The response has come whole. `is_new`: the connection was opened for this request.
    pub(super) fn give_back(mut self, is_new: bool) {
        if let Some(mut lane) = self.lane.take() {
            lane.carried = match (self.is_last, is_new) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => lane.carried + 1,
            };
            self.free.borrow_mut().push(lane);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(mut lane) = self.lane.take() {
            // A response that has not come whole ends its connection.
            lane.carried = 0;
            self.free.borrow_mut().push(lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn lanes(limit: u32) -> Lanes {
        crate::provide_cryptography();
        Lanes::new(NonZeroU32::new(limit).unwrap())
    }

    fn take(lanes: &Lanes) -> Taken {
        lanes.take(|| Ok::<_, Infallible>(Client::new())).unwrap()
    }

    #[test]
    fn clients_that_were_prepared_are_not_made_again() {
        let lanes = lanes(2);
        let made = std::cell::Cell::new(0);
        let make = || {
            made.set(made.get() + 1);
            Ok::<_, Infallible>(Client::new())
        };
        lanes.prepare(3, make).unwrap();
        assert_eq!(made.get(), 3);
        let taken: Vec<Taken> = (0..3).map(|_| lanes.take(make).unwrap()).collect();
        assert_eq!(made.get(), 3);
        // One more is under way than was thought of.
        let fourth = lanes.take(make).unwrap();
        assert_eq!(made.get(), 4);
        drop((taken, fourth));
    }

    #[test]
    fn the_last_request_of_a_connection_closes_it() {
        let lanes = lanes(3);
        let lasts: Vec<bool> = (0..7)
            .map(|number| {
                let taken = take(&lanes);
                let is_last = taken.is_last;
                taken.give_back(number % 3 == 0);
                is_last
            })
            .collect();
        assert_eq!(lasts, [false, false, true, false, false, true, false]);
    }

    #[test]
    fn a_connection_that_was_closed_or_broken_counts_no_more() {
        let lanes = lanes(2);
        take(&lanes).give_back(true);
        // The server had closed it, and another was opened.
        let second = take(&lanes);
        assert!(second.is_last);
        second.give_back(true);
        drop(take(&lanes));
        assert!(!take(&lanes).is_last);
    }

    #[test]
    fn a_client_of_http_2_is_let_go_after_so_many() {
        let lanes = lanes(2);
        let made = std::cell::Cell::new(0);
        for _ in 0..5 {
            let make = || {
                made.set(made.get() + 1);
                Ok::<_, Infallible>(Client::new())
            };
            lanes.share(make).unwrap();
        }
        assert_eq!(made.get(), 3);
    }
}
