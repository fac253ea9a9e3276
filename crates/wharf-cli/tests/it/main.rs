//! Black-box tests of the program `wharf`: what scripts and users see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod arguments;
#[cfg(unix)]
mod capturing;
#[cfg(unix)]
mod capturing_on_request;
mod failing;
#[cfg(unix)]
mod load_accept;
mod load_chat;
mod load_echo;
mod load_framings;
#[cfg(unix)]
mod load_guests;
#[cfg(unix)]
mod load_idle;
mod load_plot;
#[cfg(unix)]
mod load_progress;
#[cfg(unix)]
mod load_stop;
mod models;
#[cfg(unix)]
mod pages;
mod program;
#[cfg(unix)]
mod proxy_faults;
#[cfg(unix)]
mod proxy_run;
#[cfg(unix)]
mod proxy_seed;
#[cfg(unix)]
mod proxy_transparent;
#[cfg(unix)]
mod proxying;
#[cfg(unix)]
mod pty;
#[cfg(unix)]
mod redacting;
#[cfg(unix)]
mod replaying;
#[cfg(unix)]
mod serve_admin;
#[cfg(unix)]
mod serve_arguments;
#[cfg(unix)]
mod serve_chat;
#[cfg(unix)]
mod serve_config;
#[cfg(unix)]
mod serve_echo;
#[cfg(unix)]
mod serve_end;
#[cfg(unix)]
mod serve_framings;
#[cfg(unix)]
mod serve_limits;
#[cfg(target_os = "linux")]
mod serve_pin;
#[cfg(unix)]
mod serve_reasons;
#[cfg(unix)]
mod serve_slow;
#[cfg(target_os = "linux")]
mod serve_sockets;
#[cfg(unix)]
mod serve_terminal;
mod server;
#[cfg(target_os = "linux")]
mod service;
#[cfg(unix)]
mod serving;
mod sim;
#[cfg(unix)]
mod top;
#[cfg(unix)]
mod top_changes;
#[cfg(unix)]
mod top_levels;
#[cfg(unix)]
mod top_once;
#[cfg(unix)]
mod top_terminal;
#[cfg(unix)]
mod topping;
#[cfg(unix)]
mod unix_sockets;
#[cfg(unix)]
mod wire;
