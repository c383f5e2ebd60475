//! Where requests go.

use crate::document::TargetRecord;
use url::Url;

/// Where requests go: whoever opens connections, writes the head of a request or names the server needs this.
#[derive(Debug, Clone)]
pub struct Target {
    /// The model to ask for.
    pub model: String,
    /// The endpoint.
    pub url: Url,
    /// Whether the user gave none: then only host and port are meant, and the API knows its path.
    pub url_is_default: bool,
    /// Headers of the user, for every request. May hold credentials.
    pub headers: http::HeaderMap,
    /// Whether TLS certificates are taken unverified.
    pub insecure: bool,
}

impl Target {
    /// A model at an endpoint, without headers of the user.
    pub fn new(model: String, url: Url) -> Self {
        Self {
            model,
            url,
            url_is_default: false,
            headers: http::HeaderMap::new(),
            insecure: false,
        }
    }

    /// As it stands in a document. Values of headers, user information and query of the URL are left out: any of
    /// them may be a credential.
    pub(super) fn to_record(&self) -> TargetRecord {
        TargetRecord {
            model: self.model.clone(),
            url: public_url(&self.url),
            header_names: self.headers.keys().map(ToString::to_string).collect(),
            insecure: self.insecure,
        }
    }
}

/// A URL without what may be a credential: user information is dropped, and the values of its query
/// are blanked.
pub fn public_url(url: &Url) -> String {
    let mut public = url.clone();
    // Both fail only for a URL without a host, which has no user information either.
    let _ = public.set_username("");
    let _ = public.set_password(None);
    if url.query().is_some() {
        let names: Vec<String> = url
            .query_pairs()
            .map(|(name, _)| name.into_owned())
            .collect();
        public.query_pairs_mut().clear();
        for name in names {
            public.query_pairs_mut().append_pair(&name, "***");
        }
    }
    public.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_holds_no_credential() {
        let url = Url::parse("https://me:secret@example.com/v1?api_key=hidden&x=1").unwrap();
        assert_eq!(public_url(&url), "https://example.com/v1?api_key=***&x=***");
    }
}
