//! Keeps credentials out of what plugins are shown and of what is stored and shown. Servers do repeat them: an answer
//! to a wrong key often quotes the key, whole or a part of it, and in the escapes of its format.

mod escapes;
mod forms;
mod pieces;
mod texts;
mod unseen;

use crate::credential::{
    flag_holds_credential, in_members, in_path, in_text_of_members, is_credential, is_scheme,
    looks_like_key, names_credential, parts_of_query, with_scheme,
};
use crate::exchange::{Exchange, ResponseLog};
use crate::plan::Target;
use crate::wording::BLANK;
use aho_corasick::{AhoCorasick, MatchKind};
use forms::forms;
use percent_encoding::percent_decode_str;
use pieces::Pieces;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::ops::Range;
use url::Url;

/// Escapes within escapes that are undone: JSON in a text of JSON, in a URL.
const DEPTH: u32 = 3;

/// A part of a query that has no name is taken for a key from this length on.
const SHORTEST_BARE: usize = 12;

/// The credentials of a run, with all their parts and in all their encodings. One pass over a text finds them; where
/// there are none, nothing is looked at.
#[derive(Debug, Default)]
pub struct Secrets {
    finder: Option<AhoCorasick>,
    longest: usize,
}

impl Secrets {
    /// The credentials in the headers and the URL of a target, and among the parameters of what is sent there.
    pub fn of(target: &Target, parameters: &Map<String, Value>) -> Self {
        let mut values = Vec::new();
        for (name, value) in &target.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            if is_credential(name, &value) {
                values.extend(parts_of_header(name.as_str(), &value));
            }
        }
        values.extend(target.urls().flat_map(of_url));
        values.extend(target.route.proxy.iter().flat_map(of_url));
        for text in in_members(parameters) {
            let in_text = in_text_of_members(&text).into_iter();
            values.extend(in_text.map(str::to_owned));
            values.extend(Url::parse(&text).iter().flat_map(of_url));
            values.extend(parts_of_header("", &text));
        }
        Self::of_values(values)
    }

    /// What looks like a credential among the arguments of a command line, for errors that repeat some of them.
    pub fn of_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let mut values = Vec::new();
        // Whether what stands before an argument says that it is a credential.
        let mut is_named = false;
        for argument in arguments {
            let is_flag = argument.starts_with('-');
            if is_named && !is_flag {
                values.push(argument.clone());
            }
            // A flag; or, where quotes are missing, the name of a header or of a scheme.
            is_named = match is_flag {
                true => !argument.contains('=') && flag_holds_credential(&argument),
                false => {
                    is_scheme(&argument)
                        || argument
                            .strip_suffix([':', '='])
                            .is_some_and(names_credential)
                }
            };
            let value = argument.split_once('=').filter(|_| is_flag);
            let value = value.map_or(argument.as_str(), |(_, value)| value);
            if let Ok(url) = Url::parse(value) {
                values.extend(of_url(&url));
            }
            values.extend(with_scheme(value).map(str::to_owned));
            for parted_by in ['=', ':'] {
                if let Some((name, value)) = value.split_once(parted_by) {
                    if names_credential(name) {
                        values.extend(parts_of_header(name, value.trim()));
                    }
                    values.extend(with_scheme(value).map(str::to_owned));
                }
            }
            values.extend(in_text_of_members(value).into_iter().map(str::to_owned));
            let pieces = argument.split(|c: char| c.is_whitespace() || "=:/?&@#,;'\"".contains(c));
            values.extend(
                pieces
                    .filter(|piece| looks_like_key(piece))
                    .map(str::to_owned),
            );
        }
        Self::of_values(values)
    }

    fn of_values(values: Vec<String>) -> Self {
        let forms = forms(values);
        let longest = forms.iter().map(Vec::len).max().unwrap_or_default();
        let finder = (!forms.is_empty()).then(|| {
            AhoCorasick::builder()
                // All that overlap are found, so that a part is blanked as far as it goes.
                .match_kind(MatchKind::Standard)
                // Names of hosts and headers change their case, and hexadecimal digits have both.
                .ascii_case_insensitive(true)
                .build(forms)
                .ok()
        });
        Self {
            finder: finder.flatten(),
            longest,
        }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.finder.is_none()
    }

    /// The bytes of the longest of them as it is looked for.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Blanks the credentials in what an exchange brought from the server.
    pub fn blank(&self, exchange: &mut Exchange) {
        if self.is_empty() {
            return;
        }
        if let Some(failure) = &mut exchange.failure
            && let Cow::Owned(blanked) = self.blank_text(&failure.message)
        {
            failure.message = blanked;
        }
        if let Some(head) = &mut exchange.head {
            for text in [&mut head.content_type, &mut head.label]
                .into_iter()
                .flatten()
            {
                if let Cow::Owned(blanked) = self.blank_text(text) {
                    *text = blanked.into();
                }
            }
        }
        if let Some(blanked) = self.blanked(&exchange.response) {
            exchange.response = blanked;
        }
    }

    /// A response without credentials, whole ones and those that are made up of several events. `None`: it has none.
    fn blanked(&self, response: &ResponseLog) -> Option<ResponseLog> {
        let has_whole = response.iter().any(|data| !self.places(data).is_empty());
        let whole = has_whole.then(|| changed(response, |_, data| self.blank_bytes(data)));
        let response = whole.as_ref().unwrap_or(response);
        let pieces = pieces::pieces(response, self.longest, |joined| self.places(joined));
        if pieces == Pieces::At(Vec::new()) {
            return whole;
        }
        Some(changed(response, |event, data| {
            pieces::without(data, &pieces, event).map_or(Cow::Borrowed(data), Cow::Owned)
        }))
    }

    /// Text with the credentials blanked.
    pub fn blank_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.blank_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
        }
    }

    /// Bytes as they came but for the credentials: what is no text stays what it is.
    pub fn blank_bytes<'a>(&self, data: &'a [u8]) -> Cow<'a, [u8]> {
        let places = self.places(data);
        if places.is_empty() {
            return Cow::Borrowed(data);
        }
        let mut blanked = Vec::with_capacity(data.len());
        let mut done = 0;
        for place in places {
            blanked.extend_from_slice(&data[done..place.start]);
            blanked.extend_from_slice(BLANK.as_bytes());
            done = place.end;
        }
        blanked.extend_from_slice(&data[done..]);
        Cow::Owned(blanked)
    }

    /// Where credentials are, in ascending order and apart from each other.
    fn places(&self, data: &[u8]) -> Vec<Range<usize>> {
        match &self.finder {
            Some(finder) => places(finder, data, DEPTH, true),
            None => Vec::new(),
        }
    }
}

