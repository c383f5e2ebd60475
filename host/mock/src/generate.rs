//! From a request in one of the APIs to its answer: how long it is, where it waits, and when its tokens are due.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::api::{Api, Asked, Call, Facts, Failure, Fault, Finish};
use super::cache::PrefixCache;
use super::config::{MAX_TOKENS, MockConfig};
use super::connection::{Label, Outbox};
use super::exchange::{Admitted, Frame, Pending};
use super::pace::{Dice, Schedule};
use super::slots::Slots;
use super::stream::{Parts, Reply, Timer, TokenStream, whole};
use super::tokens::{Chain, count_prompt};
use super::words::Words;
use super::work::{Cached, Work};

/// How many characters of a prompt the log has.
const LOG_PROMPT: usize = 80;

/// One request and what is known of it before its body is read as anything.
pub(super) struct Turn<'a> {
    api: &'static dyn Api,
    call: Call<'a>,
    pending: Pending,
    arrival: Instant,
    outbox: Arc<Outbox>,
    dice: Dice,
    id: String,
}

/// The tokens of an answer.
#[derive(Debug, Clone, Copy)]
struct Tokens {
    all: u64,
    /// The first of them.
    reasoning: u64,
    finish: Finish,
}

/// The tokens of the prompts of a request.
struct Prompts {
    /// Of each its tokens, and those of them that were in the prefix cache.
    each: Vec<(u64, u64)>,
    /// Nothing where there is no cache.
    in_cache: Option<Cached>,
}

/// What answers requests.
#[derive(Debug)]
pub(super) struct Generator {
    config: MockConfig,
    pub(super) slots: Slots,
    cache: Option<Arc<PrefixCache>>,
}

impl Generator {
    pub(super) fn new(config: MockConfig) -> Self {
        Self {
            slots: Slots::new(config.slots, config.queue_limit),
            cache: config
                .prefix_cache
                .map(|blocks| Arc::new(PrefixCache::new(blocks))),
            config,
        }
    }

    /// The name of the model.
    pub(super) fn model(&self) -> &str {
        &self.config.model
    }

    /// The draws of a request.
    pub(super) fn dice(&self, number: u64) -> Dice {
        Dice::new(self.config.seed, number)
    }

    /// Answers a request.
    pub(super) async fn respond(&self, mut turn: Turn<'_>) -> Response<Reply> {
        if turn.dice.hits(self.config.error_rate) {
            return turn.fail(Fault::Internal, "The mock server was told to fail.");
        }
        let read = turn.api.read(&turn.call);
        let read = read.and_then(|asked| {
            let tokens = self.tokens(&asked, &mut turn.dice)?;
            Ok((asked, tokens))
        });
        match read {
            Ok((asked, tokens)) => self.generate(turn, asked, tokens).await,
            Err(message) => turn.fail(Fault::Invalid, &message),
        }
    }

    /// How many tokens an answer has, and why it ends.
    fn tokens(&self, asked: &Asked<'_>, dice: &mut Dice) -> Result<Tokens, String> {
        let Some(length) = asked.length else {
            return Ok(Tokens {
                all: 0,
                reasoning: 0,
                finish: Finish::Stop,
            });
        };
        let reasoning = match asked.reasons {
            true => self.config.reasoning_tokens,
            false => 0,
        };
        let mut own = self.config.tokens + reasoning;
        // Where none end early, the draws are those of a server that knows no early ends.
        if self.config.early_stop > 0.0 && dice.hits(self.config.early_stop) && own > 1 {
            own = 1 + dice.draw() % (own - 1);
        }
        if length.least > length.most {
            return Err(format!(
                "It wants at least {} tokens and at most {}.",
                length.least, length.most
            ));
        }
        own = own.max(length.least);
        if length.ignore_end && length.most < u64::MAX {
            own = u64::MAX;
        }
        let all = own.min(length.most);
        if all > MAX_TOKENS {
            return Err(format!(
                "It wants {all} tokens, and the mock server sends at most {MAX_TOKENS} in one answer."
            ));
        }
        Ok(Tokens {
            all,
            reasoning: reasoning.min(all),
            finish: match length.most < own {
                true => Finish::Length,
                false => Finish::Stop,
            },
        })
    }

    /// Counts the tokens of the prompts, and looks them up in the prefix cache.
    fn prompts(&self, asked: &Asked<'_>) -> Prompts {
        let template = self.config.template_tokens;
        let prompts = asked.prompts.iter();
        let Some(cache) = &self.cache else {
            return Prompts {
                each: prompts
                    .map(|prompt| (count_prompt(prompt, template), 0))
                    .collect(),
                in_cache: None,
            };
        };
        let chains: Vec<_> = prompts.map(|prompt| Chain::of(prompt, template)).collect();
        Prompts {
            each: chains
                .iter()
                .map(|chain| (chain.tokens(), cache.look_up(chain)))
                .collect(),
            in_cache: Some(Cached {
                cache: Arc::clone(cache),
                chains,
                template,
            }),
        }
    }

