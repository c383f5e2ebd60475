//! The trait of an API, and the bridge between it and the contract.

use crate::bindings::api::exports::llmuses::perf::perf_plugin as contract;
use crate::bindings::api::llmuses::perf::types;
use crate::export::Version;
use crate::host::use_second;
use crate::json::explain;
use crate::{Item, Request, Settings, Summary};
use std::marker::PhantomData;

pub use types::{Framing, Task};

/// An API.
///
/// All its functions are without `self`: a plugin keeps nothing between two calls.
///
/// ```
/// use llmuses_plugin::{Api, Item, Request, Response, Settings, Summary, Tokens, Value, export_api, json};
///
/// struct Echo;
///
/// impl Api for Echo {
///     const NAME: &'static str = "echo";
///     const DESCRIPTION: &'static str = "an API that says a text again";
///     const PATH: &'static str = "/echo";
///
///     fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
///         let body = json!({"model": settings.model(&item), "text": item.take_prompt()?});
///         Ok(settings.request_of(&mut item, body))
///     }
///
///     fn response(response: &Response<'_>) -> Result<Summary, String> {
///         let body: Value = response.json(0)?;
///         let tokens = body["tokens"].as_u64().map_or(Tokens::Unknown, Tokens::Usage);
///         Ok(Summary::new(tokens, tokens).output(0).answers([0]))
///     }
/// }
///
/// export_api!(Echo);
/// ```
pub trait Api: Sized + 'static {
    /// The name, as it would be given to `--parser`.
    const NAME: &'static str;

    /// What the API is, in one line.
    const DESCRIPTION: &'static str;

    /// The path, such as `/v1/embeddings` or `/models/{model}:generate`, so that the user need not know it. Empty: the
    /// user always gives the whole URL.
    const PATH: &'static str;

    /// Request headers that the API needs, as names and values. The user's own take their place. The host takes
    /// `accept`, `accept-language`, `anthropic-beta`, `anthropic-version`, `content-type`, `openai-beta`, `prefer`,
    /// `user-agent` and `x-dashscope-*`, without a credential in them, and refuses a plugin with any other.
    const HEADERS: &'static [(&'static str, &'static str)] = &[];

    /// How the body of a response is split into events.
    const FRAMING: Framing = Framing::ByContentType;

    /// What a model is asked for.
    const TASK: Task = Task::Generate;

    /// The request of an item.
    ///
    /// # Errors
    /// Where none can be made of it. The others are made all the same.
    fn request(item: Item, settings: &Settings) -> Result<Request, String>;

    /// Reads one finished response.
    ///
    /// # Errors
    /// Where the response cannot be read, or reports an error. The request then counts as failed, and the text is
    /// shown to the user.
    fn response(response: &Response<'_>) -> Result<Summary, String>;
}

/// A finished response.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The data of every event of a stream in order, without `[DONE]`, or the one body of a plain response.
    pub events: &'a [Vec<u8>],
    /// The body that was sent.
    pub request: &'a [u8],
    /// What `--parameters` gave, as the text of a JSON object.
    pub parameters: &'a str,
    /// Whether [`Summary::reply`] is wanted.
    pub wants_reply: bool,
}

impl<'a> Response<'a> {
    /// Events of JSON, as [`Response::of`] takes them in a test.
    pub fn events_of(values: &[crate::Value]) -> Vec<Vec<u8>> {
        let bytes = |value: &crate::Value| value.to_string().into_bytes();
        values.iter().map(bytes).collect()
    }

    /// Events as they are in a test, of a request without a body.
    pub fn of(events: &'a [Vec<u8>]) -> Self {
        Self {
            events,
            request: b"{}",
            parameters: "{}",
            wants_reply: false,
        }
    }

    /// The body that was sent as JSON; null where it is none.
    pub fn request_json(&self) -> crate::Value {
        serde_json::from_slice(self.request).unwrap_or_default()
    }

    /// An event as JSON.
    ///
    /// # Errors
    /// Where it is none, or not of that type, or where there is no such event; the text names it.
    pub fn json<T: serde::Deserialize<'a>>(&self, index: usize) -> Result<T, String> {
        let place = || match self.events.len() {
            1 => "the response".to_owned(),
            _ => format!("chunk {}", index + 1),
        };
        let Some(event) = self.events.get(index) else {
            return Err(format!("there is no chunk {}", index + 1));
        };
        serde_json::from_slice(event).map_err(|error| explain(&place(), event, &error))
    }
}

/// Makes a component of a type that implements [`Api`]. To be called once in a crate of the type `cdylib`, which may
/// export a format of data sets too.
///
/// The version that the component reports is that of the crate in which the macro is called. Where the crate
/// is not compiled to WebAssembly, as in its own tests, the macro only checks the type.
#[macro_export]
macro_rules! export_api {
    ($api:ty) => {
        const _: () = {
            struct CrateVersion;

            impl $crate::export::Version for CrateVersion {
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            }

            type Exported = $crate::api::Component<$api, CrateVersion>;

            #[cfg(target_family = "wasm")]
    $crate::bindings::api::export!(Exported with_types_in $crate::bindings::api);

            #[cfg(not(target_family = "wasm"))]
            const _: fn(Exported) = $crate::api::check;
        };
    };
}

/// The API `A` of a crate of the version `V`, as the contract sees it.
#[doc(hidden)]
pub struct Component<A, V>(PhantomData<(A, V)>);

/// Does nothing; to name it takes a type that could be exported.
#[doc(hidden)]
pub fn check<A: Api, V: Version>(_: Component<A, V>) {}

impl<A: Api, V: Version> contract::Guest for Component<A, V> {
    fn describe() -> types::ApiInfo {
        types::ApiInfo {
            name: A::NAME.to_owned(),
            version: V::VERSION.to_owned(),
            description: A::DESCRIPTION.to_owned(),
            headers: A::HEADERS
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            path: (!A::PATH.is_empty()).then(|| A::PATH.to_owned()),
            framing: A::FRAMING,
            task: A::TASK,
        }
    }

    fn build_request(
        items: Vec<String>,
        options: types::RequestOptions,
    ) -> Vec<Result<types::Request, String>> {
        use_second();
        let settings = Settings::read(options.model, &options.parameters);
        items
            .into_iter()
            .map(|text| {
                let settings = settings.as_ref().map_err(Clone::clone)?;
                let item = serde_json::from_slice(text.as_bytes())
                    .map_err(|error| explain("the item", text.as_bytes(), &error))?;
                // A long prompt need not be kept twice while its request is made.
                drop(text);
                let request = A::request(item, settings)?;
                Ok(types::Request {
                    body: request.body,
                    content_type: request.content_type,
                    path: request.path,
                })
            })
            .collect()
    }

    fn parse_responses(
        events: Vec<Vec<u8>>,
        request: Vec<u8>,
        options: types::ResponseOptions,
    ) -> Result<types::ResponseSummary, String> {
        use_second();
        let response = Response {
            events: &events,
            request: &request,
            parameters: &options.parameters,
            wants_reply: options.reply,
        };
        A::response(&response).map(Into::into)
    }
}
