mod guest;
mod limits;
mod options;
#[cfg(test)]
mod simulated;
mod watch;
mod welcome;
mod whisper;

use std::{error::Error, process::ExitCode, time::Duration};
use std::{sync::mpsc, thread};

use wharf::{Framing, Server};

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let options = options::read(std::env::args().nth(1))?;
    let server = Server::bind(options.listen.as_str())
        .framing(Framing::LINES)
        .limits(options.limits())
        .socket_options(limits::sockets())
        .heartbeat(Duration::from_secs(60), b"")
        .farewell(b"* the server ends, come back soon");
    let running = server.start(|arrival| guest::Guest::new(arrival.group("lobby")))?;
    let handle = running.handle();
    let signalled = handle.clone();
    ctrlc::set_handler(move || signalled.drain())?;
    let watched = handle.clone();
    let (ended, end) = mpsc::channel::<()>();
    let watcher = thread::spawn(move || watch::log_each_minute(&watched, &end));
    println!("listening on {} by {}", handle.addresses()[0], handle.backend());

    let report = running.join()?;
    drop(ended);
    let _ = watcher.join();
    println!("{report}");
    Ok(())
}