    /// Answers with tokens: returns when there is something to send.
    async fn generate(
        &self,
        mut turn: Turn<'_>,
        asked: Asked<'_>,
        tokens: Tokens,
    ) -> Response<Reply> {
        let Some(slot) = self.slots.take().await else {
            return turn.fail(Fault::Overloaded, "Too many requests are waiting.");
        };
        // Who does not wait is worked on from the arrival on, whenever this server gets to it.
        let begin = match slot.waited {
            true => Instant::now(),
            false => turn.arrival,
        };
        let prompts = self.prompts(&asked);
        let prompt_tokens = prompts.each.iter().map(|(tokens, _)| tokens).sum();
        let cached: u64 = prompts.each.iter().map(|(_, cached)| cached).sum();
        let waited = begin - turn.arrival;
        let admitted = Admitted {
            prompt_tokens,
            cached: prompts.in_cache.as_ref().map(|_| cached),
            waited,
        };
        let head = || asked.prompts.first().map(|prompt| prompt.head(LOG_PROMPT));
        turn.pending
            .admitted(admitted, || head().unwrap_or_default());
        let words = Words::new(turn.dice.draw());
        let uncached = prompt_tokens - cached;
        let busy = self.slots.busy();
        let mut schedule = Schedule::new(&self.config, turn.dice, begin, uncached, busy);
        let facts = Facts {
            id: turn.id,
            created: unix_now(),
            model: asked.model,
            arrival: turn.arrival,
            first: schedule.due(),
            prompt_tokens,
            cached: admitted.cached,
            prompts: prompts.each,
            choices: asked.choices * asked.prompts.len() as u64,
            tokens: tokens.all,
            reasoning: tokens.reasoning,
            finish: tokens.finish,
            usage: self.config.usage,
            words,
        };
        let mut work = Work {
            pending: turn.pending,
            slot: Some(slot),
            cached: prompts.in_cache,
        };
        let mut form = asked.form;
        let mut timer = Timer::new();
        if !asked.stream {
            let further = facts.tokens.saturating_sub(1);
            if schedule.depends_on_load() {
                timer.until(schedule.due()).await;
                for _ in 0..further {
                    schedule.advance();
                    timer.until(schedule.due()).await;
                }
            } else {
                schedule.advance_by(further);
                timer.until(schedule.due()).await;
            }
            let answer = form.plain(&facts);
            label(&turn.outbox, &work.pending, answer.len());
            work.complete(&facts, false);
            return whole(StatusCode::OK, form.plain_type(), answer);
        }
        let content_type = form.content_type();
        let opens_early = self.config.role_chunk && form.opens_early();
        if !opens_early {
            // The head of a response is sent as soon as there is one, and must not go before the token.
            timer.until(schedule.due()).await;
        }
        let stream = TokenStream::new(Parts {
            form,
            facts,
            opens_early,
            schedule,
            timer,
            outbox: turn.outbox,
            work,
        });
        let mut response = Response::new(Reply::Stream(Box::new(stream)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        api: &'static dyn Api,
        call: Call<'a>,
        pending: Pending,
        outbox: Arc<Outbox>,
        mut dice: Dice,
    ) -> Self {
        Self {
            api,
            call,
            arrival: pending.arrival(),
            pending,
            outbox,
            id: request_id(&mut dice),
            dice,
        }
    }

    fn fail(self, fault: Fault, message: &str) -> Response<Reply> {
        let failure = Failure {
            fault,
            message,
            id: &self.id,
        };
        let (status, body) = self.api.error(&self.call, &failure);
        label(&self.outbox, &self.pending, body.len());
        // The others never came to be worked on.
        self.pending.fail(status.as_u16(), fault == Fault::Internal);
        whole(status, "application/json", body)
    }
}

/// Announces a body that is written in one piece.
fn label(outbox: &Outbox, pending: &Pending, bytes: usize) {
    outbox.push(Label {
        frame: Frame::OTHER,
        bytes,
        exchange: Arc::clone(pending.exchange()),
    });
}

/// A name for a request, in the form that such names often have.
fn request_id(dice: &mut Dice) -> String {
    let hex = format!("{:016x}{:016x}", dice.draw(), dice.draw());
    let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
    cuts.map(|cut| hex.get(cut).unwrap_or_default()).join("-")
}

/// Seconds since 1970.
pub(super) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
