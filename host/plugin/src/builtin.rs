//! The parsers inside this program. The build script made components of them.

/// A parser inside this program.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinComponent {
    /// Its name for `--parser`.
    pub name: &'static str,
    /// Its component.
    pub bytes: &'static [u8],
}

static BUILTIN: &[BuiltinComponent] = include!(concat!(env!("OUT_DIR"), "/builtin_parsers.rs"));

/// The built-in parser of this name.
pub fn builtin(name: &str) -> Option<&'static BuiltinComponent> {
    BUILTIN.iter().find(|component| component.name == name)
}

/// The names of all built-in parsers, the default one first.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|component| component.name)
}
