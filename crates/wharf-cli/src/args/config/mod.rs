//! The file of `wharf serve --config`.
//!
//! It has a key for every flag: which ones, in which section, and what they take comes from what clap
//! knows of the flags, so that none can be forgotten. What a file says becomes the defaults of the
//! command line, which is then read again: so flags and environment go before the file, and every value
//! is checked by the one parser that its flag has.
//!
//! | module | what it does |
//! |---|---|
//! | [`schema`] | the keys, and what each takes |
//! | [`value`] | a value in TOML, and as the flag has it |
//! | [`mod@file`] | reads a file, and says what is wrong with it |
//! | [`sources`] | where each value comes from, and `--print-config` |

#[cfg(test)]
mod documentation;
mod file;
mod schema;
mod sources;
#[cfg(test)]
mod tests;
mod value;

pub(super) use file::ConfigFile;
pub(super) use schema::Schema;
pub(super) use sources::Sources;
