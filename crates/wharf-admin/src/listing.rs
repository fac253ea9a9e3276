//! Which sessions are asked for.

use wharf::{SessionFilter, SessionId, SessionReport, SessionsWanted};

use crate::route::session_id;

/// Sessions that are told if nobody says how many.
const LIMIT: usize = 100;
/// Sessions that can be told at a time: as many as one worker tells of.
const LIMIT_MAX: usize = 1000;

/// The sessions that a query asks for: `order=id&limit=100&after=ID&peer=TEXT&group=NAME`, in any order, each once
/// at most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listing {
    order: Order,
    limit: usize,
    after: Option<SessionId>,
    filter: SessionFilter,
}

/// Which come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Id,
    Queue,
    Age,
    Silence,
    Received,
    Sent,
    ReceivedRate,
    SentRate,
}

impl Listing {
    /// Reads a query; what is wrong with it is a line for people.
    pub(crate) fn read(query: &str) -> Result<Self, &'static str> {
        let (mut order, mut limit, mut after) = (None, None, None);
        let mut filter = SessionFilter::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let is_first = match &*key {
                "order" => order.replace(Order::read(&value)?).is_none(),
                "limit" => limit.replace(limit_of(&value)?).is_none(),
                "after" => {
                    let id = session_id(&value).ok_or("after is the id of a session")?;
                    after.replace(id).is_none()
                }
                "peer" => filter.peer_prefix.replace(value.into_owned()).is_none(),
                "group" => filter.group.replace(value.into_owned()).is_none(),
                _ => return Err("a query has order, limit, after, peer and group"),
            };
            if !is_first {
                return Err("order, limit, after, peer and group are given once at most");
            }
        }
        let order = order.unwrap_or(Order::Id);
        if after.is_some() && order != Order::Id {
            return Err("after is for order=id: by anything else the next page may be another");
        }
        Ok(Self { order, limit: limit.unwrap_or(LIMIT), after, filter })
    }

    /// What each worker is asked. All that is asked for may be on one of them.
    pub(crate) const fn wanted(&self) -> SessionsWanted {
        match self.order {
            Order::Id => SessionsWanted::After(self.after, self.limit),
            Order::Queue => SessionsWanted::FullestQueues(self.limit),
            Order::Age => SessionsWanted::Oldest(self.limit),
            Order::Silence => SessionsWanted::LongestSilent(self.limit),
            Order::Received => SessionsWanted::MostReceived(self.limit),
            Order::Sent => SessionsWanted::MostSent(self.limit),
            Order::ReceivedRate => SessionsWanted::FastestReceived(self.limit),
            Order::SentRate => SessionsWanted::FastestSent(self.limit),
        }
    }

    /// Which of those it is told of.
    pub(crate) const fn filter(&self) -> &SessionFilter {
        &self.filter
    }

    /// Puts what all workers have told into the order that was asked for, and keeps as many as were.
    pub(crate) fn choose<T>(&self, sessions: &mut Vec<T>, session: impl Fn(&T) -> &SessionReport) {
        sessions.sort_unstable_by_key(|it| (self.order.key(session(it)), session(it).id));
        sessions.truncate(self.limit);
    }

    /// Whether there may be more behind so many.
    pub(crate) fn may_have_more(&self, told: usize) -> bool {
        self.order == Order::Id && told == self.limit
    }
}

impl Order {
    fn read(name: &str) -> Result<Self, &'static str> {
        match name {
            "id" => Ok(Self::Id),
            "queue" => Ok(Self::Queue),
            "age" => Ok(Self::Age),
            "silence" => Ok(Self::Silence),
            "received" => Ok(Self::Received),
            "sent" => Ok(Self::Sent),
            "received_rate" => Ok(Self::ReceivedRate),
            "sent_rate" => Ok(Self::SentRate),
            _ => {
                Err("order is id, queue, age, silence, received, sent, received_rate or sent_rate")
            }
        }
    }

    /// The least comes first; of those that have the same, the lowest id.
    fn key(self, session: &SessionReport) -> u64 {
        match self {
            Self::Id => 0,
            Self::Queue => u64::MAX - session.queued_bytes as u64,
            Self::Age => session.opened.as_nanos(),
            Self::Silence => session.last_receive.as_nanos(),
            Self::Received => u64::MAX - session.received_bytes,
            Self::Sent => u64::MAX - session.sent_bytes,
            Self::ReceivedRate => u64::MAX - session.received_per_second,
            Self::SentRate => u64::MAX - session.sent_per_second,
        }
    }
}

fn limit_of(value: &str) -> Result<usize, &'static str> {
    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or("limit is a whole number from 1 to 1000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_which_and_how_many() {
        let filter = SessionFilter::default();
        let all = Ok(Listing { order: Order::Id, limit: 100, after: None, filter });
        assert_eq!((Listing::read(""), Listing::read("&")), (all.clone(), all));
        let page = Listing::read("after=18446744073709551615&limit=1000&order=id");
        let id = SessionId::from_u64(u64::MAX);
        assert_eq!(page.map(|page| page.wanted()), Ok(SessionsWanted::After(Some(id), 1000)));
        let wanted = |query| Listing::read(query).map(|listing| listing.wanted());
        assert_eq!(wanted("order=queue&limit=1"), Ok(SessionsWanted::FullestQueues(1)));
        assert_eq!(wanted("order=age"), Ok(SessionsWanted::Oldest(100)));
        assert_eq!(wanted("order=silence"), Ok(SessionsWanted::LongestSilent(100)));
        assert_eq!(wanted("order=received"), Ok(SessionsWanted::MostReceived(100)));
        assert_eq!(wanted("limit=2&order=sent"), Ok(SessionsWanted::MostSent(2)));
        assert_eq!(wanted("order=received_rate"), Ok(SessionsWanted::FastestReceived(100)));
        assert_eq!(wanted("order=sent_rate&limit=3"), Ok(SessionsWanted::FastestSent(3)));
        let filter = |query| Listing::read(query).map(|listing| listing.filter);
        let mut both = SessionFilter::default();
        both.peer_prefix = Some("192.0.2.7:".to_owned());
        both.group = Some("caf\u{e9} & bar+\u{fffd}".to_owned());
        assert_eq!(filter("order=sent&group=caf%C3%A9+%26%20bar%2b%ff&peer=192.0.2.7:"), Ok(both));
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said() {
        for (query, says) in [
            ("limit=0", "limit is"),
            ("limit=1001", "limit is"),
            ("limit=-1", "limit is"),
            ("limit=", "limit is"),
            ("limit", "limit is"),
            ("order=peer", "order is"),
            ("order=ID", "order is"),
            ("order=rate", "order is"),
            ("after=1&order=sent_rate", "after is for order=id"),
            ("after=x", "after is the id"),
            ("after=", "after is the id"),
            ("after=1&order=age", "after is for order=id"),
            ("limit=1&limit=1", "once"),
            ("order=id&order=age", "once"),
            ("peer=1&peer=1", "once"),
            ("group=&group=", "once"),
            ("peers=1", "a query has"),
            ("Limit=1", "a query has"),
            ("=", "a query has"),
        ] {
            let said = Listing::read(query).map_err(|line| line.contains(says));
            assert_eq!(said, Err(true), "{query}");
        }
    }
}
