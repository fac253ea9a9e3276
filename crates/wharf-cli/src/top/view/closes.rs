//! Why sessions have ended, in a line: as many reasons as fit, the most frequent first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Theme;
use crate::top::picture::{CloseRow, Picture};
use crate::top::text;

pub(super) fn draw(picture: &Picture, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut line = "closed:".to_owned();
    if picture.closes.is_empty() {
        line.push_str(" none yet");
    }
    let rest = |left: usize| format!("  and {left} more reasons");
    for (place, row) in picture.closes.iter().enumerate() {
        let left = picture.closes.len() - place;
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
    buffer.set_stringn(area.x, area.y, "closed:", width, theme.title());
}

fn reason(row: &CloseRow) -> String {
    let rate = match row.rate {
        Some(rate) if rate > 0.0 => format!(" (+{}/s)", text::number(rate)),
        _ => String::new(),
    };
    format!("  {} {}{rate}", text::shown(&row.reason, true), text::count(row.count))
}
