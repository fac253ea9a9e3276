//! How many questions to the workers are under way, whoever asks.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use wharf::{Arrival, Context, Outcome, Server, Session, SessionsWanted, SteppedServer, Time};
use wharf_admin::{Admin, AdminOptions};

use crate::support::{Answer, PATIENCE, connect, wait_until};

/// Hears nobody.
struct Deaf;

impl Session for Deaf {
    fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
        Ok(())
    }
}

fn deaf(_: &Arrival) -> Deaf {
    Deaf
}

type Stepped = SteppedServer<Deaf, fn(&Arrival) -> Deaf>;

/// A server whose workers are held up for as long as the test makes no turn, and its endpoint.
fn held_up(patience: Duration) -> (Stepped, Admin) {
    let factory: fn(&Arrival) -> Deaf = deaf;
    let server = Server::bind("127.0.0.1:0").workers(2).start_stepped(factory).unwrap();
    let mut options = AdminOptions::new(([127, 0, 0, 1], 0).into());
    options.worker_patience = patience;
    let admin = Admin::start(server.handle(), options).unwrap();
    (server, admin)
}

/// What waits for the worker that listens to nobody.
fn inbox_bytes(server: &Stepped) -> usize {
    server.worker(1).unwrap().inbox_bytes
}

fn asking(admin: &Admin, path: &str) -> TcpStream {
    let mut stream = connect(admin.address());
    let host = admin.address();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The answer to a request of a server whose workers go on.
fn answered(server: &mut Stepped, mut stream: TcpStream) -> Answer {
    let reading = std::thread::spawn(move || Answer::read(&mut stream));
    wait_until("it is answered", || {
        for worker in 0..server.workers() {
            server.turn(worker, Some(Time::ZERO)).unwrap();
        }
        reading.is_finished()
    });
    reading.join().unwrap()
}

#[test]
fn those_who_ask_and_go_leave_no_more_questions_than_there_are_places() {
    let (mut server, admin) = held_up(PATIENCE);
    let nothing = inbox_bytes(&server);
    let own = server.handle().ask_workers(SessionsWanted::None);
    let question = inbox_bytes(&server) - nothing;
    for path in ["/health", "/metrics", "/api/v1/sessions", "/api/v1/sessions/0"].repeat(50) {
        drop(asking(&admin, path));
    }
    // Who asks no worker is answered, and in turn: behind all who have gone.
    assert_eq!(Answer::read(&mut asking(&admin, "/api/v1/server")).status, Some(200));
    let asked = (inbox_bytes(&server) - nothing) / question - 1;
    assert!((1..=4).contains(&asked), "{asked} questions of 200 that nobody waits for");
    // Nothing of it is left when the workers go on.
    let health = asking(&admin, "/health");
    assert_eq!(answered(&mut server, health).status, Some(200));
    assert_eq!((own.wait(PATIENCE).len(), inbox_bytes(&server)), (2, nothing));
}

#[test]
fn who_finds_no_place_in_time_is_told_so() {
    let (mut server, admin) = held_up(Duration::from_millis(500));
    // As many as find a place at first, as many when those give up, and others.
    let mut streams: Vec<_> = (0..24).map(|_| asking(&admin, "/health")).collect();
    let answers: Vec<_> = streams.iter_mut().map(Answer::read).collect();
    assert!(answers.iter().all(|answer| answer.status == Some(503)), "{answers:?}");
    let with = |words: &str| answers.iter().filter(|it| it.body.starts_with(words)).count();
    let (silent, too_many) =
        (with("no answer within 500ms from worker 0, 1"), with("too many questions are under way"));
    assert!(silent >= 4 && too_many > 0 && silent + too_many == 24, "{answers:?}");
    let health = asking(&admin, "/health");
    assert_eq!(answered(&mut server, health).status, Some(200));
}
