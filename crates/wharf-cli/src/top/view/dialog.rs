//! Questions before something of the server is changed.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use super::Theme;
use crate::top::keys::DRAIN;
use crate::top::text;

pub(super) fn kick(
    name: &str,
    peer: &str,
    ascii: bool,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let (name, peer) = (text::shown(name, ascii), text::shown(peer, ascii));
    let lines = [
        "Close this session? What is queued is sent first.".to_owned(),
        format!("{name}  {peer}"),
        "y closes it, any other key does not".to_owned(),
    ];
    draw(&lines, theme, area, buffer);
}

pub(super) fn accepting(is_accepting: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let question = if is_accepting {
        "Pause accepting? Who connects waits in the system's queue; sessions go on."
    } else {
        "Resume accepting? Those who have waited come first."
    };
    let lines = [question, "y does so, any other key does not"].map(str::to_owned);
    draw(&lines, theme, area, buffer);
}

pub(super) fn drain(typed: &str, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let lines = [
        "Drain the server? It accepts nobody any more, ends all sessions, and ends.".to_owned(),
        format!("Type {DRAIN} and press Enter; Esc does nothing"),
        format!("> {}_", text::shown(typed, true)),
    ];
    draw(&lines, theme, area, buffer);
}

/// Lines in the middle, on nothing.
pub(super) fn draw(lines: &[String], theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let longest = lines.iter().map(|line| Line::raw(&**line).width()).max().unwrap_or(0);
    let width = u16::try_from(longest + 4).unwrap_or(u16::MAX);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let [middle] = Layout::horizontal([Constraint::Max(width)]).flex(Flex::Center).areas(area);
    let [middle] = Layout::vertical([Constraint::Max(height)]).flex(Flex::Center).areas(middle);
    Clear.render(middle, buffer);
    buffer.set_style(middle, theme.chosen());
    for (row, line) in middle.rows().skip(1).zip(lines) {
        let room = usize::from(row.width.saturating_sub(4));
        buffer.set_stringn(row.x + 2, row.y, line, room, Style::new());
    }
}
