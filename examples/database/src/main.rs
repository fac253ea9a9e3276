//! Requests and replies with a database: an async driver on tokio, beside the sessions and in nobody's way.
//! `database ADDRESS [DATABASE_URL]`. A frame is a line: `TAG get NAME`, `TAG add NAME POINTS` or `TAG count N`,
//! which takes long. An answer begins with the tag of its request, and comes when it is ready.

use std::{error::Error, sync::Arc};

use sqlx::AnyPool;
use tokio::{runtime::Handle, runtime::Runtime, sync::Semaphore};
use wharf::{Context, Framing, OnMessage, Outcome, Server, Session};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS scores (name TEXT PRIMARY KEY, points BIGINT)";
const GET: &str = "SELECT points FROM scores WHERE name = $1";
const ADD: &str = "INSERT INTO scores (name, points) VALUES ($1, $2) \
    ON CONFLICT (name) DO UPDATE SET points = scores.points + excluded.points RETURNING points";
const COUNT: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    SELECT CAST(count(*) AS BIGINT) FROM n";

#[derive(Clone)]
struct Player {
    database: AnyPool,
    tokio: Handle,
    /// For requests that wait for the database, of all sessions together.
    places: Arc<Semaphore>,
}

impl Session for Player {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let (tag, question) = str::from_utf8(frame)?.split_once(' ').ok_or("no tag")?;
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            ctx.send(format!("{tag} busy").as_bytes());
            return Ok(());
        };
        let own = ctx.session_ref(ctx.id()).typed::<Self>()?;
        let (tag, question) = (tag.to_owned(), question.to_owned());
        let database = self.database.clone();
        self.tokio.spawn(async move {
            let answer = match ask(&database, &question).await {
                Ok(Some(points)) => format!("{tag} {points}"),
                Ok(None) => format!("{tag} none"),
                Err(error) => format!("{tag} error: {error}"),
            };
            drop(place);
            own.post(answer); // Nobody gets it if the session has ended.
        });
        Ok(())
    }
}

impl OnMessage<String> for Player {
    fn on_message(&mut self, ctx: &mut Context<'_>, answer: String) -> Outcome {
        ctx.send(answer.as_bytes());
        Ok(())
    }
}

async fn ask(database: &AnyPool, question: &str) -> Result<Option<i64>, Box<dyn Error>> {
    let query = match question.split(' ').collect::<Vec<_>>()[..] {
        ["get", name] => sqlx::query_scalar(GET).bind(name.to_owned()),
        ["add", name, more] => {
            sqlx::query_scalar(ADD).bind(name.to_owned()).bind(more.parse::<i64>()?)
        }
        ["count", n] => sqlx::query_scalar(COUNT).bind(n.parse::<i64>()?),
        _ => return Err("get NAME, add NAME POINTS or count N".into()),
    };
    Ok(query.fetch_optional(database).await?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let address = words.next().ok_or("usage: database ADDRESS [DATABASE_URL]")?;
    let url = words.next().unwrap_or_else(|| "sqlite:scores.db?mode=rwc".to_owned());
    sqlx::any::install_default_drivers();
    let runtime = Runtime::new()?;
    let database = runtime.block_on(AnyPool::connect(&url))?;
    runtime.block_on(sqlx::query(CREATE).execute(&database))?;
    let (tokio, places) = (runtime.handle().clone(), Arc::new(Semaphore::new(1_000)));
    let player = Player { database, tokio, places };
    Server::bind(address).framing(Framing::LINES).run(move |_| player.clone())?;
    Ok(())
}
