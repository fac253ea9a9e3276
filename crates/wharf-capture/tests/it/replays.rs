//! What was captured is played again, and compared.

use std::time::{Duration, Instant};

use wharf::{Arrival, Backend, Context, Framing, Outcome, Session};
use wharf_capture::{
    Problem, Recording, ReplayError, ReplayOptions, Report, Speed, What, hidden_network,
    replay_in_simulator, replay_to,
};

use crate::support::{Lines, Member, evening, server, wait_until};

/// The best that there is first: uring, unless it is denied.
#[cfg(target_os = "linux")]
const BACKENDS: [Backend; 2] = [Backend::Auto, Backend::Readiness];
#[cfg(not(target_os = "linux"))]
const BACKENDS: [Backend; 1] = [Backend::Auto];

fn simulated(recording: &Recording, seed: u64) -> Report {
    let server = server("10.0.0.1:7777");
    let options = ReplayOptions::default();
    replay_in_simulator(recording, server, Member::new, hidden_network(seed), &options).unwrap()
}

/// Replays to a server of a backend.
fn real<H: Session>(
    recording: &Recording,
    backend: Backend,
    options: &ReplayOptions,
    factory: impl Fn(&Arrival) -> H + Send + Sync + 'static,
) -> Report {
    let running = server("127.0.0.1:0").backend(backend).start(factory).unwrap();
    let address = running.handle().addresses()[0].clone();
    let report = replay_to(recording, &address, options).unwrap();
    running.handle().stop();
    running.join().unwrap();
    report
}

fn fast() -> ReplayOptions {
    let mut options = ReplayOptions::default();
    options.speed = Speed::Max;
    options.patience = Duration::from_secs(20);
    options
}

#[test]
fn a_chat_answers_the_same_in_the_simulator_whatever_its_network_does() {
    let recording = evening(BACKENDS[0]);
    let sent = recording.records.iter().filter(|it| matches!(it.what, What::In(_))).count();
    let heard = recording.records.iter().filter(|it| matches!(it.what, What::Out(_))).count();
    assert_eq!((recording.sessions.len(), sent, heard), (3, 26, 76), "{recording:?}");
    for seed in 0..40 {
        let report = simulated(&recording, seed);
        assert!(report.is_equal(), "seed {seed}: {report}");
        assert_eq!((report.frames_sent, report.frames_equal), (26, 76), "seed {seed}");
    }
    assert_eq!(simulated(&recording, 7), simulated(&recording, 7), "a seed is a run");
}

#[test]
fn a_chat_answers_the_same_on_every_backend() {
    for captured_on in BACKENDS {
        let recording = evening(captured_on);
        for backend in BACKENDS {
            let report = real(&recording, backend, &fast(), Member::new);
            assert!(report.is_equal(), "{captured_on} on {backend}: {report}");
            assert_eq!((report.sessions, report.frames_equal), (3, 76));
        }
    }
}

#[test]
fn a_server_that_says_something_else_is_found() {
    let recording = evening(BACKENDS[0]);
    let other = |arrival: &Arrival| Member::who_says(arrival, "shouts");
    let report = real(&recording, BACKENDS[0], &fast(), other);
    let first = &report.differences[0];
    assert_eq!((first.session, first.frame), (1, 5), "{report}");
    let expected = "expected 'anna says hello 0' (17 bytes), got 'anna shouts hello 0' (19 bytes)";
    assert!(report.to_string().contains(expected), "{report}");
    assert_eq!(report.different, 3, "each session is told of once: {report}");
}

#[test]
fn a_recording_that_was_edited_differs_where_it_was() {
    let original = evening(BACKENDS[0]);
    let is_out = |what: &What| matches!(what, What::Out(_));
    let last = original.records.iter().rposition(|it| is_out(&it.what)).unwrap();
    let mut edited = original.clone();
    edited.records[last].what = What::Out(b"something else".to_vec());
    let problem = simulated(&edited, 1).differences[0].problem.clone();
    let got = b"anna says it is quiet".to_vec();
    assert_eq!(problem, Problem::Other { expected: b"something else".to_vec(), got: got.clone() });
    // One answer less is one too many, and one more is missing.
    let mut edited = original.clone();
    let answer = edited.records.remove(last);
    let problem = simulated(&edited, 1).differences[0].problem.clone();
    assert_eq!(problem, Problem::Unexpected { got });
    let mut edited = original.clone();
    edited.records.push(answer);
    let problem = simulated(&edited, 1).differences[0].problem.clone();
    assert!(matches!(problem, Problem::Missing { ended: false, .. }), "{problem:?}");
    // Nobody kicks anybody.
    let mut edited = original.clone();
    let is_kick = |what: &What| *what == What::In(b"kick ben".to_vec());
    let kick = edited.records.iter().position(|it| is_kick(&it.what)).unwrap();
    edited.records[kick].what = What::In(b"rest".to_vec());
    let told = simulated(&edited, 1);
    assert!(!told.is_equal());
    // Without the words of the kick, that the server ended it is all there is.
    edited.records.retain(|it| it.what != What::Out(b"anna kicks ben".to_vec()));
    let told = simulated(&edited, 1);
    assert_eq!(
        (told.differences[0].session, &told.differences[0].problem),
        (2, &Problem::NotEnded)
    );
}

