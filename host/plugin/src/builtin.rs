//! The plugins inside this program. The build script made components of them.

use super::offers::Offers;
use std::io;

/// A plugin inside this program.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinComponent {
    /// Its name, for `--parser` where it is an API.
    pub name: &'static str,
    /// The names of its formats, for `--dataset-parser`.
    pub formats: &'static [&'static str],
    /// What it can be used for.
    pub offers: Offers,
    /// Whether servers of its API put a chat template around a prompt, if its task is one with templates.
    pub has_template: bool,
    /// The size of its component in bytes.
    size: usize,
    /// Its component as a Zstandard frame, whose dictionary is the component of the first of all.
    compressed: &'static [u8],
}

impl BuiltinComponent {
    /// Its component.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let first = &BUILTIN[0];
        let dictionary = first.decompressed(&[])?;
        if std::ptr::eq(self.compressed, first.compressed) {
            return Ok(dictionary);
        }
        self.decompressed(&dictionary)
    }

    fn decompressed(&self, dictionary: &[u8]) -> io::Result<Vec<u8>> {
        zstd::bulk::Decompressor::with_dictionary(dictionary)?
            .decompress(self.compressed, self.size)
    }
}

static BUILTIN: &[BuiltinComponent] = include!(concat!(env!("OUT_DIR"), "/builtin_parsers.rs"));

/// The built-in API of this name.
pub fn builtin(name: &str) -> Option<&'static BuiltinComponent> {
    BUILTIN
        .iter()
        .find(|component| component.name == name && component.offers.has_api())
}

/// The built-in plugin of this name or with a format of this name, whatever it is.
pub fn any_builtin(name: &str) -> Option<&'static BuiltinComponent> {
    let is_it =
        |component: &&BuiltinComponent| component.name == name || component.formats.contains(&name);
    BUILTIN.iter().find(is_it)
}

/// The built-in format of this name.
pub fn builtin_format(name: &str) -> Option<&'static str> {
    format_names().find(|format| *format == name)
}

/// The names of all built-in formats of data sets.
pub fn format_names() -> impl Iterator<Item = &'static str> {
    builtin_formats().flat_map(|component| component.formats.iter().copied())
}

/// The names of all built-in APIs, the default one first.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN
        .iter()
        .filter(|component| component.offers.has_api())
        .map(|component| component.name)
}

/// The components with built-in formats of data sets, in the order in which they are asked whether they recognise a file.
pub fn builtin_formats() -> impl Iterator<Item = &'static BuiltinComponent> {
    BUILTIN
        .iter()
        // Those with an API of their own are read by no other.
        .filter(|component| !component.formats.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_comes_out_whole_and_takes_little_room() {
        let (mut compressed, mut whole) = (0, 0);
        for component in BUILTIN {
            let bytes = component.bytes().unwrap();
            assert_eq!(bytes.len(), component.size, "{}", component.name);
            assert!(bytes.starts_with(b"\0asm"), "{}", component.name);
            compressed += component.compressed.len();
            whole += bytes.len();
        }
        assert!(compressed * 4 < whole, "{compressed} of {whole} bytes");
    }
}
