//! Bodies that an API makes of items.

use super::{Bodies, Made};
use crate::asked::AskedTurn;
use crate::conversation::Conversation;
use crate::entries::EntrySource;
use crate::misfit::Misfit;
use crate::model_draws::ModelDraws;
use crate::trace_times::TracePlace;
use llmuses_core::cost::CallCost;
use llmuses_core::exchange::OwnHead;
use llmuses_core::item::Item;
use llmuses_core::plan::LengthFilter;
use llmuses_plugin_host::{CallError, ParserInstance, PluginRequest, complete};
use std::collections::VecDeque;
use std::sync::Arc;
use url::Url;

/// Bytes of items that an API gets at once at most, or one item.
const BATCH_BYTES: usize = 1 << 20;

/// What an API is told with every item, and what is needed to address its requests.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The model of the run; the first of several.
    pub model: String,
    /// Which of several a session asks.
    pub models: ModelDraws,
    /// `--parameters` as the text of a JSON object.
    pub parameters: String,
    /// The URL as the user gave it.
    pub url: Url,
    /// The path that the API has told of itself.
    pub path: Option<String>,
    /// Whether the user gives a `content-type` for all requests.
    pub has_content_type: bool,
    /// How long prompts of a data set must be.
    pub lengths: LengthFilter,
}

/// What belongs to an item beside what it asks.
#[derive(Debug, Default)]
struct Further {
    /// What it asks, where its text was made of lengths.
    asked: Option<Arc<AskedTurn>>,
    place: Option<TracePlace>,
    delay: Option<f64>,
    /// What follows it in its session.
    rest: Option<Box<Conversation>>,
}

/// The item of a first turn with what belongs to it, or why there is none, with the number of its entry.
type Wanted = (u64, Result<(Item, Further), String>);

/// What became of an item: a request, or why there is none.
type MadeOf = (Asking, Result<PluginRequest, String>);

/// An item of which an API is to make a request.
struct Asking {
    /// The number of its entry.
    number: u64,
    /// The item as JSON, until the API has it.
    text: String,
    /// The model that was drawn for its session, where the run has several.
    drawn: Option<Arc<str>>,
    /// The one that its entry names in place of that.
    named: Option<Arc<str>>,
    further: Further,
}

/// The bodies that an API makes of the items of entries.
pub struct ItemBodies {
    api: ParserInstance,
    settings: ApiSettings,
    entries: Box<dyn EntrySource>,
    /// Conversations that wait.
    conversations: VecDeque<Conversation>,
    /// The number of the next of them in this pass, from 1.
    number: u64,
    /// Sessions of which an API was to make the first request, in all passes.
    begun: u64,
    /// What was made and not handed over yet.
    made: VecDeque<Result<Made, String>>,
    too_short: u64,
    too_long: u64,
    /// The head of the last request that had one of its own: many have the same.
    last_head: Option<Arc<OwnHead>>,
}

impl ItemBodies {
    /// Bodies that `api` makes of `entries`.
    pub fn new(api: ParserInstance, settings: ApiSettings, entries: Box<dyn EntrySource>) -> Self {
        Self {
            api,
            settings,
            entries,
            conversations: VecDeque::new(),
            number: 1,
            begun: 0,
            made: VecDeque::new(),
            too_short: 0,
            too_long: 0,
            last_head: None,
        }
    }

