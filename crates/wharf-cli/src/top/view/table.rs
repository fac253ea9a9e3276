//! Cells in columns.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// On which side of its column a text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Left,
    Right,
}

/// A column: how wide it is, and on which side its texts stand.
pub(super) type Shape = (u16, Side);

/// Draws a row, its cells one column apart. What is too long is cut, and ends in a tilde.
pub(super) fn draw_row(
    cells: &[(String, Style)],
    shapes: &[Shape],
    row: Rect,
    style: Style,
    buffer: &mut Buffer,
) {
    buffer.set_style(row, style);
    let mut x = row.x;
    for ((cell, style), (width, side)) in cells.iter().zip(shapes) {
        let width = (*width).min(row.right().saturating_sub(x));
        if width == 0 {
            return;
        }
        let line = ratatui::text::Line::raw(&**cell);
        let is_cut = line.width() > usize::from(width);
        let taken = u16::try_from(line.width()).unwrap_or(width).min(width);
        let start = if *side == Side::Right { x + width - taken } else { x };
        let room = usize::from(if is_cut { width - 1 } else { width });
        let (end, _) = buffer.set_stringn(start, row.y, cell, room, *style);
        if is_cut {
            buffer.set_stringn(end, row.y, "~", 1, *style);
        }
        x = x.saturating_add(width).saturating_add(1);
    }
}
