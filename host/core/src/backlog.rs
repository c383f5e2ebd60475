//! Who holds up finished responses. A client thread that finds no room for one asks here, at that moment, what
//! the room is missing for: only then can a slow plugin, a slow disk and a slow reader be told apart.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What takes finished responses, in the order in which they get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineStage {
    /// The plugin reads them.
    Plugin,
    /// They are added to the totals.
    Totals,
    /// They wait for the database.
    Database,
    /// They wait for the CSV file or for the reader of standard output.
    Csv,
    /// Their text for standard error is made.
    Terminal,
}

impl PipelineStage {
    /// Every stage, in order.
    pub const ALL: [Self; 5] = [
        Self::Plugin,
        Self::Totals,
        Self::Database,
        Self::Csv,
        Self::Terminal,
    ];

    /// The name in JSON.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Totals => "totals",
            Self::Database => "database",
            Self::Csv => "csv",
            Self::Terminal => "terminal",
        }
    }
}

/// How often a client thread had to wait until a finished response was taken, by what held it up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits([u64; 5]);

impl Waits {
    /// So many waits for one stage.
    pub fn of(self, stage: PipelineStage) -> u64 {
        self.0[stage as usize]
    }

    /// The same with `waits` for `stage`.
    #[must_use]
    pub fn with(mut self, stage: PipelineStage, waits: u64) -> Self {
        self.0[stage as usize] = waits;
        self
    }
}

/// What the threads of a run tell of where they are.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Threads of the plugin that cannot get rid of a response.
    plugin_held_up: AtomicU64,
    /// Where the thread behind the plugin is: a [`PipelineStage`].
    now: AtomicU8,
    waits: [AtomicU64; 5],
}

impl Backlog {
    /// Does what may take a while on the thread behind the plugin.
    pub fn during<R>(&self, stage: PipelineStage, work: impl FnOnce() -> R) -> R {
        self.now.store(stage as u8, Ordering::Relaxed);
        let result = work();
        self.now
            .store(PipelineStage::Totals as u8, Ordering::Relaxed);
        result
    }

    /// Waits on a thread of the plugin, since what is behind it takes nothing.
    pub fn plugin_held_up<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.plugin_held_up.fetch_add(1, Ordering::Relaxed);
        let result = wait();
        self.plugin_held_up.fetch_sub(1, Ordering::Relaxed);
        result
    }

    /// Counts a client thread that has to wait, for what holds it up at this moment.
    pub fn count_wait(&self) {
        let stage = if self.plugin_held_up.load(Ordering::Relaxed) == 0 {
            PipelineStage::Plugin
        } else {
            // One that the thread behind the plugin has not begun with yet is one of the totals.
            let now = self.now.load(Ordering::Relaxed);
            PipelineStage::ALL
                .into_iter()
                .skip(1)
                .find(|stage| *stage as u8 == now)
                .unwrap_or(PipelineStage::Totals)
        };
        self.waits[stage as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The waits so far.
    pub fn waits(&self) -> Waits {
        Waits(std::array::from_fn(|stage| {
            self.waits[stage].load(Ordering::Relaxed)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_counted_where_it_is_caused() {
        let backlog = Backlog::default();
        // The plugin is at work: it is what takes so long, whatever the thread behind it does.
        backlog.during(PipelineStage::Csv, || backlog.count_wait());
        backlog.plugin_held_up(|| {
            backlog.during(PipelineStage::Csv, || backlog.count_wait());
            backlog.during(PipelineStage::Database, || backlog.count_wait());
            backlog.count_wait();
        });
        let expected = Waits::default()
            .with(PipelineStage::Plugin, 1)
            .with(PipelineStage::Csv, 1)
            .with(PipelineStage::Database, 1)
            .with(PipelineStage::Totals, 1);
        assert_eq!(backlog.waits(), expected);
    }
}
