//! What cargo-fuzz tries with made-up input, and `cargo test` replays from the corpora (`fuzz/`). A target
//! is a function of bytes that panics if something is wrong.

mod frame_decode;
mod frame_model;
mod proxy_header;
mod send_queue;
mod send_total;
mod session_ops;
mod timers;

#[cfg(test)]
pub(crate) use self::frame_decode::{decode, encode};
pub use self::{
    frame_decode::frame_decode, proxy_header::proxy_header, send_queue::send_queue,
    send_total::send_total, session_ops::session_ops, timers::timers,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a target with every file of its corpus.
    fn replay(target: &str, run: fn(&[u8])) {
        let corpus = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for entry in std::fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            // What is printed is shown if the run panics.
            println!("{}", path.display());
            run(&std::fs::read(&path).unwrap());
            files += 1;
        }
        assert!(files > 0, "{corpus} is empty");
    }

    #[test]
    fn frames_decode_alike_in_pieces_and_whole() {
        replay("frame_decode", frame_decode);
    }

    #[test]
    fn headers_of_proxies_are_read_alike_in_pieces_and_whole() {
        replay("proxy_header", proxy_header);
    }

    #[test]
    fn send_queues_keep_order_bounds_and_whole_frames() {
        replay("send_queue", send_queue);
    }

    #[test]
    fn what_waits_on_all_workers_is_counted_and_its_ceiling_kept() {
        replay("send_total", send_total);
    }

    #[test]
    fn timers_fire_as_a_sorted_map_has_them() {
        replay("timers", timers);
    }

    #[test]
    fn sessions_keep_their_promises_whatever_is_done_to_them() {
        replay("session_ops", session_ops);
    }
}
