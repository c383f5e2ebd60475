//! The bridge between [`Parser`] and version 0.1 of the contract, and the macro that builds it. Only the macro is for
//! authors; the rest is public because its expansion is compiled in their crates.

use crate::bindings::first::exports::llmuses::perf::perf_plugin;
use crate::host::use_first;
use crate::requests::Batches;
use crate::{Options, Parser};
use std::cell::RefCell;
use std::marker::PhantomData;

/// Makes a component of a type that implements [`Parser`]. To be called once in a crate of the type `cdylib`.
///
/// The version that the component reports is that of the crate in which the macro is called. Where the crate
/// is not compiled to WebAssembly, as in its own tests, the macro only checks the type.
#[macro_export]
macro_rules! export_parser {
    ($parser:ty) => {
        const _: () = {
            struct CrateVersion;

            impl $crate::export::Version for CrateVersion {
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            }

            type Exported = $crate::export::Component<$parser, CrateVersion>;

            #[cfg(target_family = "wasm")]
    $crate::bindings::first::export!(Exported with_types_in $crate::bindings::first);

            #[cfg(not(target_family = "wasm"))]
            const _: fn(Exported) = $crate::export::check;
        };
    };
}

/// The version of the crate that a parser is in.
pub trait Version: 'static {
    /// As in the manifest of the crate.
    const VERSION: &'static str;
}

/// The parser `P` of a crate of the version `V`, as the contract sees it.
pub struct Component<P, V>(PhantomData<(P, V)>);

/// Does nothing; to name it takes a type that could be exported.
pub fn check<P: Parser, V: Version>(_: Component<P, V>) {}

impl<P: Parser, V: Version> perf_plugin::Guest for Component<P, V> {
    type RequestIterator = Iterator;

    fn describe() -> perf_plugin::PluginInfo {
        perf_plugin::PluginInfo {
            name: P::NAME.to_owned(),
            version: V::VERSION.to_owned(),
            description: P::DESCRIPTION.to_owned(),
            headers: P::HEADERS
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    fn build_request(
        options: perf_plugin::RequestOptions,
    ) -> Result<perf_plugin::RequestIterator, String> {
        use_first();
        let requests = P::build_request(Options::try_from(options)?)?;
        Ok(perf_plugin::RequestIterator::new(Iterator(RefCell::new(
            Batches::new(requests),
        ))))
    }

    fn parse_responses(
        responses: Vec<Vec<u8>>,
        request: String,
        parameters: String,
    ) -> Result<perf_plugin::ResponseSummary, String> {
        use_first();
        P::parse_responses(&responses, &request, &parameters).map(Into::into)
    }
}

/// The requests of one run, behind the shared reference by which the contract calls them.
pub struct Iterator(RefCell<Batches>);

impl perf_plugin::GuestRequestIterator for Iterator {
    fn next(&self, max: u32) -> Result<Vec<String>, String> {
        self.0.borrow_mut().next(max)
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.0.borrow().skipped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use perf_plugin::Guest;

    struct Plain;

    impl Parser for Plain {
        const NAME: &'static str = "plain";
        const DESCRIPTION: &'static str = "a test";
        const SOURCE: Source = Source::PromptOnly;
        const HEADERS: &'static [(&'static str, &'static str)] = &[("x-a", "b")];
    }

    crate::export_parser!(Plain);

    struct Seven;

    impl Version for Seven {
        const VERSION: &'static str = "7.0.0";
    }

    #[test]
    fn a_parser_introduces_itself() {
        let info = Component::<Plain, Seven>::describe();
        assert_eq!(
            (info.name.as_str(), info.version.as_str()),
            ("plain", "7.0.0")
        );
        assert_eq!(info.headers, [("x-a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn a_response_is_read_through_the_contract() {
        let body =
            br#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3}}"#.to_vec();
        let record = Component::<Plain, Seven>::parse_responses(
            vec![body],
            "{}".to_owned(),
            "{}".to_owned(),
        )
        .expect("a plain response");
        assert_eq!(record.prompt_tokens.map(|count| count.tokens), Some(3));
        assert!(record.completion_tokens.is_none());
        assert_eq!(record.outputs, Some(vec![0]));
    }
}
