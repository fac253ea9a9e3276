//! The table of sessions.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::Theme;
use super::table::{Shape, Side, draw_row};
use crate::top::columns::Column;
use crate::top::picture::{Picture, SessionRow};
use crate::top::state::State;
use crate::top::text;

/// The columns between the peer and the groups.
const NUMBERS: [Shape; 9] = [
    (3, Side::Right),
    (6, Side::Right),
    (6, Side::Right),
    (6, Side::Right),
    (6, Side::Right),
    (6, Side::Right),
    (6, Side::Right),
    (6, Side::Right),
    (1, Side::Left),
];
/// What they take, each with what keeps it apart, as the peer is from them.
const NUMBERS_COLUMNS: u16 = 3 + 7 * 6 + 1 + 10;
/// The longest address of IPv6 and its port, with nothing shortened.
const PEER_COLUMNS_MAX: u16 = 47;
/// What is left for the groups, which is as much as leaves the longest address of IPv4 whole on 80 columns.
const GROUP_COLUMNS_MIN: u16 = 3;

pub(super) fn draw(
    state: &State,
    picture: &Picture,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let columns = |row: &SessionRow| Line::raw(text::shown(&row.peer, state.ascii)).width();
    let longest = picture.rows.iter().map(columns).max().unwrap_or(0);
    let shapes = shapes(area.width, longest);
    let mut row = Rect { height: 1, ..area };
    let titles: Vec<(String, Style)> = Column::ALL
        .iter()
        .zip(shapes)
        .map(|(column, (width, _))| title(state, theme, *column, width))
        .collect();
    draw_row(&titles, &shapes, row, Style::new(), buffer);
    let shown = picture.rows.iter().skip(state.first).take(usize::from(area.height - 1));
    for session in shown {
        row.y += 1;
        let is_chosen = state.selected.as_ref() == Some(&session.id);
        let style = if is_chosen { theme.chosen() } else { Style::new() };
        draw_row(&cells(session, state.ascii, theme), &shapes, row, style, buffer);
    }
    if picture.rows.is_empty() && area.height > 1 {
        let line = if state.is_filtered() {
            "no session is like that; Esc takes the filters away"
        } else {
            "no sessions"
        };
        buffer.set_stringn(area.x, area.y + 1, line, usize::from(area.width), theme.faint());
    }
}

/// What is left of the width is for the peers, as far as they need it, and for the groups.
fn shapes(width: u16, longest_peer: usize) -> [Shape; 11] {
    let rest = width.saturating_sub(NUMBERS_COLUMNS);
    let wanted = u16::try_from(longest_peer).unwrap_or(PEER_COLUMNS_MAX).clamp(4, PEER_COLUMNS_MAX);
    let peer = wanted.min(rest.saturating_sub(GROUP_COLUMNS_MIN));
    let [worker, age, silent, queue, received_rate, sent_rate, received, sent, mark] = NUMBERS;
    [
        (peer, Side::Left),
        worker,
        age,
        silent,
        queue,
        received_rate,
        sent_rate,
        received,
        sent,
        mark,
        (rest.saturating_sub(peer), Side::Left),
    ]
}

/// The column of the order stands out, with a mark for its direction.
fn title(state: &State, theme: &Theme, column: Column, width: u16) -> (String, Style) {
    if column != state.wanted.column {
        return (column.title().to_owned(), theme.head());
    }
    let mark = if state.is_reversed { '^' } else { 'v' };
    let name = column.title();
    let name = name.get(..usize::from(width.saturating_sub(1))).unwrap_or(name);
    (format!("{name}{mark}"), theme.head().patch(theme.chosen()))
}

fn cells(row: &SessionRow, ascii: bool, theme: &Theme) -> [(String, Style); 11] {
    let bytes = |bytes: u64| text::bytes(bytes as f64);
    let plain = |text: String| (text, Style::new());
    let (mark, style) = match (row.closing, row.held_back) {
        (true, _) => ("c", theme.warn()),
        (false, true) => ("h", theme.warn()),
        (false, false) => ("", Style::new()),
    };
    [
        plain(text::shown(&row.peer, ascii)),
        plain(row.worker.to_string()),
        plain(text::age(row.age_seconds)),
        plain(text::age(row.silent_seconds)),
        plain(bytes(row.queued_bytes)),
        plain(bytes(row.received_rate)),
        plain(bytes(row.sent_rate)),
        plain(bytes(row.received_bytes)),
        plain(bytes(row.sent_bytes)),
        (mark.to_owned(), style),
        plain(text::list(&row.groups, ascii)),
    ]
}
