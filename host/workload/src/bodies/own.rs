//! Bodies that a plugin makes by itself.

use super::{Bodies, Made};
use llmuses_core::cost::CallCost;
use llmuses_plugin_host::{BuildOptions, CallError, ParserInstance, RequestIterator};

/// The bodies of a plugin that makes them by itself.
pub struct OwnBodies {
    instance: ParserInstance,
    options: BuildOptions,
    pass: Option<RequestIterator>,
}

impl OwnBodies {
    /// Bodies of `instance`, which is asked for `options`.
    pub fn new(instance: ParserInstance, options: BuildOptions) -> Self {
        Self {
            instance,
            options,
            pass: None,
        }
    }
}

impl Bodies for OwnBodies {
    fn begin(&mut self) -> Result<(), CallError> {
        self.pass = Some(self.instance.build_request(&self.options)?);
        Ok(())
    }

    fn next(&mut self, max: u32) -> Result<Vec<Made>, CallError> {
        let Some(pass) = self.pass else {
            return Ok(Vec::new());
        };
        let bodies = self.instance.next(pass, max)?;
        let made = |body: String| Made {
            model: None,
            body: body.into(),
            own_head: None,
            rest: None,
            asked: None,
            place: None,
            delay: None,
        };
        Ok(bodies.into_iter().map(made).collect())
    }

    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError> {
        match self.pass {
            Some(pass) => self.instance.skipped(pass),
            None => Ok(Vec::new()),
        }
    }

    fn end(&mut self) -> Result<(), CallError> {
        match self.pass.take() {
            Some(pass) => self.instance.drop_requests(pass),
            None => Ok(()),
        }
    }

    fn cost(&self) -> CallCost {
        self.instance.cost()
    }
}
