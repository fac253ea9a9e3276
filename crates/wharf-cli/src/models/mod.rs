//! `wharf models`: every I/O model of this system as the same echo server, run one by one or compared.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what is asked for |
//! | [`mod@list`] | `list`: what there is |
//! | [`serve`] | `run`: one of them, until it is killed |
//! | [`mod@compare`] | `compare`: all of them under the same load |
//! | [`mod@experiment`] | `experiment`: what goes wrong, or how something behaves |

mod compare;
mod experiment;
mod list;
mod options;
mod serve;

pub(crate) use compare::compare;
pub(crate) use experiment::experiment;
pub(crate) use list::list;
pub(crate) use options::{CompareOptions, RunOptions};
pub(crate) use serve::run;
