//! What the driver makes of each Windows, by subject.

mod accept;
mod cancel;
mod close;
mod connect;
mod echo;
mod first_receive;
mod leaks;
mod receive;
mod recycling;
mod refill;
mod rules;
mod send;
mod storm;
mod timers;