#[test]
fn speed_is_that_of_the_recording_or_so_many_times_it() {
    let mut recording = evening(BACKENDS[0]);
    for (number, record) in recording.records.iter_mut().enumerate() {
        record.at = Duration::from_millis(5) * u32::try_from(number).unwrap();
    }
    let last = recording.records.iter().rfind(|it| matches!(it.what, What::In(_))).unwrap().at;
    let mut options = fast();
    for (times, least) in [(1.0, last), (4.0, last / 4)] {
        options.speed = Speed::Times(times);
        #[expect(clippy::disallowed_methods, reason = "a test of how long it takes")]
        let began = Instant::now();
        let report = real(&recording, BACKENDS[0], &options, Member::new);
        assert!(report.is_equal(), "{report}");
        assert!(began.elapsed() >= least && report.took >= least, "{times}: {:?}", report.took);
    }
    // An hour of simulated time is no hour.
    recording.records.last_mut().unwrap().at += Duration::from_secs(3600);
    let is_in = |what: &What| matches!(what, What::In(_));
    let last = recording.records.iter().rposition(|it| is_in(&it.what)).unwrap();
    recording.records[last].at += Duration::from_secs(3600);
    let report = {
        let limits = wharf::Limits { idle: None, ..wharf::Limits::default() };
        let server = server("10.0.0.1:7777").limits(limits);
        let options = ReplayOptions::default();
        replay_in_simulator(&recording, server, Member::new, hidden_network(3), &options).unwrap()
    };
    assert!(
        report.is_equal() && report.took >= Duration::from_secs(3600),
        "{report} {:?}",
        report.took
    );
}

#[test]
fn what_is_not_complete_is_not_compared_unless_asked_for() {
    let mut recording = evening(BACKENDS[0]);
    recording.sessions[1].frames_left_out = 1;
    let mut options = fast();
    let run = |options: &ReplayOptions| {
        let server = server("10.0.0.1:7777");
        replay_in_simulator(&recording, server, Member::new, hidden_network(1), options)
    };
    let error = run(&options).unwrap_err();
    assert!(matches!(error, ReplayError::Incomplete { number: 2, .. }), "{error}");
    options.incomplete = true;
    assert!(run(&options).unwrap().is_equal());
    options.incomplete = false;
    options.sessions = Some(vec![1]);
    let report = run(&options).unwrap();
    assert_eq!(report.sessions, 1);
    assert!(!report.is_equal(), "alone it hears of nobody");
    options.sessions = Some(vec![4]);
    assert!(matches!(run(&options), Err(ReplayError::NoSession { number: 4, sessions: 3 })));
}

/// Sends everything back.
struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

#[test]
fn a_stream_without_frames_is_compared_by_its_bytes() {
    use std::io::{Read, Write};
    let options = wharf::capture::CaptureOptions::default();
    let raw = |at: &str| server(at).framing(Framing::RAW);
    let running = raw("127.0.0.1:0").capture(options).start(|_| Echo).unwrap();
    let mut client =
        std::net::TcpStream::connect(running.handle().addresses()[0].to_string()).unwrap();
    for len in [1, 10, 100_000] {
        let bytes: Vec<u8> = (0..len).map(|at: u32| at.to_le_bytes()[0]).collect();
        client.write_all(&bytes).unwrap();
        client.read_exact(&mut vec![0; bytes.len()]).unwrap();
    }
    let mut recording = Recording::of(&running.handle().captured().unwrap(), None);
    running.handle().stop();
    running.join().unwrap();
    for seed in 0..10 {
        let report = replay_in_simulator(
            &recording,
            raw("10.0.0.1:1"),
            |_| Echo,
            hidden_network(seed),
            &fast(),
        );
        let report = report.unwrap();
        assert!(report.is_equal(), "seed {seed}: {report}");
    }
    let out = recording.records.iter_mut().rev().find_map(|it| match &mut it.what {
        What::Out(bytes) => Some(bytes),
        _ => None,
    });
    *out.unwrap().last_mut().unwrap() ^= 1;
    let report =
        replay_in_simulator(&recording, raw("10.0.0.1:1"), |_| Echo, hidden_network(1), &fast());
    assert_eq!(report.unwrap().different, 1);
}

