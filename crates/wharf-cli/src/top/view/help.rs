//! The keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Theme, dialog};

const LINES: [&str; 20] = [
    "Left Right < >   sort the sessions by another column",
    "r                turn the order round",
    "/                only peers whose address begins with a text",
    "g                only members of a group",
    "Up Down PgUp PgDn Home End    choose a session",
    "Esc              choose none; then, no filters",
    "k Delete         close the chosen session; asks first",
    "p                pause or resume accepting; asks first",
    "d                drain the server; asks for a word first",
    "Space            look no more, or go on",
    "q Ctrl-C         quit",
    "",
    "turn: the callbacks of one turn of a worker, one turn in 17.",
    "timer lag: how late timers fire, which is what sessions wait.",
    "load: the share of time that a worker spends in turns, estimated.",
    "Times are known by bucket: <=64us is at most that, over half of it.",
    "BACKLOG: who waits to be accepted, of how many may, where the system tells.",
    "S: h is held back, nothing is received from it for now; c is being closed.",
    "Rates of sessions are of the last second or two, as the server counts them.",
    "Any key leaves this.",
];

pub(super) fn draw(theme: &Theme, area: Rect, buffer: &mut Buffer) {
    dialog::draw(&LINES.map(str::to_owned), theme, area, buffer);
}
