//! The chat on a network that comes from a seed: no sockets, no threads, and a minute is over at once.

use wharf::sim::{Network, NetworkOptions, Peer};
use wharf::{Arrival, Framing, PortOptions, Server, SteppedServer};

use crate::guest::Guest;
use crate::limits;

struct Chat<F> {
    network: Network,
    server: SteppedServer<Guest, F>,
}

struct Client {
    peer: Peer,
    heard: String,
}

fn chat(seed: u64) -> Chat<impl Fn(&Arrival) -> Guest> {
    let network = Network::new(NetworkOptions { seed, ..NetworkOptions::default() });
    let simulated = Some(network.clone());
    let server = Server::bind("10.0.0.1:7777")
        .workers(2)
        .framing(Framing::LINES)
        .limits(limits::limits())
        .port_options(PortOptions { simulated, ..PortOptions::default() })
        .start_stepped(|arrival| Guest::new(arrival.group("lobby")))
        .unwrap();
    Chat { network, server }
}

impl<F: Fn(&Arrival) -> Guest> Chat<F> {
    /// Lets happen what is due, or what comes next.
    fn turn(&mut self) {
        for worker in 0..self.server.workers() {
            self.server.turn(worker, Some(self.network.now())).unwrap();
        }
        self.network.advance();
    }

    /// Somebody who has said a name, and is in the lobby.
    fn guest(&mut self, name: &str) -> Client {
        let peer = self.network.connect(&self.server.handle().addresses()[0]);
        let mut client = Client { peer, heard: String::new() };
        self.hear(&mut client, "* your name?\n");
        client.say(name);
        self.hear(&mut client, &format!("* {name} has come to lobby\n"));
        client
    }

    /// Waits until a client has heard this, and forgets what came up to there.
    #[track_caller]
    fn hear(&mut self, client: &mut Client, what: &str) {
        for _ in 0..10_000 {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = client.peer.try_read(&mut bytes) {
                client.heard.push_str(str::from_utf8(&bytes[..count]).unwrap());
            }
            if let Some(at) = client.heard.find(what) {
                client.heard.drain(..at + what.len());
                return;
            }
            self.turn();
        }
        panic!("{what:?} never came, but {:?}", client.heard);
    }
}

impl Client {
    fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        assert_eq!(self.peer.try_write(line.as_bytes()).unwrap(), line.len());
    }
}

#[test]
fn guests_talk_in_rooms_and_whisper() {
    for seed in 0..100 {
        let mut chat = chat(seed);
        let (mut ann, mut bob) = (chat.guest("ann"), chat.guest("bob"));
        ann.say("hello");
        chat.hear(&mut bob, "ann: hello\n");
        bob.say("/tell ann psst");
        chat.hear(&mut ann, "bob whispers: psst\n");
        bob.say("/join attic");
        chat.hear(&mut ann, "* bob has left for attic\n");
        ann.say("/who");
        chat.hear(&mut ann, "ann\n");
        assert_eq!(chat.server.handle().group("attic").len(), 1);
    }
}

#[test]
fn who_says_no_name_is_closed_after_a_minute() {
    let mut chat = chat(7);
    let peer = chat.network.connect(&chat.server.handle().addresses()[0]);
    let mut client = Client { peer, heard: String::new() };
    chat.hear(&mut client, "* your name?\n");
    let asked = chat.network.now();
    chat.hear(&mut client, "* too late, goodbye\n");
    let waited = chat.network.now().since(asked);
    assert!((59..=61).contains(&waited.as_secs()), "{waited:?}");
    (0..1_000).for_each(|_| chat.turn());
    assert_eq!(chat.server.handle().sessions(), 0, "it is closed");
}

#[test]
fn a_guest_who_is_lost_has_left() {
    let mut chat = chat(7);
    let (mut ann, bob) = (chat.guest("ann"), chat.guest("bob"));
    bob.peer.reset();
    chat.hear(&mut ann, "* bob has left: the peer reset the connection\n");
}
