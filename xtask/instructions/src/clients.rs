//! The clients: what they get back is what they expect, byte for byte.

use wharf::sim::Peer;

use crate::Error;
use crate::serving::Serving;

/// Clients that are connected.
#[derive(Debug)]
pub(crate) struct Clients {
    peers: Vec<Peer>,
    /// What is read goes here.
    buffer: Vec<u8>,
}

impl Clients {
    pub(crate) fn connect(serving: &mut Serving, count: usize) -> Result<Self, Error> {
        let address = serving.address()?;
        let peers: Vec<_> =
            (0..count).map(|_| serving.network().connect(address.clone())).collect();
        serving.turn_until("all clients are connected and have a session", |serving| {
            Ok(peers.iter().all(Peer::is_connected) && serving.sessions() == count)
        })?;
        Ok(Self { peers, buffer: Vec::new() })
    }

    pub(crate) fn send_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.peers.iter_mut().try_for_each(|peer| send(peer, bytes))
    }

    /// Only one of them sends.
    pub(crate) fn send_first(&mut self, bytes: &[u8]) -> Result<(), Error> {
        send(self.peers.first_mut().ok_or("there are no clients")?, bytes)
    }

    /// Waits until each of them has got `expected`.
    pub(crate) fn expect_all(
        &mut self,
        serving: &mut Serving,
        expected: &[u8],
    ) -> Result<(), Error> {
        self.buffer.resize(expected.len() + 1, 0);
        // One after the other: those behind have mostly got theirs by the time that it is their turn.
        for peer in &mut self.peers {
            serving.turn_until("everything comes back", |_| {
                Ok(peer.readable_bytes() >= expected.len())
            })?;
            let count = peer.try_read(&mut self.buffer)?;
            if self.buffer.get(..count) != Some(expected) {
                return Err("what came back is not what was sent".into());
            }
        }
        Ok(())
    }

    pub(crate) fn reset(self) {
        self.peers.into_iter().for_each(Peer::reset);
    }
}

fn send(peer: &mut Peer, bytes: &[u8]) -> Result<(), Error> {
    if peer.try_write(bytes)? == bytes.len() {
        Ok(())
    } else {
        Err("the network takes less at a time than the case sends".into())
    }
}