/// Keeps what one session says for all others, and says nothing to it.
struct Board(std::sync::Arc<std::sync::Mutex<String>>);

impl Session for Board {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match std::str::from_utf8(frame)?.strip_prefix("set ") {
            Some(words) => *self.0.lock().unwrap() = words.to_owned(),
            None => drop(ctx.send(self.0.lock().unwrap().as_bytes())),
        }
        Ok(())
    }
}

fn board() -> impl Fn(&Arrival) -> Board {
    let words = std::sync::Arc::default();
    move |_| Board(std::sync::Arc::clone(&words))
}

#[test]
fn what_has_no_answer_is_heard_before_another_session_goes_on() {
    let options = wharf::capture::CaptureOptions::default();
    let running = server("127.0.0.1:0").capture(options).start(board()).unwrap();
    let handle = running.handle();
    let (mut sets, mut gets) = (Lines::connect(&handle), Lines::connect(&handle));
    gets.say("get");
    gets.hear("");
    for round in 0..10_u64 {
        sets.say(&format!("set {round}"));
        wait_until(|| handle.stats().frames_in == 2 * round + 2);
        gets.say("get");
        gets.hear(&round.to_string());
    }
    let recording = Recording::of(&handle.captured().unwrap(), None);
    handle.stop();
    running.join().unwrap();
    for (seed, report) in on_every_network(&recording) {
        assert!(report.is_equal(), "seed {seed}: {report}");
        assert_eq!(report.frames_equal, 11);
    }
    let report = real(&recording, BACKENDS[0], &fast(), board());
    assert!(report.is_equal(), "{report}");
}

/// What comes of a recording of the board on 40 simulated networks, each with its seed.
fn on_every_network(recording: &Recording) -> impl Iterator<Item = (u64, Report)> + '_ {
    (0..40).map(|seed| {
        let server = server("10.0.0.1:7777");
        let report = replay_in_simulator(recording, server, board(), hidden_network(seed), &fast());
        (seed, report.unwrap())
    })
}

/// A recording of lines, as `DIRECTION SESSION WORDS`, of so many sessions.
fn told(sessions: usize, happened: &[&str]) -> Recording {
    let mut file =
        r#"{"wharf_capture":1,"version":"","framing":"lines","frame_max":65536}"#.to_owned() + "\n";
    for session in 1..=sessions {
        let open = r#"{"event":"open","at_us":0,"id":"","peer":"","session":"#;
        file += &format!("{open}{session}}}\n");
    }
    for happened in happened {
        let [event, session, words] = happened.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{happened}")
        };
        let key = if event == "close" { "reason" } else { "text" };
        let line =
            format!(r#"{{"event":"{event}","at_us":0,"session":{session},"{key}":"{words}"}}"#);
        file += &(line + "\n");
    }
    file += &format!(r#"{{"event":"done","records":{}}}"#, sessions + happened.len());
    Recording::read((file + "\n").as_bytes()).unwrap()
}

#[test]
fn what_was_said_before_a_reset_is_heard() {
    let round = |it: usize| {
        let (set, reset) = (format!("in {it} set {it}"), format!("close {it} peer_reset"));
        [set, reset, "in 11 get".to_owned(), format!("out 11 {it}")]
    };
    let happened: Vec<String> = (1..=10).flat_map(round).collect();
    let happened: Vec<&str> = happened.iter().map(String::as_str).collect();
    let recording = told(11, &happened);
    for backend in BACKENDS {
        let report = real(&recording, backend, &fast(), board());
        assert!(report.is_equal(), "{backend}: {report}");
        assert_eq!((report.frames_sent, report.frames_equal), (20, 10), "{backend}");
    }
    for (seed, report) in on_every_network(&recording) {
        assert!(report.is_equal(), "seed {seed}: {report}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let recording = evening(BACKENDS[0]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().into();
    drop(listener);
    let error = replay_to(&recording, &address, &fast()).unwrap_err();
    assert!(matches!(error, ReplayError::Connect { number: 1, .. }), "{error}");
}

#[test]
fn what_a_session_says_that_differs_is_heard_before_another_goes_on() {
    let happened = [
        "in 1 get",
        "out 1 something else",
        "in 1 set words",
        "out 1 an answer that never comes",
        "in 2 get",
        "out 2 words",
    ];
    let recording = told(2, &happened);
    for (seed, report) in on_every_network(&recording) {
        assert_eq!((report.different, report.frames_equal), (1, 1), "seed {seed}: {report}");
        assert_eq!(report.differences[0].session, 1, "seed {seed}: {report}");
    }
}
