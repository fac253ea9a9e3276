//! The first lines: which server, and how it is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
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
        Span::raw(format!(
            "  {}  {}  {}",
            Counted(picture.sessions, "session"),
            Counted(picture.groups, "group"),
            Counted(picture.rooms, "room")
        )),
    ]);
    let addresses: Vec<String> = picture.addresses.iter().map(|it| shown(it)).collect();
    let second = format!(
        "wharf {}  {}  up {}  on {}",
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

fn accepting(picture: &Picture, theme: &Theme) -> Span<'static> {
    if picture.draining {
        Span::styled("DRAINING", theme.bad())
    } else if picture.accepting {
        Span::styled("accepting", theme.good())
    } else {
        Span::styled("NOT ACCEPTING", theme.bad())
    }
}
