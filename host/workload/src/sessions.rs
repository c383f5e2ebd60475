//! Sessions under way: what is still to be asked of each, and the way from the reply to one turn to the request of the
//! next.

use super::bodies::{ApiSettings, own_head};
use super::cancel_draws::CancelDraws;
use super::conversation::Conversation;
use super::later_entries::{Chains, Followed, HeldBack, LaterEntry};
use super::session_draws::SessionDraws;
use llmuses_core::budget::{Budget, Charge};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::exchange::{Exchange, Job, Outcome, Prepared};
use llmuses_core::messages::Messages;
use llmuses_core::turn::TurnPlace;
use llmuses_load::LaterTurn;
use llmuses_plugin_host::parse::GoOn;
use llmuses_plugin_host::{CallError, ParserInstance};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What sessions need to know.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The parser, for messages.
    pub parser: String,
    /// What an API is told.
    pub api: ApiSettings,
    /// What is drawn for each session.
    pub draws: SessionDraws,
    /// Which requests the client cancels.
    pub cancel: CancelDraws,
    /// Whether the API gives replies that later turns can have.
    pub has_replies: bool,
    /// Whether each session has a user who sends all of its turns: in a closed loop.
    pub has_users: bool,
    /// Whether sessions of which no further request can be made are counted and end, in place of the run.
    pub skip_refused: bool,
    /// What bodies draw their memory from.
    pub budget: Arc<Budget>,
    /// Takes warnings of sessions that ended so.
    pub messages: Messages,
}

/// The sessions of a run that are to have further turns.
#[derive(Debug)]
pub struct SessionsUnderWay {
    settings: SessionSettings,
    clock: Clock,
    /// When the run began.
    start: OnceLock<Moment>,
    /// Set where the run has to end.
    stop: Arc<AtomicBool>,
    state: Mutex<State>,
    /// Sessions that may have further turns.
    live: AtomicU64,
    /// Whether there are conversations of a trace.
    has_chains: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Where turns go that are ready. `None`: no further ones go.
    ready: Option<flume::Sender<LaterTurn>>,
    /// By their number; `None` while somebody is at work on it.
    live: HashMap<u64, Option<Session>>,
    /// Entries of a trace that come after others.
    chains: Chains,
    /// No further session begins.
    is_complete: bool,
    /// Sessions of which no further request could be made.
    refused: u64,
    /// Why the run had to end.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Session {
    rest: Conversation,
    user: Option<flume::Sender<Job>>,
    /// The memory of what is kept of it.
    held: Charge,
}

