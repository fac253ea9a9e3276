//! What the driver makes of each Windows, by subject.

mod accept;
mod cancel;
mod close;
mod connect;
mod echo;
mod receive;
mod recycling;
mod send;
