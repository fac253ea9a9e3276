//! The program's own services on simulated networks.

use wharf::{Limits, Server};
use wharf_capture::{
    Recording, ReplayError, ReplayOptions, Report, hidden_network, replay_in_simulator,
};

use super::Service;
use crate::serve::{Echo, Member};

/// Where the server listens.
const SERVER: &str = "10.0.0.1:7777";
/// What may wait to be sent to a session: no reader of a replay is slow.
const SEND_BYTES_MAX: usize = 256 << 20;

/// Replays a capture on the network of a seed.
pub(super) fn run(
    recording: &Recording,
    service: Service,
    seed: u64,
    options: &ReplayOptions,
) -> Result<Report, ReplayError> {
    let framing = match &options.framing {
        Some(framing) => framing.clone(),
        None => recording
            .framing
            .parse()
            .map_err(|error| ReplayError::Framing(recording.framing.clone(), error))?,
    };
    // Sessions that a deadline has ended are ended where the capture says so.
    let limits = Limits {
        frame_bytes_max: recording.frame_bytes_max,
        first_frame: None,
        frame_deadline: None,
        idle: None,
        send_bytes_max: SEND_BYTES_MAX,
        send_deadline: None,
        per_address_max: None,
        ..Limits::default()
    };
    let server = Server::bind(SERVER).framing(framing).workers(1).limits(limits);
    let network = hidden_network(seed);
    match service {
        Service::Echo => replay_in_simulator(recording, server, |_| Echo, network, options),
        Service::Chat => replay_in_simulator(recording, server, Member::new, network, options),
    }
}
