//! Why sessions have ended, and why connections were refused, in a line each: as many reasons as fit, the most frequent
//! first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Theme;
use crate::top::picture::{Picture, ReasonRow};
use crate::top::text;

pub(super) fn draw(picture: &Picture, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let lines = [("closed:", &picture.closes), ("refused:", &picture.refused)];
    for (row, (title, reasons)) in area.rows().zip(lines) {
        draw_line(title, reasons, theme, row, buffer);
    }
}

fn draw_line(title: &str, rows: &[ReasonRow], theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut line = title.to_owned();
    if rows.is_empty() {
        line.push_str(" none yet");
    }
    let rest = |left: usize| format!("  and {left} more reasons");
    for (place, row) in rows.iter().enumerate() {
        let left = rows.len() - place;
        let part = reason(row);
        // What is left out after this one has to be said too.
        let needed = if left > 1 { rest(left).len() } else { 0 };
        if line.len() + part.len() + needed > width {
            line.push_str(&rest(left));
            break;
        }
        line.push_str(&part);
    }
    buffer.set_stringn(area.x, area.y, line, width, Style::new());
    buffer.set_stringn(area.x, area.y, title, width, theme.title());
}

fn reason(row: &ReasonRow) -> String {
    let rate = match row.rate {
        Some(rate) if rate > 0.0 => format!(" (+{}/s)", text::number(rate)),
        _ => String::new(),
    };
    format!("  {} {}{rate}", text::shown(&row.reason, true), text::count(row.count))
}
