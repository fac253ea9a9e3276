//! `wharf serve`: a server of the library's, its signals and its console.
//!
//! | module | what it does |
//! |---|---|
//! | [`mod@echo`], [`mod@chat`] | what the sessions do |
//! | [`options`] | what is asked for |
//! | [`activation`] | listeners that a service manager hands over |
//! | [`service`] | what the service manager is told |
//! | [`peers`] | who may connect |
//! | [`admin`] | metrics, health and sessions over HTTP |
//! | [`mod@capture`] | what the sessions have received and sent, as a file |
//! | [`redaction`] | what of it is never kept |
//! | [`start`] | what is said when it starts, and when it cannot |
//! | [`watch`] | from the start to the end: drain, stop, report |
//! | [`rates`] | what the live line says |
//!
//! The standard output gets one line, when the server accepts. Everything else is for people.

mod activation;
mod admin;
mod capture;
mod chat;
mod echo;
mod options;
mod peers;
mod rates;
mod redaction;
#[cfg(target_os = "linux")]
mod service;
#[cfg(not(target_os = "linux"))]
#[path = "no_service.rs"]
mod service;
mod start;
mod watch;

use std::sync::Arc;

use wharf::{Arrival, Session};

use crate::console::Console;
use crate::failure::{self, Failure};
use activation::Handed;
pub(crate) use admin::AdminPlace;
pub(crate) use capture::CapturePlace;
pub(crate) use chat::Member;
pub(crate) use echo::Echo;
pub(crate) use options::ServeOptions;
pub(crate) use peers::Peers;
use rates::Meter;
pub(crate) use redaction::Redaction;
use start::Listening;
use watch::{Events, Watch};

/// Runs `wharf serve echo`.
pub(crate) fn echo(options: &ServeOptions) -> Result<(), Failure> {
    serve(options, |_| Echo)
}

/// Runs `wharf serve chat`.
pub(crate) fn chat(options: &ServeOptions) -> Result<(), Failure> {
    serve(options, Member::new)
}

/// Runs a server until it is told to end.
fn serve<H, F>(options: &ServeOptions, factory: F) -> Result<(), Failure>
where
    H: Session,
    F: Fn(&Arrival) -> H + Send + Sync + 'static,
{
    let handed = Handed::take()?;
    let console = Arc::new(Console::start().map_err(Failure::no_thread)?);
    console.take_log(options.log);
    let outcome = serve_on(&console, options, &handed, factory);
    console.finish();
    outcome
}

fn serve_on<H, F>(
    console: &Console,
    options: &ServeOptions,
    handed: &Handed,
    factory: F,
) -> Result<(), Failure>
where
    H: Session,
    F: Fn(&Arrival) -> H + Send + Sync + 'static,
{
    let events = Events::new();
    let captures = options.capture.as_ref().is_some_and(CapturePlace::is_on_request);
    let admin = options.admin.as_ref().map(|place| admin::bind(place, captures, events.drain()));
    let admin = admin.transpose()?;
    let capture = options.capture.as_ref().map(CapturePlace::open).transpose()?.flatten();
    let running = options.server(handed).start(factory).map_err(|error| start::failure(&error))?;
    let server = running.handle();
    // It answers until the server has ended.
    let admin = admin.map(|admin| admin.start(server.clone())).transpose();
    let admin = admin.map_err(|error| admin::failure(&error))?;
    // Nobody has been told of the server yet: a signal that came before may just end the process.
    let mut watch = Watch::begin(running, events, console, options.limits.drain)?;
    if let Some(reason) = server.fallback_reason() {
        let backend = server.backend();
        console
            .say(format_args!("backend {backend}, since the best one is not to be had: {reason}"));
    }
    if let Some(admin) = &admin {
        let scheme = if admin.address().is_unix() { "" } else { "http://" };
        console.say(format_args!("admin on {scheme}{}", admin.address()));
    }
    failure::print(Listening(&server));
    watch.is_ready();
    let (mut meter, shown) = (Meter::new(server.stats()), server.clone());
    console.show(move || meter.look(shown.stats()).to_string());
    let ended = watch.until_end();
    // Also of a server that did not end well: then it is looked at most.
    let written = capture.map_or(Ok(()), |capture| capture.write(&server, console));
    ended.and(written)
}
