//! A component with formats, and the bridge between it and the contract.

use super::{Conversation, Conversations, Format, Head};
use crate::Value;
use crate::bindings::api::llmuses::perf::types;
use crate::bindings::format::exports::llmuses::perf::dataset_plugin as contract;
use crate::host::use_second;
use crate::json::from_str;
use crate::requests::{Batches, Requests};
use serde::Deserialize;
use std::cell::RefCell;
use std::marker::PhantomData;

/// Makes a component of one type or several that implement [`Format`]. To be called once in a crate of the type `cdylib`,
/// which may export an API too. A file is of the first format that recognises it.
///
/// The version that the component reports is that of the crate in which the macro is called. Where the crate
/// is not compiled to WebAssembly, as in its own tests, the macro only checks the types.
#[macro_export]
macro_rules! export_format {
    ($($format:ty),+ $(,)?) => {
        const _: () = {
            struct All;

            impl $crate::format::Formats for All {
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
                const ALL: &'static [$crate::format::Known] =
                    &[$($crate::format::Known::of::<$format>()),+];
            }

            type Exported = $crate::format::Component<All>;

            #[cfg(target_family = "wasm")]
    $crate::bindings::format::export!(Exported with_types_in $crate::bindings::format);

            #[cfg(not(target_family = "wasm"))]
            const _: fn(Exported) = $crate::format::check;
        };
    };
}

/// A format as a component knows it.
#[doc(hidden)]
pub struct Known {
    name: &'static str,
    description: &'static str,
    takes_field: bool,
    recognises: fn(&Head<'_>) -> bool,
    open: fn(&Head<'_>) -> Result<Box<dyn Conversations>, String>,
}

impl Known {
    /// The format `F`.
    pub const fn of<F: Format>() -> Self {
        Self {
            name: F::NAME,
            description: F::DESCRIPTION,
            takes_field: F::TAKES_FIELD,
            recognises: F::recognises,
            open: F::open,
        }
    }

    fn is_of(&self, head: &Head<'_>) -> bool {
        (self.takes_field || head.field.is_none()) && (self.recognises)(head)
    }
}

/// The formats of a component.
#[doc(hidden)]
pub trait Formats: 'static {
    /// The version of the component.
    const VERSION: &'static str;
    /// In the order in which they are asked whether they recognise a file.
    const ALL: &'static [Known];
}

/// A component with formats, as the contract sees it.
#[doc(hidden)]
pub struct Component<F>(PhantomData<F>);

/// Does nothing; to name it takes a type that could be exported.
#[doc(hidden)]
pub fn check<F: Formats>(_: Component<F>) {}

/// What the host tells of a file.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Options {
    file_name: String,
    head: String,
    format: Option<String>,
    field: Option<String>,
}

impl Options {
    fn read(text: &str) -> Result<Self, String> {
        from_str(text).map_err(|error| format!("the options of the host are not valid: {error}"))
    }
}

impl<F: Formats> contract::Guest for Component<F> {
    type Entries = Batch;

    fn describe() -> Vec<types::FormatInfo> {
        let info = |format: &Known| types::FormatInfo {
            name: format.name.to_owned(),
            version: F::VERSION.to_owned(),
            description: format.description.to_owned(),
        };
        F::ALL.iter().map(info).collect()
    }

    fn recognises(head: Vec<u8>, options: String) -> Option<String> {
        use_second();
        let options = Options::read(&options).ok()?;
        let head = Head {
            bytes: &head,
            file_name: &options.file_name,
            field: options.field.as_deref(),
        };
        let format = F::ALL.iter().find(|format| format.is_of(&head))?;
        Some(format.name.to_owned())
    }

    fn open(options: String) -> Result<contract::Entries, String> {
        use_second();
        let options = Options::read(&options)?;
        let head = Head {
            bytes: options.head.as_bytes(),
            file_name: &options.file_name,
            field: options.field.as_deref(),
        };
        let format = match &options.format {
            Some(name) => F::ALL
                .iter()
                .find(|format| format.name == name)
                .ok_or_else(|| format!("there is no format {name}"))?,
            None => F::ALL
                .iter()
                .find(|format| format.is_of(&head))
                .unwrap_or(&F::ALL[0]),
        };
        if head.field.is_some() && !format.takes_field {
            return Err(format!("{} takes no --field", format.name));
        }
        let batches = Batches::new(Box::new(AsJson((format.open)(&head)?)));
        Ok(contract::Entries::new(Batch(RefCell::new(batches))))
    }
}

/// Conversations as JSON values.
pub(super) struct AsJson(pub(super) Box<dyn Conversations>);

impl Requests for AsJson {
    fn next_body(&mut self) -> Option<Result<Value, String>> {
        let next = self.0.next_conversation()?;
        Some(next.map(Conversation::into_json))
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.0.skipped()
    }
}

/// The entries of one data set, behind the shared reference by which the contract calls them.
#[doc(hidden)]
pub struct Batch(RefCell<Batches>);

impl contract::GuestEntries for Batch {
    fn next(&self, max: u32) -> Result<Vec<String>, String> {
        self.0.borrow_mut().next(max)
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.0.borrow().skipped()
    }
}
