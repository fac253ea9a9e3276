//! The first lines: which server, and how it is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Theme;
use crate::counted::Counted;
use crate::top::picture::Picture;
use crate::top::state::State;
use crate::top::text;

pub(super) fn draw(
    state: &State,
    picture: &Picture,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let shown = |it: &str| text::shown(it, state.ascii);
    let first = Line::from(vec![
        Span::styled("wharf top ", theme.title()),
        Span::raw(format!("{}  ", shown(&state.admin))),
        accepting(picture, theme),
        Span::raw("  "),
        sessions(picture, theme),
        Span::raw(format!(
            "  {}  {}",
            Counted(picture.groups, "group"),
            Counted(picture.rooms, "room")
        )),
    ]);
    let addresses: Vec<String> = picture.addresses.iter().map(|it| shown(it)).collect();
    let most = picture.sessions_max.map(|most| format!("sessions-max {}  ", text::count(most)));
    let most = most.unwrap_or_default();
    let second = format!(
        "wharf {}  {}  up {}  {most}on {}",
        shown(&picture.version),
        shown(&picture.backend),
        text::age(picture.uptime_seconds),
        addresses.join(" ")
    );
    buffer.set_line(area.x, area.y, &first, area.width);
    if area.height > 1 {
        buffer.set_line(area.x, area.y + 1, &Line::styled(second, theme.faint()), area.width);
    }
}

/// As many as there may be are bad: who comes then is reset.
fn sessions(picture: &Picture, theme: &Theme) -> Span<'static> {
    let is_full = picture.sessions_max.is_some_and(|most| picture.sessions >= most);
    let style = if is_full { theme.bad() } else { Style::new() };
    Span::styled(Counted(picture.sessions, "session").to_string(), style)
}

fn accepting(picture: &Picture, theme: &Theme) -> Span<'static> {
    if picture.draining {
        Span::styled("DRAINING", theme.bad())
    } else if picture.accepting {
        Span::styled("accepting", theme.good())
    } else {
        Span::styled("NOT ACCEPTING", theme.bad())
    }
}
