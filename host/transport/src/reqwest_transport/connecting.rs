//! The opening of connections, timed.

use crate::connection_notes::ConnectionNotes;
use crate::failure::ResolveError;
use crate::transport::Marks;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// The marks of the request for which a connection is opened on this task.
    pub(super) static MARKS: Arc<Marks>;
}

/// The system's resolver, timed.
pub(super) struct TimedResolver;

impl Resolve for TimedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let begun = Instant::now();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let addresses: Vec<_> = match tokio::net::lookup_host((host.as_str(), 0)).await {
                Ok(addresses) => addresses.collect(),
                Err(source) => {
                    return Err(ResolveError {
                        name: name.as_str().to_owned(),
                        source,
                    }
                    .into());
                }
            };
            // Absent where the connection is opened in the background, for no request in particular.
            let _ = MARKS.try_with(|marks| marks.mark_resolved(begun.elapsed()));
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Wraps the opening of connections, to time it.
#[derive(Clone)]
pub(super) struct TimedConnecting {
    pub(super) notes: Arc<ConnectionNotes>,
}

impl<S> Layer<S> for TimedConnecting {
    type Service = TimedConnector<S>;

    fn layer(&self, inner: S) -> TimedConnector<S> {
        TimedConnector {
            inner,
            notes: Arc::clone(&self.notes),
        }
    }
}

/// Opens connections and notes how long that took.
#[derive(Clone)]
pub(super) struct TimedConnector<S> {
    inner: S,
    notes: Arc<ConnectionNotes>,
}

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let marks = MARKS.try_with(Arc::clone).ok();
        let begun = Instant::now();
        let connecting = self.inner.call(target);
        let notes = Arc::clone(&self.notes);
        Box::pin(async move {
            let Some(marks) = marks else {
                let result = connecting.await;
                if result.is_ok() {
                    notes.note_opened();
                }
                return result;
            };
            // The scope goes along: the pool may finish the connection on a task of its own.
            let result = MARKS.scope(Arc::clone(&marks), connecting).await;
            if result.is_ok() {
                notes.note_opened();
                marks.mark_connected(begun.elapsed());
            }
            result
        })
    }
}