/// A response with its events changed, none of which becomes longer.
fn changed<'a>(
    response: &'a ResponseLog,
    change: impl Fn(usize, &'a [u8]) -> Cow<'a, [u8]>,
) -> ResponseLog {
    let mut changed = ResponseLog::default();
    for (event, (data, arrival)) in response.iter().zip(response.arrivals()).enumerate() {
        // It fits: it did before.
        let _ = changed.push(&change(event, data), arrival);
    }
    if response.is_streamed() {
        changed.set_streamed();
    }
    if let Some(done) = response.done() {
        changed.set_done(done);
    }
    changed
}

/// `is_whole`: nothing was left out of the text.
fn places(finder: &AhoCorasick, data: &[u8], depth: u32, is_whole: bool) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    for place in finder.find_overlapping_iter(data) {
        // Parts of one credential overlap: a long text of them is not kept part by part.
        match places.last_mut() {
            Some(last) if last.start <= place.start() && place.start() < last.end => {
                last.end = last.end.max(place.end());
            }
            _ => places.push(place.range()),
        }
    }
    if depth > 0
        && let Some(plain) = escapes::undone(data)
    {
        let within = self::places(finder, &plain, depth - 1, is_whole);
        places.extend(escapes::places_before(data, &within));
    }
    if is_whole
        && depth > 0
        && let Some(seen) = unseen::left_out(data)
    {
        // Each further way to read a text is one more pass over it.
        let within = self::places(finder, &seen, depth.min(1), false);
        places.extend(unseen::places_before(data, &within));
    }
    if places.len() > 1 {
        places.sort_by_key(|place| (place.start, place.end));
        places.dedup_by(|next, before| {
            let overlaps = next.start < before.end;
            if overlaps {
                before.end = before.end.max(next.end);
            }
            overlaps
        });
    }
    places
}

