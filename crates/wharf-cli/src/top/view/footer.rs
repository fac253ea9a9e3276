//! The last line: what is typed, what came of it, or which keys there are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{COLUMNS_MIN, ROWS_MIN, Theme};
use crate::counted::Counted;
use crate::top::state::{Filter, Lost, Mode, State};
use crate::top::text;

const KEYS: &str = "? help  q quit  <> sort  / g filter  k kick  d drain";

pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let (line, style) = line(state, theme);
    let (end, _) = buffer.set_stringn(area.x, area.y, line, width, style);
    let rest = area.right().saturating_sub(end);
    let note = note(state);
    let columns = u16::try_from(note.chars().count()).unwrap_or(u16::MAX);
    // Which sessions these are stands on the right if there is room.
    if columns > 0 && columns + 2 <= rest {
        let start = area.right() - columns;
        buffer.set_stringn(start, area.y, note, usize::from(columns), theme.faint());
    }
}

fn line(state: &State, theme: &Theme) -> (String, Style) {
    if let Some(change) = &state.leaves_after {
        let change = text::shown(change, state.ascii);
        return (format!("waiting for {change}; q again leaves"), theme.title());
    }
    if let Mode::Filter(filter, typed) = &state.mode {
        let what = match filter {
            Filter::Peer => "peers that begin with",
            Filter::Group => "members of the group",
        };
        let typed = text::shown(typed, state.ascii);
        return (format!("{what}: {typed}_  (Enter, Esc)"), theme.title());
    }
    if let Some(lost) = &state.lost {
        return (lost_line(lost, state), theme.bad());
    }
    if let Some(said) = &state.said {
        return (text::shown(said, state.ascii), theme.title());
    }
    if state.is_paused {
        return ("PAUSED: nothing is asked; Space goes on".to_owned(), theme.bad());
    }
    if state.is_filtered() {
        return (format!("{}  (Esc takes that away)", filters(state)), theme.title());
    }
    (KEYS.to_owned(), Style::new())
}

fn lost_line(lost: &Lost, state: &State) -> String {
    let Lost { since, next, why } = lost;
    format!(
        "NO ANSWER for {}, next try in {}: {}",
        text::age(state.now.saturating_sub(*since).as_secs_f64()),
        text::age(next.saturating_sub(state.now).as_secs_f64()),
        text::shown(why, state.ascii)
    )
}

fn filters(state: &State) -> String {
    let shown = [("peer", &state.wanted.peer), ("group", &state.wanted.group)];
    let shown = shown.iter().filter(|(_, value)| !value.is_empty());
    let shown = shown.map(|(name, value)| format!("{name}={}", text::shown(value, state.ascii)));
    shown.collect::<Vec<_>>().join(" ")
}

/// Which sessions are shown.
fn note(state: &State) -> String {
    let Some(picture) = &state.picture else { return String::new() };
    let told = picture.rows.len() as u64;
    // How many a filter lets through is not told, so all that can be said is whether there may be more.
    if told >= state.wanted.limit && told < picture.sessions {
        format!("the {told} {}", state.wanted.column.told())
    } else if state.is_filtered() {
        Counted(told, "session").to_string()
    } else {
        "all sessions".to_owned()
    }
}

/// All that fits onto a terminal that is too small.
pub(super) fn too_small(theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let lines = [
        format!("{}x{} is too small", area.width, area.height),
        format!("make it {COLUMNS_MIN}x{ROWS_MIN}"),
        "q quits".to_owned(),
    ];
    for (row, line) in area.rows().zip(lines) {
        buffer.set_stringn(row.x, row.y, line, usize::from(row.width), theme.title());
    }
}