impl SessionsUnderWay {
    /// No session so far. `clock`: that of the run. `stop` is set where the run has to end. `ready` takes the turns as their
    /// requests are made.
    pub fn new(
        settings: SessionSettings,
        clock: Clock,
        stop: Arc<AtomicBool>,
        ready: flume::Sender<LaterTurn>,
    ) -> Self {
        Self {
            settings,
            clock,
            start: OnceLock::new(),
            stop,
            state: Mutex::new(State {
                ready: Some(ready),
                live: HashMap::new(),
                chains: Chains::default(),
                is_complete: false,
                refused: 0,
                trouble: None,
            }),
            live: AtomicU64::new(0),
            has_chains: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session of which `rest` is to come after its first turn. Gives back where its user gets the later turns
    /// from, where it has one. `held`: the memory of `rest`.
    pub(super) fn begin(
        &self,
        place: TurnPlace,
        rest: Conversation,
        held: Charge,
    ) -> Option<flume::Receiver<Job>> {
        let (user, later) = match self.settings.has_users {
            true => {
                let (user, later) = flume::unbounded();
                (Some(user), Some(later))
            }
            false => (None, None),
        };
        let mut state = self.state();
        if state.ready.is_some() {
            let session = Session { rest, user, held };
            state.live.insert(place.session, Some(session));
            self.count(&state);
        }
        later
    }

    /// The run begins.
    pub fn start(&self, start: Moment) {
        // Set once, before the first request goes.
        let _ = self.start.set(start);
    }

    /// Takes in the next entry of a conversation of a trace. Gives back its request where it is the first one, to go when
    /// it is due; any other goes by itself when the one before it is over.
    pub(super) fn follow(&self, entry: LaterEntry) -> Option<Prepared> {
        self.has_chains.store(true, Ordering::Relaxed);
        let mut state = self.state();
        let first = match state.chains.follow(entry, self.start.get().copied()) {
            Followed::First(entry) => {
                if let Some((rest, held)) = entry.rest {
                    let (id, user) = (entry.prepared.place.session, None);
                    state.live.insert(id, Some(Session { rest, user, held }));
                }
                Some(entry.prepared)
            }
            Followed::Due(entry, due) => {
                self.release(&mut state, entry, due);
                None
            }
            Followed::Waits => None,
        };
        self.count(&state);
        first
    }

    /// Hands over the request of a later entry of a conversation.
    fn release(&self, state: &mut State, entry: LaterEntry, due: Moment) {
        let LaterEntry { prepared, rest, .. } = entry;
        let id = prepared.place.session;
        if let Some(ready) = &state.ready {
            if let Some((rest, held)) = rest {
                let user = None;
                state.live.insert(id, Some(Session { rest, user, held }));
            }
            let turn = LaterTurn {
                due,
                ready: self.clock.now(),
                prepared,
                user: None,
            };
            // Fails only where the run has ended.
            let _ = ready.send(turn);
        }
    }

    /// The entry of a conversation that was under way is over.
    fn entry_is_over(&self, state: &mut State, exchange: &Exchange) {
        let start = self.start.get().copied().unwrap_or_default();
        let next = state
            .chains
            .over(exchange.place.session, exchange.end, start);
        if let Some((entry, due)) = next {
            self.release(state, entry, due);
        }
    }

    /// The requests of a trace that went later than it says, since the one before them was not over.
    pub fn held_back(&self) -> HeldBack {
        self.state().chains.held_back()
    }

    /// No further session begins.
    pub(super) fn complete(&self) {
        let mut state = self.state();
        state.is_complete = true;
        self.settle(&mut state);
    }

    /// Ends all sessions: no further turn goes, and no user waits for one.
    pub fn close(&self) {
        let mut state = self.state();
        state.ready = None;
        state.live.clear();
        state.chains.clear();
        self.count(&state);
    }

    /// Why the run had to end, if the sessions are why.
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// Sessions that ended since no further request could be made of them.
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    fn count(&self, state: &State) {
        let waits = u64::from(!state.chains.is_idle());
        self.live
            .store(state.live.len() as u64 + waits, Ordering::Relaxed);
    }

    /// Tells who waits for turns where no more can come.
    fn settle(&self, state: &mut State) {
        if state.is_complete && state.live.is_empty() && state.chains.is_idle() {
            state.ready = None;
        }
        self.count(state);
    }

    fn take(&self, session: u64) -> Option<Session> {
        self.state().live.get_mut(&session)?.take()
    }

    /// Hands over the next turn of a session, and keeps the session where there are more.
    fn hand_over(&self, id: u64, turn: LaterTurn, session: Session) {
        let mut state = self.state();
        if let Some(ready) = &state.ready {
            // Fails only where the run has ended.
            let _ = ready.send(turn);
            match session.rest.turns_left() {
                0 => state.live.remove(&id),
                _ => state.live.insert(id, Some(session)),
            };
        }
        self.settle(&mut state);
    }

    /// Ends a session.
    fn end(&self, exchange: &Exchange) {
        let mut state = self.state();
        state.live.remove(&exchange.place.session);
        self.entry_is_over(&mut state, exchange);
        self.settle(&mut state);
    }

    /// Ends a session of which no request behind this turn can be made, and the run where that is not to be passed over.
    fn refuse(&self, exchange: &Exchange, reason: &str) {
        let place = exchange.place;
        let what = format!(
            "turn {} of session {} cannot be asked: {reason}",
            place.turn + 2,
            place.session
        );
        let mut state = self.state();
        state.live.remove(&place.session);
        state.refused += 1;
        self.entry_is_over(&mut state, exchange);
        self.settle(&mut state);
        let is_first = state.refused == 1;
        if self.settings.skip_refused {
            drop(state);
            if is_first {
                let hint = "further such sessions are counted, not shown";
                self.settings
                    .messages
                    .say(format!("warning: {what}; {hint}"));
            }
            return;
        }
        state.trouble.get_or_insert(format!(
            "{what} (--skip-bad-lines counts such sessions and passes over them)"
        ));
        drop(state);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The request of the next turn.
    fn next_turn(
        &self,
        exchange: &Exchange,
        reply: Option<String>,
        session: &mut Session,
        instance: &mut ParserInstance,
    ) -> Result<LaterTurn, Refusal> {
        let settings = &self.settings;
        let place = exchange.place.next(exchange.intended);
        if self.wants_reply(exchange) {
            let reply = reply.ok_or_else(|| {
                Refusal::of(format!(
                    "parser `{}` gives no reply that a later turn could have (--recorded-replies takes those of the \
                     data set)",
                    settings.parser
                ))
            })?;
            session.held.grow(reply.len()).map_err(Refusal::of)?;
            // Checked where the plugin gave it.
            let reply = serde_json::from_str(&reply).map_err(Refusal::of)?;
            session.rest.answered(reply);
        }
        let think_time = settings.draws.think_time(place, session.rest.delay());
        let item = match session.rest.next() {
            Some(item) => item.map_err(Refusal::of)?,
            None => return Err(Refusal::of("there is no further turn")),
        };
        // Values of JSON are always text.
        let item = serde_json::to_string(&item).unwrap_or_default();
        let of_session = exchange.model.as_deref();
        let model = of_session.unwrap_or(&settings.api.model);
        let made = instance
            .requests_of(&[item], model, &settings.api.parameters)
            .map_err(Refusal::Broken)?
            .pop()
            .unwrap_or_else(|| Err("nothing was made of it".to_owned()))
            .map_err(Refusal::of)?;
        let head = own_head(&settings.api, &made, of_session);
        let mut held = Charge::of(&settings.budget);
        held.grow(made.body.len()).map_err(Refusal::of)?;
        Ok(LaterTurn {
            due: exchange.end.after(think_time),
            ready: self.clock.now(),
            prepared: Prepared {
                number: exchange.number + 1,
                place,
                model: exchange.model.clone(),
                cancel_after: settings.cancel.of(exchange.number + 1),
                body: made.body,
                held,
                own_head: head.map(Arc::new),
                at: None,
                later: None,
            },
            user: session.user.clone(),
        })
    }
}

/// Why there is no request of a later turn.
enum Refusal {
    /// There is none of this one.
    Reason(String),
    /// The plugin broke.
    Broken(CallError),
}

impl Refusal {
    fn of(reason: impl ToString) -> Self {
        Self::Reason(reason.to_string())
    }
}

impl GoOn for SessionsUnderWay {
    fn hurries(&self) -> bool {
        self.live.load(Ordering::Relaxed) > 0
    }

    fn wants_reply(&self, exchange: &Exchange) -> bool {
        exchange.place.left() > 0
            && self.settings.has_replies
            && !self.settings.draws.replies_are_recorded()
    }

    fn over(&self, exchange: &Exchange) {
        if !self.has_chains.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state();
        self.entry_is_over(&mut state, exchange);
        self.settle(&mut state);
    }

    fn go_on(
        &self,
        outcome: &mut Outcome,
        instance: Option<&mut ParserInstance>,
    ) -> Result<(), CallError> {
        let Outcome { exchange, reading } = outcome;
        let id = exchange.place.session;
        let Some(mut session) = self.take(id) else {
            return Ok(());
        };
        let (None, Some(instance)) = (&exchange.failure, instance) else {
            self.end(exchange);
            return Ok(());
        };
        let reply = reading.as_mut().and_then(|reading| reading.reply.take());
        match self.next_turn(exchange, reply, &mut session, instance) {
            Ok(turn) => {
                self.hand_over(id, turn, session);
                Ok(())
            }
            Err(Refusal::Reason(reason)) => {
                self.refuse(exchange, &reason);
                Ok(())
            }
            Err(Refusal::Broken(error)) => {
                self.refuse(exchange, &error.to_string());
                Err(error)
            }
        }
    }
}