/// The value of a header that carries a credential, and each part of it that is one by itself.
fn parts_of_header(name: &str, value: &str) -> Vec<String> {
    let mut parts = vec![value.to_owned()];
    if words_of_cookie(name) {
        let cookies = value.split(';').filter_map(|cookie| cookie.split_once('='));
        parts.extend(cookies.map(|(_, value)| value.trim().trim_matches('"').to_owned()));
        return parts;
    }
    // `Bearer KEY`: servers quote the key alone.
    if let Some((scheme, rest)) = value.split_once(' ') {
        let rest = rest.trim();
        parts.push(rest.to_owned());
        if scheme.eq_ignore_ascii_case("basic") {
            parts.extend(decoded_pair(rest));
        }
        // As in `SharedKey ACCOUNT:SIGNATURE`.
        parts.extend(rest.rsplit_once(':').map(|(_, last)| last.to_owned()));
        // As in `AWS4-HMAC-SHA256 Credential=A, Signature=B`.
        for (name, value) in rest.split(',').filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            if names_credential(name.trim()) || name.trim() == "response" {
                parts.push(value.to_owned());
            }
        }
    }
    // A JSON Web Token is of three parts, of which servers quote one or two.
    let token = parts
        .last()
        .filter(|token| token.starts_with("eyJ"))
        .cloned();
    let of_token = token.iter().flat_map(|token| token.split('.'));
    let of_token: Vec<String> = of_token
        .filter(|part| part.len() >= 16)
        .map(str::to_owned)
        .collect();
    parts.extend(of_token);
    parts
}

fn words_of_cookie(name: &str) -> bool {
    name.to_ascii_lowercase().contains("cookie")
}

/// Name and password of the `Basic` scheme (RFC 7617), and the password alone.
fn decoded_pair(encoded: &str) -> Vec<String> {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    let Some(pair) = engine
        .decode(encoded)
        .ok()
        .and_then(|pair| String::from_utf8(pair).ok())
    else {
        return Vec::new();
    };
    let mut values = match pair.split_once(':') {
        Some((name, password)) => of_pair(name, password),
        None => Vec::new(),
    };
    values.push(pair);
    values
}

/// What is secret of a name and a password.
fn of_pair(name: &str, password: &str) -> Vec<String> {
    let mut values = vec![password.to_owned()];
    // A name with no password, or with what stands for one, is a key.
    if forms::is_too_short(password) || password == "x-oauth-basic" || looks_like_key(name) {
        values.push(name.to_owned());
    }
    values
}

/// The credentials of a URL, as they stand there and without their encoding.
fn of_url(url: &Url) -> Vec<String> {
    let mut raw: Vec<&str> = in_path(url.path());
    let pair = of_pair(url.username(), url.password().unwrap_or_default());
    raw.extend(pair.iter().map(String::as_str));
    // A fragment is not sent, but some give a key in it all the same.
    for text in [url.query(), url.fragment()].into_iter().flatten() {
        for part in parts_of_query(text) {
            match part.split_once('=') {
                _ if looks_like_key(part) => raw.push(part),
                Some((name, value)) if names_credential(name) || looks_like_key(value) => {
                    raw.push(value);
                }
                // Without a name it may be a key, unless it is a word.
                None if part.len() >= SHORTEST_BARE => raw.push(part),
                _ => {}
            }
        }
    }
    let mut values: Vec<String> = Vec::new();
    for text in raw {
        values.push(text.to_owned());
        values.push(percent_decode_str(text).decode_utf8_lossy().into_owned());
        let spaced = text.replace('+', " ");
        values.push(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    if let Some(encoded) = basic_credentials(url) {
        values.extend(decoded_pair(&encoded));
        values.push(encoded);
    }
    values
}

/// Name and password of a URL as the `Basic` scheme of HTTP carries them (RFC 7617), without its name.
/// `None`: the URL has neither.
pub fn basic_credentials(url: &Url) -> Option<String> {
    use base64::Engine;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let pair = [url.username(), url.password().unwrap_or_default()]
        .map(|part| percent_decode_str(part).collect::<Vec<u8>>())
        .join(&b':');
    Some(base64::engine::general_purpose::STANDARD.encode(pair))
}

#[cfg(test)]
mod tests;
