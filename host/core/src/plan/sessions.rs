//! Conversations of several turns.

use crate::lengths::NumberDistribution;
use crate::think_time::ThinkTime;

/// How sessions go. The default: as many turns as each conversation of the data set has, one of anything else, and no
/// time to think but that of the data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sessions {
    /// How many turns a session has, where prompts are not read. `None`: one.
    pub turns: Option<NumberDistribution>,
    /// The time between the end of a turn and the next one. `None`: as the data set says, or none.
    pub think_time: Option<ThinkTime>,
    /// Whether later turns have the replies that the data set recorded, in place of those of the server.
    pub recorded_replies: bool,
}
