//! Arguments that name headers by which requests are told apart.

use super::usage::UsageError;
use clap::Args;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderName};

/// Arguments that name headers by which requests are told apart.
#[derive(Debug, Clone, Args)]
pub(super) struct HeaderNameArguments {
    /// Header of responses that says which replica answered, such as x-served-by: there are figures for each of its
    /// values, and every row has it.
    #[arg(long, value_name = "NAME", value_parser = header_name, help_heading = "Endpoint")]
    pub(super) label_header: Option<HeaderName>,

    /// Header of requests that names the session, for servers that route by it: the same for all turns of a session
    /// (--turns), another for each request that stands alone.
    #[arg(long, value_name = "NAME", value_parser = header_name, help_heading = "Endpoint")]
    pub(super) session_header: Option<HeaderName>,

    /// Header of requests that names the request, such as x-request-id: llmuses-SEED-RUN-NUMBER, by which a row is found
    /// in the server's log.
    #[arg(long, value_name = "NAME", value_parser = header_name, help_heading = "Endpoint")]
    pub(super) request_id_header: Option<HeaderName>,
}

impl HeaderNameArguments {
    /// The headers that each request has with a value of its own, the session's first.
    ///
    /// # Errors
    /// Where another value stands under the same name. `headers`: those of the user.
    pub(super) fn of_requests(
        &self,
        headers: &HeaderMap,
    ) -> Result<[Option<HeaderName>; 2], UsageError> {
        /// What the client, the parser or the framing says.
        const TAKEN: [HeaderName; 9] = [
            ACCEPT,
            AUTHORIZATION,
            CONNECTION,
            CONTENT_LENGTH,
            CONTENT_TYPE,
            HOST,
            PROXY_AUTHORIZATION,
            TRANSFER_ENCODING,
            USER_AGENT,
        ];
        let wrong = |flag, name: &HeaderName, reason| UsageError::HeaderName {
            flag,
            name: name.to_string(),
            reason,
        };
        for (flag, name) in [
            ("--session-header", &self.session_header),
            ("--request-id-header", &self.request_id_header),
        ] {
            let Some(name) = name else { continue };
            if TAKEN.contains(name) {
                return Err(wrong(flag, name, "this header says something else"));
            }
            if headers.contains_key(name) {
                return Err(wrong(flag, name, "--headers gives it a value already"));
            }
        }
        match &self.session_header {
            Some(name) if self.request_id_header.as_ref() == Some(name) => Err(wrong(
                "--request-id-header",
                name,
                "--session-header has the same name",
            )),
            _ => Ok([self.session_header.clone(), self.request_id_header.clone()]),
        }
    }
}

/// Reads the name of a header.
fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        "it should be the name of a header alone, such as x-served-by: letters, digits and hyphens".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_each_request_has_no_other_value() {
        let of = |session: &str, request: &str| {
            let name = |text: &str| (!text.is_empty()).then(|| header_name(text).unwrap());
            let arguments = HeaderNameArguments {
                label_header: None,
                session_header: name(session),
                request_id_header: name(request),
            };
            let headers = [(header_name("x-given").unwrap(), "1".parse().unwrap())];
            arguments.of_requests(&headers.into_iter().collect())
        };
        assert_eq!(
            of("x-a", "x-b").unwrap().map(|name| name.unwrap()),
            ["x-a", "x-b"]
        );
        assert_eq!(of("", "").unwrap(), [None, None]);
        for (session, request, said) in [
            (
                "host",
                "",
                "--session-header host: this header says something else",
            ),
            (
                "",
                "x-given",
                "--request-id-header x-given: --headers gives it",
            ),
            ("x-a", "X-A", "the same name"),
        ] {
            let error = of(session, request).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_header_is_named_without_a_value() {
        assert_eq!(header_name("X-Served-By").unwrap(), "x-served-by");
        for wrong in ["", "a b", "x-served-by: 1"] {
            let error = header_name(wrong).unwrap_err();
            assert!(error.contains("alone"), "{error}");
        }
    }
}
