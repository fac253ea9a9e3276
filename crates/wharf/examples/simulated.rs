//! A table with three seats, and the test that its user has written: whatever the network does, no seat is given
//! twice, and none is lost. `cargo test -p wharf --example simulated` runs it, hours of it in a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use wharf::{CloseReason, Context, Framing, Outcome, Server, Session};

/// A guest, who is seated at the first word if a seat is free, and goes with its connection.
struct Guest {
    free_seats: Arc<AtomicUsize>,
    seated: bool,
}

impl Session for Guest {
    fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
        let take = || self.free_seats.fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1));
        self.seated = self.seated || take().is_ok();
        ctx.send(if self.seated { b"seated" } else { b"all seats are taken" });
        Ok(())
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: &CloseReason) {
        self.free_seats.fetch_add(usize::from(self.seated), SeqCst);
    }
}

fn main() -> Result<(), wharf::ServerError> {
    let free_seats = Arc::new(AtomicUsize::new(3));
    let server = Server::bind("127.0.0.1:7777").framing(Framing::LINES);
    server.run(move |_| Guest { free_seats: Arc::clone(&free_seats), seated: false }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};
    use wharf::PortOptions;
    use wharf::sim::{Faults, Network, NetworkOptions, Peer};

    use super::*;

    /// Three crowds come and go on the network of a seed, where connections are cut, reset and die; then one
    /// on a good network.
    fn evening(seed: u64) {
        let network = Network::new(NetworkOptions { seed, ..NetworkOptions::default() });
        let port = PortOptions { simulated: Some(network.clone()), ..PortOptions::default() };
        let free_seats = Arc::new(AtomicUsize::new(3));
        let guest = |_: &_| Guest { free_seats: Arc::clone(&free_seats), seated: false };
        let server = Server::bind("10.0.0.1:7777").framing(Framing::LINES).workers(2);
        let mut server = server.port_options(port).start_stepped(guest).unwrap();
        let address = server.handle().addresses()[0].clone();
        let mut run_for = |time| {
            let until = network.now() + time;
            while network.now() < until {
                assert!((0..2).all(|it| server.turn(it, Some(network.now())).is_ok()));
                if !network.advance() {
                    network.advance_by(time); // Nothing will ever happen by itself.
                }
            }
        };
        for faults in ["all", "all", "all", "none"] {
            network.set_faults(Faults::parse(faults).unwrap());
            let mut guests: Vec<Peer> = (0..10).map(|_| network.connect(address.clone())).collect();
            guests.iter_mut().for_each(|it| drop(it.write_all(b"a seat\nplease\n"))); // Some cannot.
            run_for(Duration::from_secs(1));
            let mut answer = [0; 6];
            guests
                .retain_mut(|it| matches!(it.try_read(&mut answer), Ok(6) if &answer == b"seated"));
            assert!(faults == "all" || guests.len() == 3, "seed {seed}: seated {}", guests.len());
            drop(guests);
            run_for(Duration::from_secs(120)); // Who has died without a word is idle for a minute.
            assert_eq!(free_seats.load(SeqCst), 3, "seed {seed}: free seats at the end");
        }
    }

    #[test]
    fn no_seat_is_given_twice_and_none_is_lost() {
        (0..50).for_each(evening);
    }
}
