//! One client of the crowd, through all of its connections.

use wharf_port::SocketId;

use super::honest::Honest;
use super::hostile::Hostile;

/// What a client is.
#[derive(Debug)]
pub(super) enum Role {
    Honest(Honest),
    Hostile(Hostile),
}

/// How far its connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It has none.
    Away,
    Connecting,
    Connected,
    /// It is being closed.
    Closing,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) role: Role,
    pub(super) state: State,
    /// Its connection, unless it is away.
    pub(super) socket: Option<SocketId>,
    /// A send is on its way.
    pub(super) sending: bool,
    /// What it has done with this connection.
    pub(super) acts: u32,
}

impl Member {
    /// One in twenty is hostile, and every kind comes.
    pub(super) fn new(number: usize) -> Self {
        let role = match number % 20 {
            0 => Role::Hostile(Hostile::ALL[number / 20 % Hostile::ALL.len()]),
            _ => Role::Honest(Honest::default()),
        };
        Self { role, state: State::Away, socket: None, sending: false, acts: 0 }
    }

    pub(super) const fn is_honest(&self) -> bool {
        matches!(self.role, Role::Honest(_))
    }

    /// Its connection is gone.
    pub(super) fn forget_connection(&mut self) {
        if let Role::Honest(honest) = &mut self.role {
            *honest = Honest::default();
        }
        (self.state, self.socket, self.sending, self.acts) = (State::Away, None, false, 0);
    }
}
