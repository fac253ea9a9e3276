//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::state::{Filter, Mode, State};

/// Rows of a page, for keys that move by one.
const PAGE: isize = 10;
/// How long a text may get that is typed.
const TEXT_CHARS_MAX: usize = 64;
/// What is typed for a drain.
pub(super) const DRAIN: &str = "drain";

/// What is to be done beyond what is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Action {
    None,
    /// To look again now, since something else is wanted.
    Look,
    /// To look no more, or again.
    Pause(bool),
    /// To change something of the server.
    Change(ServerChange),
    Quit,
}

/// What a server can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ServerChange {
    Kick { id: String, name: String },
    PauseAccepting,
    ResumeAccepting,
    Drain,
}

impl ServerChange {
    pub(super) fn path(&self) -> String {
        match self {
            Self::Kick { id, .. } => {
                // An id is a number; one that is none is not made into another path.
                let digits: String = id.chars().filter(char::is_ascii_digit).collect();
                format!("/api/v1/sessions/{digits}/kick")
            }
            Self::PauseAccepting => "/api/v1/accepting/pause".to_owned(),
            Self::ResumeAccepting => "/api/v1/accepting/resume".to_owned(),
            Self::Drain => "/api/v1/drain".to_owned(),
        }
    }

    /// What was asked for.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Kick { name, .. } => format!("kick {name}"),
            Self::PauseAccepting => "pause accepting".to_owned(),
            Self::ResumeAccepting => "resume accepting".to_owned(),
            Self::Drain => "drain".to_owned(),
        }
    }
}

/// Takes a key.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Action {
    // Windows tells of keys that are let go, too.
    if key.kind == KeyEventKind::Release {
        return Action::None;
    }
    // With Alt it is how Windows tells of the third level of a keyboard, where brackets and the like are.
    let is_control =
        key.modifiers.contains(KeyModifiers::CONTROL) && !key.modifiers.contains(KeyModifiers::ALT);
    if is_control {
        return if key.code == KeyCode::Char('c') { Action::Quit } else { Action::None };
    }
    if state.is_too_small {
        // What is asked would not be seen, nor what is typed.
        return if key.code == KeyCode::Char('q') { Action::Quit } else { Action::None };
    }
    state.said = None;
    match std::mem::take(&mut state.mode) {
        Mode::Table => in_table(state, key.code),
        // Any key leaves the help.
        Mode::Help => Action::None,
        Mode::Filter(filter, text) => in_filter(state, key.code, filter, text),
        Mode::Kick { id, name, .. } => match key.code {
            KeyCode::Char('y' | 'Y') => Action::Change(ServerChange::Kick { id, name }),
            _ => said(state, "not kicked"),
        },
        Mode::Accepting(is_accepting) => match key.code {
            KeyCode::Char('y' | 'Y') if is_accepting => {
                Action::Change(ServerChange::PauseAccepting)
            }
            KeyCode::Char('y' | 'Y') => Action::Change(ServerChange::ResumeAccepting),
            _ => said(state, if is_accepting { "not paused" } else { "not resumed" }),
        },
        Mode::Drain(text) => in_drain(state, key.code, text),
    }
}

fn in_table(state: &mut State, code: KeyCode) -> Action {
    match code {
        KeyCode::Char('q') => return Action::Quit,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => state.mode = Mode::Help,
        KeyCode::Down => state.move_by(1),
        KeyCode::Up => state.move_by(-1),
        KeyCode::PageDown => state.move_by(PAGE),
        KeyCode::PageUp => state.move_by(-PAGE),
        KeyCode::Home => state.move_by(isize::MIN + 1),
        KeyCode::End => {
            state.move_by(0);
            state.move_by(isize::MAX);
        }
        KeyCode::Left | KeyCode::Char('<') => return sort(state, state.wanted.column.left()),
        KeyCode::Right | KeyCode::Char('>') => return sort(state, state.wanted.column.right()),
        KeyCode::Char('r') => state.reverse(),
        KeyCode::Char('/') => {
            state.mode = Mode::Filter(Filter::Peer, state.wanted.peer.clone());
        }
        KeyCode::Char('g') => {
            state.mode = Mode::Filter(Filter::Group, state.wanted.group.clone());
        }
        KeyCode::Esc => return leave(state),
        KeyCode::Char(' ') => {
            state.is_paused = !state.is_paused;
            return Action::Pause(state.is_paused);
        }
        KeyCode::Char('k') | KeyCode::Delete => return kick(state),
        KeyCode::Char('p') => {
            if let Some(picture) = &state.picture {
                state.mode = Mode::Accepting(picture.accepting);
            }
        }
        KeyCode::Char('d') => state.mode = Mode::Drain(String::new()),
        _ => {}
    }
    Action::None
}

fn sort(state: &mut State, column: super::columns::Column) -> Action {
    state.sort_by(column);
    Action::Look
}

/// Takes back what was chosen: first the session, then the filters.
fn leave(state: &mut State) -> Action {
    if state.selected.take().is_some() {
        return Action::None;
    }
    let is_filtered = state.is_filtered();
    state.wanted.peer.clear();
    state.wanted.group.clear();
    if is_filtered { Action::Look } else { Action::None }
}

fn kick(state: &mut State) -> Action {
    let rows = state.picture.iter().flat_map(|picture| &picture.rows);
    let chosen = state.selected.as_ref().and_then(|id| rows.clone().find(|row| row.id == *id));
    let Some(row) = chosen else { return said(state, "choose a session first: Up, Down") };
    let (id, name, peer) = (row.id.clone(), row.name.clone(), row.peer.clone());
    state.mode = Mode::Kick { id, name, peer };
    Action::None
}

fn in_filter(state: &mut State, code: KeyCode, filter: Filter, mut text: String) -> Action {
    match code {
        KeyCode::Enter => {
            let wanted = match filter {
                Filter::Peer => &mut state.wanted.peer,
                Filter::Group => &mut state.wanted.group,
            };
            *wanted = text;
            state.selected = None;
            return Action::Look;
        }
        KeyCode::Esc => return Action::None,
        code => edit(&mut text, code),
    }
    state.mode = Mode::Filter(filter, text);
    Action::None
}

fn in_drain(state: &mut State, code: KeyCode, mut text: String) -> Action {
    match code {
        KeyCode::Enter if text == DRAIN => return Action::Change(ServerChange::Drain),
        KeyCode::Enter | KeyCode::Esc => return said(state, "not drained"),
        code => edit(&mut text, code),
    }
    state.mode = Mode::Drain(text);
    Action::None
}

fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Char(char) if !char.is_control() && text.chars().count() < TEXT_CHARS_MAX => {
            text.push(char);
        }
        KeyCode::Backspace => drop(text.pop()),
        _ => {}
    }
}

fn said(state: &mut State, line: &str) -> Action {
    state.said = Some(line.to_owned());
    Action::None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// On many keyboards brackets are there, and Windows says so with these two.
    #[test]
    fn the_third_level_of_a_keyboard_is_typed_and_control_is_not() {
        let mut state = State::new(String::new(), Duration::from_secs(1), 1, false);
        state.mode = Mode::Filter(Filter::Peer, String::new());
        let third = KeyModifiers::CONTROL | KeyModifiers::ALT;
        for (char, modifiers) in [('[', third), ('x', KeyModifiers::CONTROL), (']', third)] {
            let action = press(&mut state, KeyEvent::new(KeyCode::Char(char), modifiers));
            assert_eq!(action, Action::None);
        }
        assert_eq!(state.mode, Mode::Filter(Filter::Peer, "[]".to_owned()));
        let c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(press(&mut state, c), Action::Quit);
    }
}
