//! Groups: who hears what, in which order, and who no longer does.

use std::sync::{Arc, Mutex};

use wharf::{
    Arrival, Backend, Context, Group, JoinError, Outcome, SendStatus, Session, SessionId,
    SlowReader,
};

use crate::support::client::Client;
use crate::support::record::on_frame;
use crate::support::server::{Setup, TestServer};
use crate::support::time::wait_until;
use crate::support::wire::{Wire, pattern};

each_backend! {
    everybody_gets_a_broadcast_the_sender_included,
    the_sender_can_be_left_out,
    members_on_all_workers_hear_a_sender_in_its_order,
    sends_and_broadcasts_keep_their_order,
    what_was_broadcast_before_a_close_is_flushed,
    a_member_hears_nothing_from_before_it_joined_and_after_it_left,
    leaving_is_part_of_closing,
    a_member_that_does_not_read_delays_nobody_and_is_closed,
    a_burst_is_one_send_for_each_member,
    members_are_listed_with_the_names_they_have_taken,
    any_thread_can_broadcast_and_have_sessions_join_and_leave,
    all_of_a_group_can_be_closed,
    groups_are_found_by_name_and_gone_with_their_last_member,
    a_session_is_in_no_more_groups_than_allowed,
    a_frame_that_is_too_long_is_sent_to_nobody,
    large_frames_are_shared_and_keep_their_order,
    a_shared_frame_goes_to_sessions_and_groups_alike,
    a_group_of_another_server_gets_frames_of_that_server,
}

/// Does what its peer says: the first letter of a frame is a command.
struct Member {
    id: SessionId,
    room: Group,
}

impl Member {
    fn new(arrival: &Arrival) -> Self {
        Self { id: arrival.id(), room: arrival.group("room") }
    }
}

impl Session for Member {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.room)?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let (command, rest) = frame.split_at(1);
        match command {
            b"B" => assert_eq!(ctx.broadcast(&self.room, rest), SendStatus::Queued),
            b"O" => assert_eq!(ctx.broadcast_others(&self.room, rest), SendStatus::Queued),
            b"S" => assert_eq!(ctx.send(rest), SendStatus::Queued),
            b"C" => ctx.close(),
            b"J" => ctx.join(&self.room)?,
            b"L" => assert!(ctx.leave(&self.room), "{:?} was a member", self.id),
            b"N" => ctx.join_as(&self.room, std::str::from_utf8(rest)?)?,
            // Several commands at once, to be worked on in one turn.
            b"M" => {
                for part in rest.split(|byte| *byte == b'|') {
                    self.on_frame(ctx, part)?;
                }
            }
            _ => return Err("no such command".into()),
        }
        Ok(())
    }
}

fn start(backend: Backend, workers: usize) -> TestServer {
    Setup::new(backend).workers(workers).start(Member::new)
}

/// Clients that are members.
fn members<const COUNT: usize>(server: &TestServer) -> [Client; COUNT] {
    let room = server.handle.group("room");
    let before = room.len();
    let members = std::array::from_fn(|_| server.connect());
    wait_until("all have joined", || room.len() == before + COUNT);
    members
}

fn everybody_gets_a_broadcast_the_sender_included(backend: Backend) {
    let server = start(backend, 2);
    let mut members: [_; 5] = members(&server);
    members[2].send(b"Bhello");
    members.iter_mut().for_each(|member| member.expect(b"hello"));
    assert_eq!(server.drain().bytes_lost, 0);
}

fn the_sender_can_be_left_out(backend: Backend) {
    let server = start(backend, 2);
    let mut members: [_; 5] = members(&server);
    members[2].send(b"MOto the others|Bto all");
    for (number, member) in members.iter_mut().enumerate() {
        if number != 2 {
            member.expect(b"to the others");
        }
        member.expect(b"to all");
    }
}

