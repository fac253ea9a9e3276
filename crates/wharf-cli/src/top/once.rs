//! One picture for scripts: plain text, or JSON.

use serde::Serialize;

use super::client::Client;
use super::options::TopOptions;
use super::picture::Picture;
use super::sample::Sample;
use super::state::State;
use super::view;
use crate::clock::now;
use crate::failure::{self, Failure};
use crate::json::JsonSink;

/// As wide as shows all columns of an address of IPv6.
const COLUMNS: u16 = 120;

/// What `--json` writes.
#[derive(Serialize)]
struct Report<'a> {
    mode: &'static str,
    admin: &'a str,
    #[serde(flatten)]
    picture: &'a Picture,
}

pub(super) fn run(
    options: &TopOptions,
    mut client: Client,
    mut state: State,
) -> Result<(), Failure> {
    let mut sink = JsonSink::open(options.json.as_ref())?;
    let started = now();
    let mut look = |client: &mut Client| {
        let sample = Sample::take(client, &state.wanted, || now() - started);
        sample.map_err(|error| super::no_picture(options, &error)).map(|it| state.take(it))
    };
    look(&mut client)?;
    client.rest(options.interval);
    look(&mut client)?;
    if let (Some(_), Some(picture)) = (&options.json, &state.picture) {
        return sink.write(&Report { mode: "top", admin: &state.admin, picture });
    }
    failure::print(view::plain(&state, COLUMNS));
    Ok(())
}