    /// The next item that is wanted, with the number of its entry. `None`: there is none without reading on where that
    /// is not to be done, or none at all. An error of reading stands alone: it must not cost items that were read before.
    fn next_item(&mut self, max: u32, reads_on: bool) -> Result<Option<Wanted>, CallError> {
        loop {
            let Some(mut conversation) = self.conversations.pop_front() else {
                if !reads_on {
                    return Ok(None);
                }
                self.conversations = match self.entries.next(max) {
                    Ok(entries) => entries.into(),
                    Err(error) => {
                        // It stands for an entry, which is counted as any other.
                        self.number += 1;
                        return Err(error);
                    }
                };
                if self.conversations.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            let number = self.number;
            self.number += 1;
            let (place, delay) = (conversation.place(), conversation.delay());
            let Some(item) = conversation.next() else {
                continue;
            };
            if let Ok(item) = &item
                && self.entries.is_filtered()
                && let Some(misfit) = Misfit::of(item, self.settings.lengths)
            {
                match misfit {
                    Misfit::TooShort => self.too_short += 1,
                    Misfit::TooLong => self.too_long += 1,
                }
                continue;
            }
            if let Some(reason) = conversation.cannot_go_on() {
                return Ok(Some((number, Err(reason))));
            }
            let asked = conversation.asked();
            let rest = (conversation.turns_left() > 0).then(|| Box::new(conversation));
            let further = Further {
                asked,
                place,
                delay,
                rest,
            };
            return Ok(Some((number, item.map(|item| (item, further)))));
        }
    }

    /// Has the API make further requests: at most `max`. None is made at the end of the pass.
    fn make(&mut self, max: u32) -> Result<(), CallError> {
        let (mut wanted, mut bytes) = (Vec::new(), 0);
        let mut bad = None;
        while wanted.len() < max as usize && bytes < BATCH_BYTES {
            match self.next_item(max, wanted.is_empty())? {
                Some((number, Ok((item, further)))) => {
                    // Values of JSON are always text.
                    let text = serde_json::to_string(&item).unwrap_or_default();
                    bytes += text.len();
                    // All entries of a conversation ask the same model.
                    let session = further.place.map_or(self.begun, |place| place.conversation);
                    let drawn = self.settings.models.of(session);
                    self.begun += 1;
                    wanted.push(Asking {
                        number,
                        text,
                        // One that the data set names goes before that of the run.
                        named: drawn.as_ref().and(item.model).map(Arc::from),
                        drawn,
                        further,
                    });
                }
                Some((number, Err(reason))) => {
                    bad = Some(self.at(number, &reason));
                    break;
                }
                None => break,
            }
        }
        for (asking, made) in self.made_of(wanted)? {
            let made = match made {
                Ok(request) => Ok(self.addressed(request, asking)),
                Err(reason) => Err(self.at(asking.number, &reason)),
            };
            self.made.push_back(made);
        }
        self.made.extend(bad.map(Err));
        Ok(())
    }

    /// What the API makes of items, in their order: one call for each model.
    fn made_of(&mut self, mut wanted: Vec<Asking>) -> Result<Vec<MadeOf>, CallError> {
        let mut of_models: Vec<(Option<Arc<str>>, Vec<String>)> = Vec::new();
        for asking in &mut wanted {
            let text = std::mem::take(&mut asking.text);
            match of_models
                .iter_mut()
                .find(|(model, _)| *model == asking.drawn)
            {
                Some((_, texts)) => texts.push(text),
                None => of_models.push((asking.drawn.clone(), vec![text])),
            }
        }
        let mut made = Vec::with_capacity(of_models.len());
        for (model, texts) in of_models {
            let of = model.as_deref().unwrap_or(&self.settings.model);
            let requests = self
                .api
                .requests_of(&texts, of, &self.settings.parameters)?;
            made.push((model, requests.into_iter()));
        }
        let next = |asking: Asking| {
            let (_, requests) = made.iter_mut().find(|(model, _)| *model == asking.drawn)?;
            Some((asking, requests.next()?))
        };
        Ok(wanted.into_iter().filter_map(next).collect())
    }

    /// A reason with the number of the entry that it is about.
    fn at(&self, number: u64, reason: &str) -> String {
        match self.entries.is_filtered() {
            true => format!("entry {number}: {reason}"),
            false => reason.to_owned(),
        }
    }

    fn addressed(&mut self, request: PluginRequest, asking: Asking) -> Made {
        let drawn = asking.drawn.as_deref();
        let head =
            own_head(&self.settings, &request, drawn).map(|head| match self.last_head.take() {
                Some(last) if *last == head => last,
                _ => Arc::new(head),
            });
        if head.is_some() {
            self.last_head.clone_from(&head);
        }
        let further = asking.further;
        Made {
            model: asking.named.or(asking.drawn),
            body: request.body,
            own_head: head,
            asked: further.asked,
            place: further.place,
            delay: further.delay,
            rest: further.rest,
        }
    }
}

/// What the head of a request has that differs from those of all others. `model`: the one of its session, where the run has
/// several.
pub(crate) fn own_head(
    settings: &ApiSettings,
    request: &PluginRequest,
    model: Option<&str>,
) -> Option<OwnHead> {
    let general = settings.path.as_ref();
    let own = request.path.as_ref().filter(|path| Some(*path) != general);
    let addressed = |path: &str, model: &str| {
        let url = complete(&settings.url, path, model);
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    };
    let path = match (own, general, model) {
        (Some(path), _, model) => Some(addressed(path, model.unwrap_or(&settings.model))),
        // The path of an API may have the model in it.
        (None, Some(path), Some(model)) if *model != *settings.model => {
            let path = (addressed(path, model), addressed(path, &settings.model));
            (path.0 != path.1).then_some(path.0)
        }
        _ => None,
    };
    let content_type = request.content_type.clone();
    let head = OwnHead {
        path,
        content_type: content_type.filter(|_| !settings.has_content_type),
    };
    (head != OwnHead::default()).then_some(head)
}

impl Bodies for ItemBodies {
    fn begin(&mut self) -> Result<(), CallError> {
        self.conversations.clear();
        self.made.clear();
        (self.number, self.too_short, self.too_long) = (1, 0, 0);
        self.entries.begin()
    }

    fn next(&mut self, max: u32) -> Result<Vec<Made>, CallError> {
        if self.made.is_empty() {
            self.make(max)?;
        }
        let mut good = Vec::new();
        while good.len() < max as usize {
            match self.made.pop_front() {
                Some(Ok(made)) => good.push(made),
                Some(Err(reason)) if good.is_empty() => return Err(CallError::Refused(reason)),
                Some(bad) => {
                    self.made.push_front(bad);
                    break;
                }
                None => break,
            }
        }
        Ok(good)
    }

    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError> {
        let mut skipped = self.entries.skipped()?;
        for (reason, count) in [
            (Misfit::TooShort, self.too_short),
            (Misfit::TooLong, self.too_long),
        ] {
            if count > 0 {
                skipped.push((reason.as_str().to_owned(), count));
            }
        }
        Ok(skipped)
    }

    fn end(&mut self) -> Result<(), CallError> {
        self.entries.end()
    }

    fn cost(&self) -> CallCost {
        let mut cost = self.api.cost();
        cost += self.entries.cost();
        cost
    }
}