fn members_on_all_workers_hear_a_sender_in_its_order(backend: Backend) {
    const SENDERS: usize = 3;
    const FRAMES: usize = 400;
    let server = start(backend, 3);
    let mut members: [_; 9] = members(&server);
    for (sender, member) in members.iter_mut().enumerate().take(SENDERS) {
        for number in 0..FRAMES {
            member.send(format!("B{sender} {number}").as_bytes());
        }
    }
    for member in &mut members {
        let mut next = [0; SENDERS];
        for _ in 0..SENDERS * FRAMES {
            let frame = String::from_utf8(member.frame()).unwrap();
            let (sender, number) = frame.split_once(' ').unwrap();
            let sender: usize = sender.parse().unwrap();
            assert_eq!(number, next[sender].to_string(), "of sender {sender}");
            next[sender] += 1;
        }
    }
}

fn sends_and_broadcasts_keep_their_order(backend: Backend) {
    let server = start(backend, 1);
    let [mut sender, mut other] = members(&server);
    for _ in 0..50 {
        sender.send(b"MBone|Stwo|Bthree|Ofour|Bfive|Ssix");
        for wanted in ["one", "two", "three", "five", "six"] {
            sender.expect(wanted.as_bytes());
        }
        for wanted in ["one", "three", "four", "five"] {
            other.expect(wanted.as_bytes());
        }
    }
}

fn what_was_broadcast_before_a_close_is_flushed(backend: Backend) {
    let server = start(backend, 2);
    let [mut sender, mut other] = members(&server);
    sender.send(b"MBbye|C|Bnot any more");
    assert_eq!(sender.rest_frames(), [b"bye"]);
    other.expect(b"bye");
    // Whoever closes is no member any more, but what it does until the end of its callback is done.
    other.expect(b"not any more");
}

fn a_member_hears_nothing_from_before_it_joined_and_after_it_left(backend: Backend) {
    let server = start(backend, 1);
    let [mut one, mut two] = members(&server);
    one.send(b"MBfirst|L|Bunheard|J|Blast");
    one.expect(b"first");
    one.expect(b"last");
    for wanted in ["first", "unheard", "last"] {
        two.expect(wanted.as_bytes());
    }
}

fn leaving_is_part_of_closing(backend: Backend) {
    let server = start(backend, 2);
    let room = server.handle.group("room");
    let [leaver, failing, mut stays] = members(&server);
    drop(leaver);
    wait_until("the one that hung up has left", || room.len() == 2);
    let mut failing = failing;
    failing.send(b"?");
    failing.expect_end();
    wait_until("the one that failed has left", || room.len() == 1);
    assert_eq!(room.members().len(), 1);
    stays.ping_for(b"Bstill here", b"still here");
}

fn a_member_that_does_not_read_delays_nobody_and_is_closed(backend: Backend) {
    const FRAMES: u64 = 200;
    let setup =
        Setup::new(backend).workers(2).kernel_buffers(32 << 10, 32 << 10).limits(|limits| {
            limits.send_bytes_max = 64 << 10;
            limits.slow_reader = SlowReader::Disconnect;
        });
    let server = setup.start(Member::new);
    let room = server.handle.group("room");
    let [mut sender, mut reader, stopped] = members(&server);
    for number in 0..FRAMES {
        let mut frame = vec![b'B'];
        frame.extend(pattern(number, 10_000));
        sender.send(&frame);
        sender.expect(&frame[1..]);
        reader.expect(&frame[1..]);
    }
    wait_until("the one that does not read has been closed", || room.len() == 2);
    drop(stopped);
}

fn a_burst_is_one_send_for_each_member(backend: Backend) {
    const BURST: usize = 8;
    let setup = Setup::new(backend);
    let server = setup.start(Member::new);
    let mut members: [_; 4] = members(&server);
    let before = server.stats().sends;
    let burst = [b"Bx".as_slice(); BURST].join(&b'|');
    members[0].send(&[b"M", burst.as_slice()].concat());
    for member in &mut members {
        (0..BURST).for_each(|_| member.expect(b"x"));
    }
    wait_until("the sends are counted", || server.stats().sends > before);
    assert_eq!(server.stats().sends - before, 4);
}

