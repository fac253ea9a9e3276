//! Throughput as lines of bars, one for each look, the newest on the right; and how long callbacks took.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Sparkline, Widget};

use super::Theme;
use crate::top::picture::{Picture, Throughput};
use crate::top::spread::{Spread, UpTo};
use crate::top::state::{Past, State};
use crate::top::text;

/// Columns of the name and the number before the bars.
const LABEL_COLUMNS: u16 = 24;

/// A name, how much it is now, and how much it was.
type Series = (&'static str, String, fn(&Past) -> u64);

pub(super) fn draw(
    state: &State,
    picture: &Picture,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let now = |of: fn(&Throughput) -> f64| picture.throughput.as_ref().map(of);
    let dash = || "-".to_owned();
    let frames = now(|it| it.frames_in).map_or_else(dash, text::number);
    let bytes_in = now(|it| it.bytes_in).map_or_else(dash, text::bytes);
    let bytes_out = now(|it| it.bytes_out).map_or_else(dash, text::bytes);
    let series: [Series; 3] = [
        ("frames in/s", frames, |past| past.frames_in),
        ("bytes in/s", bytes_in, |past| past.bytes_in),
        ("bytes out/s", bytes_out, |past| past.bytes_out),
    ];
    let mut row = Rect { height: 1, ..area };
    for (name, value, of) in series {
        let label = format!("{name:<12}{value:>10}");
        buffer.set_stringn(row.x, row.y, label, usize::from(LABEL_COLUMNS), theme.title());
        let bars = Rect { x: row.x + LABEL_COLUMNS, width: row.width - LABEL_COLUMNS, ..row };
        let newest = state.history.len().saturating_sub(usize::from(bars.width));
        let data: Vec<u64> = state.history.iter().skip(newest).map(of).collect();
        // They grow from the right, where now is.
        let width = u16::try_from(data.len()).unwrap_or(bars.width).min(bars.width);
        let bars = Rect { x: bars.right() - width, width, ..bars };
        Sparkline::default()
            .data(data)
            .bar_set(theme.bars.clone())
            .style(theme.graph())
            .render(bars, buffer);
        row.y += 1;
    }
    let line = Line::raw(latency(picture));
    buffer.set_line(row.x, row.y, &line, row.width);
}

/// Turns hold the callbacks; what else of a turn there is is wharf's.
fn latency(picture: &Picture) -> String {
    let part = |spread: &Option<Spread>, of: fn(&Spread) -> UpTo| {
        spread.as_ref().map_or_else(|| "-".to_owned(), |spread| text::up_to(of(spread)))
    };
    format!(
        "callbacks: turn p50 {}  p99 {}   timer lag p50 {}  p99 {}",
        part(&picture.turn, |it| it.p50),
        part(&picture.turn, |it| it.p99),
        part(&picture.timer_lag, |it| it.p50),
        part(&picture.timer_lag, |it| it.p99),
    )
}
