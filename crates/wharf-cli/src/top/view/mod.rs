//! The picture, drawn: nothing here asks anybody or changes anything but the cells of a buffer.

mod dialog;
mod footer;
mod header;
mod help;
mod reasons;
mod sessions;
mod table;
mod theme;
mod throughput;
mod workers;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::state::{Mode, State};
pub(super) use theme::Theme;

/// The least that there is a picture for.
const COLUMNS_MIN: u16 = 80;
const ROWS_MIN: u16 = 24;
/// The most rows that a plain picture gives to sessions.
const PLAIN_SESSIONS_MAX: usize = 20;
/// Rows that are neither of workers nor of sessions: those of `Parts` and the titles of both tables.
const FIXED_ROWS: usize = 11;

/// Where everything stands.
struct Parts {
    header: Rect,
    throughput: Rect,
    reasons: Rect,
    workers: Rect,
    sessions: Rect,
    footer: Rect,
}

impl Parts {
    fn of(state: &State, area: Rect) -> Self {
        let workers = state.picture.as_ref().map_or(0, |picture| picture.workers.len());
        // Those that do not fit are said to be left out; a third of the screen is theirs at most.
        let most = usize::from(area.height / 3).max(3);
        let workers = u16::try_from(workers.min(most)).unwrap_or(u16::MAX);
        let rows = [
            Constraint::Length(2),
            Constraint::Length(4),
            Constraint::Length(2),
            Constraint::Length(workers.saturating_add(1)),
            Constraint::Min(3),
            Constraint::Length(1),
        ];
        let [header, throughput, reasons, workers, sessions, footer] =
            Layout::vertical(rows).areas(area);
        Self { header, throughput, reasons, workers, sessions, footer }
    }
}

/// How many rows of sessions there is room for.
pub(super) fn session_rows(state: &State, area: Rect) -> usize {
    usize::from(Parts::of(state, area).sessions.height.saturating_sub(1))
}

/// Whether there is no picture for such a terminal.
pub(super) const fn is_too_small(area: Rect) -> bool {
    area.width < COLUMNS_MIN || area.height < ROWS_MIN
}

/// Draws all of it.
pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if is_too_small(area) {
        return footer::too_small(theme, area, buffer);
    }
    let parts = Parts::of(state, area);
    if let Some(picture) = &state.picture {
        header::draw(state, picture, theme, parts.header, buffer);
        throughput::draw(state, picture, theme, parts.throughput, buffer);
        reasons::draw(picture, theme, parts.reasons, buffer);
        workers::draw(picture, theme, parts.workers, buffer);
        sessions::draw(state, picture, theme, parts.sessions, buffer);
    }
    footer::draw(state, theme, parts.footer, buffer);
    match &state.mode {
        Mode::Help => help::draw(theme, area, buffer),
        Mode::Kick { name, peer, .. } => {
            dialog::kick(name, peer, state.ascii, theme, area, buffer);
        }
        Mode::Accepting(is_accepting) => dialog::accepting(*is_accepting, theme, area, buffer),
        Mode::Drain(typed) => dialog::drain(typed, theme, area, buffer),
        Mode::Table | Mode::Filter(..) => {}
    }
}

/// The same as lines of text, without styles: so many columns wide, and as long as it takes.
pub(super) fn plain(state: &State, columns: u16) -> String {
    let (workers, sessions) = state
        .picture
        .as_ref()
        .map_or((0, 0), |picture| (picture.workers.len(), picture.rows.len()));
    // As high as shows all workers, which have a third.
    let rows = (FIXED_ROWS + workers + sessions.min(PLAIN_SESSIONS_MAX)).max(workers * 3);
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).max(ROWS_MIN);
    let area = Rect::new(0, 0, columns, rows);
    let mut buffer = Buffer::empty(area);
    draw(state, &Theme::new(true), area, &mut buffer);
    let lines = (0..rows).map(|row| {
        let cells = (0..columns).filter_map(|column| buffer.cell((column, row)));
        let line: String = cells.map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    let mut lines: Vec<String> = lines.collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}