fn members_are_listed_with_the_names_they_have_taken(backend: Backend) {
    let server = start(backend, 2);
    let room = server.handle.group("room");
    let mut members: [_; 4] = members(&server);
    for (number, member) in members.iter_mut().enumerate() {
        member.ping_for(format!("MNname {number}|Snamed").as_bytes(), b"named");
    }
    let names = || {
        let all = room.members().into_iter();
        let mut names: Vec<String> = all
            .map(|member| member.name.map_or_else(String::new, |name| name.to_string()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["name 0", "name 1", "name 2", "name 3"]);
    members[1].ping_for(b"MNanother|Sdone", b"done");
    members[2].ping_for(b"ML|Sdone", b"done");
    assert_eq!(names(), ["another", "name 0", "name 3"]);
}

fn any_thread_can_broadcast_and_have_sessions_join_and_leave(backend: Backend) {
    let server = start(backend, 2);
    let mut members: [_; 4] = members(&server);
    let room = server.handle.group("room");
    assert_eq!(room.broadcast(b"from outside"), SendStatus::Queued);
    members.iter_mut().for_each(|member| member.expect(b"from outside"));
    let other = server.handle.group("other");
    let first = room.members()[0].session;
    let session = server.handle.session(first);
    assert_eq!(session.join(&other), SendStatus::Queued);
    assert_eq!(session.leave(&room), SendStatus::Queued);
    wait_until("it has moved", || (room.len(), other.len()) == (3, 1));
    assert_eq!(other.members()[0].session, first);
    assert_eq!(other.broadcast_except(first, b"to nobody"), SendStatus::Queued);
    assert_eq!(other.broadcast(b"to one"), SendStatus::Queued);
    assert_eq!(room.broadcast(b"to three"), SendStatus::Queued);
    let heard: Vec<Vec<u8>> = members.iter_mut().map(Client::frame).collect();
    assert_eq!(heard.iter().filter(|frame| *frame == b"to one").count(), 1);
    assert_eq!(heard.iter().filter(|frame| *frame == b"to three").count(), 3);
}

fn all_of_a_group_can_be_closed(backend: Backend) {
    let server = start(backend, 2);
    let mut members: [_; 6] = members(&server);
    members[0].send(b"ML|Sleft");
    members[0].expect(b"left");
    let room = server.handle.group("room");
    assert_eq!(room.broadcast(b"go"), SendStatus::Queued);
    room.close_all();
    for member in &mut members[1..] {
        assert_eq!(member.rest_frames(), [b"go"]);
    }
    members[0].ping_for(b"Sstill here", b"still here");
    assert_eq!(room.len(), 0);
}

fn groups_are_found_by_name_and_gone_with_their_last_member(backend: Backend) {
    let server = start(backend, 2);
    let room = server.handle.group("room");
    assert_eq!((room.name(), room.is_empty(), server.handle.groups()), ("room", true, 1));
    let [member] = members(&server);
    assert_eq!(server.handle.group("room"), room);
    drop(room);
    assert_eq!(server.handle.groups(), 1, "it has a member");
    drop(member);
    wait_until("the group is gone", || server.handle.groups() == 0);
}

fn a_session_is_in_no_more_groups_than_allowed(backend: Backend) {
    struct Joiner(Arc<Mutex<Vec<Result<(), JoinError>>>>);
    impl Session for Joiner {
        fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
            let groups = ["a", "b", "b", "c"].map(|name| ctx.group(name));
            let mut seen = self.0.lock().unwrap();
            seen.extend(groups.iter().map(|group| ctx.join(group)));
            ctx.leave(&groups[0]);
            seen.push(ctx.join(&groups[3]));
            ctx.close();
            seen.push(ctx.join(&groups[0]));
            ctx.send(frame);
            Ok(())
        }
    }
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let joined = Arc::clone(&seen);
    let setup = Setup::new(backend).limits(|limits| limits.groups_per_session_max = 2);
    let server = setup.start(move |_| Joiner(Arc::clone(&joined)));
    let mut client = server.connect();
    client.send(b"join");
    client.expect_end();
    let too_many = Err(JoinError::TooMany(2));
    let wanted = [Ok(()), Ok(()), Ok(()), too_many, Ok(()), Err(JoinError::Closing)];
    assert_eq!(*seen.lock().unwrap(), wanted);
    drop(client);
    wait_until("all groups are gone", || server.handle.groups() == 0);
}

fn a_frame_that_is_too_long_is_sent_to_nobody(backend: Backend) {
    let setup = Setup::new(backend).limits(|limits| limits.frame_bytes_max = 100);
    let server = setup.start(Member::new);
    let room = server.handle.group("room");
    let [mut member] = members(&server);
    assert_eq!(room.broadcast(&[7; 101]), SendStatus::TooLong);
    assert!(server.handle.frame(&[7; 101]).is_err());
    assert_eq!(room.broadcast(&[7; 100]), SendStatus::Queued);
    member.expect(&[7; 100]);
    member.ping_for(b"Sstill here", b"still here");
}

fn large_frames_are_shared_and_keep_their_order(backend: Backend) {
    let server = start(backend, 2);
    let mut members: [_; 4] = members(&server);
    let sizes = [10, 5_000, 20, 30_000, 60_000, 1];
    for (number, size) in (0..).zip(sizes) {
        members[0].send(&[b"B", pattern(number, size).as_slice()].concat());
    }
    for member in &mut members {
        for (number, size) in (0..).zip(sizes) {
            member.expect(&pattern(number, size));
        }
    }
}

fn a_shared_frame_goes_to_sessions_and_groups_alike(backend: Backend) {
    let server = start(backend, 2);
    let mut members: [_; 3] = members(&server);
    let room = server.handle.group("room");
    let frame = server.handle.frame(b"shared").unwrap();
    assert_eq!(frame.payload(), b"shared");
    assert_eq!(room.broadcast_frame(&frame), SendStatus::Queued);
    for member in room.members() {
        assert_eq!(server.handle.session(member.session).send_frame(&frame), SendStatus::Queued);
    }
    for member in &mut members {
        member.expect(b"shared");
        member.expect(b"shared");
    }
    // A frame of a server with other frames is encoded anew.
    let lines = Setup::new(backend).wire(Wire::Lines).start(Member::new);
    let [mut reader] = self::members(&lines);
    assert_eq!(lines.handle.group("room").broadcast_frame(&frame), SendStatus::Queued);
    reader.expect(b"shared");
}

fn a_group_of_another_server_gets_frames_of_that_server(backend: Backend) {
    let lines = Setup::new(backend).wire(Wire::Lines).start(Member::new);
    let [mut reader] = members(&lines);
    let room = lines.handle.group("room");
    // As that session's, if the two servers name their sessions alike.
    let id = room.members()[0].session;
    let server = Setup::new(backend).start(move |_| {
        let room = room.clone();
        on_frame(move |ctx, frame| {
            assert_eq!(ctx.id(), id, "the first session of each");
            assert_eq!(ctx.broadcast(&room, frame), SendStatus::Queued);
            assert_eq!(ctx.broadcast_others(&room, b"second"), SendStatus::Queued);
            let third = ctx.frame(b"third")?;
            assert_eq!(ctx.broadcast_frame(&room, &third), SendStatus::Queued);
            ctx.send(b"done");
            Ok(())
        })
    });
    server.connect().ping_for(b"first", b"done");
    for wanted in [&b"first"[..], b"second", b"third"] {
        reader.expect(wanted);
    }
}
