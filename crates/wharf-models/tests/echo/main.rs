//! What every model has to do right before its figures mean anything. The same tests for all of them: `models!` makes
//! a module for each that this system has.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod behaviour;
#[path = "../support/mod.rs"]
mod support;

macro_rules! models {
    ($($model:ident),+ $(,)?) => {
        /// The names of the models that are tested, with underscores.
        const TESTED: &[&str] = &[$(stringify!($model)),+];

        $(mod $model {
            use crate::behaviour;

            const NAME: &str = stringify!($model);

            #[test]
            fn messages_in_pieces_come_back_in_order() {
                behaviour::messages_in_pieces_come_back_in_order(NAME);
            }

            #[test]
            fn messages_that_arrive_together_come_back_in_order() {
                behaviour::messages_that_arrive_together_come_back_in_order(NAME);
            }

            #[test]
            fn more_than_all_buffers_hold_comes_back() {
                behaviour::more_than_all_buffers_hold_comes_back(NAME);
            }

            #[test]
            fn who_does_not_read_is_not_read_from_and_delays_nobody() {
                behaviour::who_does_not_read_is_not_read_from_and_delays_nobody(NAME);
            }

            #[test]
            fn what_was_said_before_a_half_close_comes_back() {
                behaviour::what_was_said_before_a_half_close_comes_back(NAME);
            }

            #[test]
            fn resets_harm_nobody_else() {
                behaviour::resets_harm_nobody_else(NAME);
            }

            #[test]
            fn sixty_connections_talk_at_once() {
                behaviour::sixty_connections_talk_at_once(NAME);
            }
        })+
    };
}

#[cfg(target_os = "linux")]
models!(
    thread_per_connection,
    select,
    poll,
    epoll_level,
    epoll_edge,
    uring_one_shot,
    uring_multishot,
    wharf,
);
#[cfg(windows)]
models!(
    thread_per_connection,
    select,
    wsaasyncselect,
    wsaeventselect,
    overlapped_event,
    overlapped_apc,
    iocp,
    iocp_acceptex,
    wsapoll,
    wharf,
);
#[cfg(not(any(target_os = "linux", windows)))]
models!(thread_per_connection, wharf);

#[test]
fn every_model_is_tested() {
    let models = wharf_models::models();
    let names: Vec<String> = models.iter().map(|model| model.name.replace('-', "_")).collect();
    assert_eq!(names, TESTED);
}
