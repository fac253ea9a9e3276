//! The table of workers.

use std::cmp::Reverse;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Theme;
use super::table::{Shape, Side, draw_row};
use crate::top::answers::Backlog;
use crate::top::picture::{Picture, Throughput, WorkerRow};
use crate::top::text;

const COLUMNS: [(&str, Shape); 10] = [
    ("WORKER", (6, Side::Right)),
    ("SESSIONS", (8, Side::Right)),
    ("FRAMES/S", (8, Side::Right)),
    ("IN/S", (6, Side::Right)),
    ("OUT/S", (6, Side::Right)),
    ("LOAD", (4, Side::Right)),
    ("LAG P99", (8, Side::Right)),
    ("QUEUED", (6, Side::Right)),
    ("BACKLOG", (9, Side::Right)),
    ("STATE", (10, Side::Left)),
];

/// From which part of a maximum on it is near: so many of so many.
const NEAR: (u64, u64) = (3, 4);

pub(super) fn draw(picture: &Picture, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let shapes = COLUMNS.map(|(_, shape)| shape);
    let room = usize::from(area.height.saturating_sub(1));
    let rows = chosen(&picture.workers, room);
    let mut titles = COLUMNS.map(|(title, _)| (title.to_owned(), theme.head()));
    if rows.len() < picture.workers.len() {
        let left = picture.workers.len() - rows.len();
        titles[9].0 = format!("+{left} more");
    }
    let mut row = Rect { height: 1, ..area };
    draw_row(&titles, &shapes, row, Style::new(), buffer);
    for worker in rows {
        row.y += 1;
        draw_row(&cells(worker, theme), &shapes, row, Style::new(), buffer);
    }
}

/// All of them, or those that somebody should look at: who does not answer, then the busiest; by number.
fn chosen(workers: &[WorkerRow], room: usize) -> Vec<&WorkerRow> {
    let mut rows: Vec<&WorkerRow> = workers.iter().collect();
    if rows.len() > room {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 1000"
        )]
        let load = |row: &WorkerRow| (row.load.unwrap_or(0.0) * 1000.0) as u16;
        rows.sort_by_key(|row| (row.answers || row.ended, Reverse(load(row)), row.worker));
        rows.truncate(room);
        rows.sort_by_key(|row| row.worker);
    }
    rows
}

fn cells(row: &WorkerRow, theme: &Theme) -> [(String, Style); 10] {
    let dash = || "-".to_owned();
    let rate = |of: fn(&Throughput) -> f64, shown: fn(f64) -> String| {
        row.throughput.as_ref().map_or_else(dash, |it| shown(of(it)))
    };
    let plain = |text: String| (text, Style::new());
    [
        plain(row.worker.to_string()),
        plain(text::count(row.sessions)),
        plain(rate(|it| it.frames_in, text::number)),
        plain(rate(|it| it.bytes_in, text::bytes)),
        plain(rate(|it| it.bytes_out, text::bytes)),
        plain(row.load.map_or_else(dash, |load| format!("{:.0}%", load * 100.0))),
        plain(row.timer_lag.map_or_else(dash, |lag| text::up_to(lag.p99))),
        plain(row.queued_bytes.map_or_else(dash, |bytes| text::bytes(bytes as f64))),
        row.accept_backlog.map_or_else(|| plain(dash()), |it| backlog(it, theme)),
        match (row.ended, row.answers) {
            (true, _) => plain("has ended".to_owned()),
            (false, true) => ("answers".to_owned(), theme.good()),
            (false, false) => ("NO ANSWER".to_owned(), theme.bad()),
        },
    ]
}

/// Who waits, of how many may; full is bad, since who connects then is not heard.
fn backlog(Backlog { waiting, max }: Backlog, theme: &Theme) -> (String, Style) {
    let style = if waiting >= max {
        theme.bad()
    } else if waiting.saturating_mul(NEAR.1) >= max.saturating_mul(NEAR.0) {
        theme.warn()
    } else {
        Style::new()
    };
    (format!("{waiting}/{max}"), style)
}
