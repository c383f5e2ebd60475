//! Arguments for a load that several processes send.

use super::PerfArguments;
use super::usage::UsageError;
use clap::Args;
use llmuses_core::plan::{Arrivals, Shard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The variables in which engines say which of how many processes this one is: the number, from 0, and how many there are.
/// The first that is set counts. Those of MPI come first: `mpirun` in a job of Slurm leaves each process the variables of
/// the job's own task, the same for all, while `srun` sets those of PMI, where it does, to the same as its own.
const RANKS: [(&str, Option<&str>); 4] = [
    ("OMPI_COMM_WORLD_RANK", Some("OMPI_COMM_WORLD_SIZE")),
    ("PMI_RANK", Some("PMI_SIZE")),
    ("SLURM_PROCID", Some("SLURM_NTASKS")),
    // An Indexed Job of Kubernetes does not say how many there are.
    ("JOB_COMPLETION_INDEX", None),
];

/// Arguments for a load that several processes send.
#[derive(Debug, Clone, Args)]
pub(super) struct PartArguments {
    /// Send part K of N of the load, K from 0; results go to NAME.K.db, and `llmuses merge` makes one run of those of all
    /// parts. `auto` takes both from the variables of Slurm or MPI, `auto/N` takes K from those of Kubernetes too.
    #[arg(long, value_name = "K/N|auto", help_heading = "Many machines")]
    pub(super) shard: Option<String>,

    /// Begin at this instant: seconds since 1970 (`date +%s`), or such as 2026-01-31T12:00:00Z. A run that is not ready by
    /// then sends nothing.
    #[arg(long, value_name = "TIME", value_parser = instant, help_heading = "Many machines")]
    pub(super) start_at: Option<Duration>,
}

impl PartArguments {
    /// Whether a part is sent, be it the only one: its results are those of a part.
    pub(super) fn is_part(&self) -> bool {
        self.shard.is_some()
    }

    /// The part of the load that is to be sent.
    pub(super) fn shard(&self) -> Result<Shard, UsageError> {
        match &self.shard {
            None => Ok(Shard::default()),
            Some(text) => shard(text, |name| std::env::var(name).ok()),
        }
    }
}

impl PerfArguments {
    /// What of the parts contradicts the load.
    pub(super) fn check_parts(&self) -> Result<(), UsageError> {
        let shard = self.parts.shard()?;
        let parts = self.parts_of_load(shard);
        let loads = self.loads(shard)?;
        let few = loads.iter().find_map(|load| match load.arrivals {
            Arrivals::Closed { parallel } if parallel < parts as usize => Some(parallel),
            _ => None,
        });
        if let Some(slots) = few {
            return Err(UsageError::FewSlots {
                flag: "--parallel",
                slots: slots as u32,
                parts,
            });
        }
        if let Some(slots) = self.max_in_flight.filter(|slots| *slots < parts) {
            return Err(UsageError::FewSlots {
                flag: "--max-in-flight",
                slots,
                parts,
            });
        }
        if self.parts.start_at.is_some() && loads.len() > 1 {
            return Err(UsageError::OneStart { loads: loads.len() });
        }
        if let Some(at) = self.parts.start_at
            && let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH)
            && at <= now
        {
            return Err(UsageError::StartIsOver { ago: now - at });
        }
        if let (true, Some(number)) = (self.rate.contains(&Arrivals::AllAtOnce), self.number)
            && number < u64::from(parts)
        {
            return Err(UsageError::FewSlots {
                flag: "-n",
                slots: u32::try_from(number).unwrap_or(u32::MAX),
                parts,
            });
        }
        Ok(())
    }
}

/// Reads a part, with what an engine says of it.
fn shard(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, UsageError> {
    let wrong = |reason: String| UsageError::Shard {
        text: text.to_owned(),
        reason,
    };
    let Some(rest) = text.strip_prefix("auto") else {
        return Shard::of_text(text).ok_or_else(|| {
            wrong("it should be K/N with K from 0 to N - 1, such as 0/8, or auto".to_owned())
        });
    };
    let given = match rest.strip_prefix('/') {
        Some(parts) => Some(parts.to_owned()),
        None if rest.is_empty() => None,
        None => {
            return Err(wrong(
                "it should be auto or auto/N, such as auto/8".to_owned(),
            ));
        }
    };
    let found = RANKS
        .iter()
        .find_map(|(rank, size)| Some((*rank, variable(rank)?, *size)));
    let Some((name, rank, size)) = found else {
        let names: Vec<&str> = RANKS.iter().map(|(rank, _)| *rank).collect();
        return Err(wrong(format!(
            "none of the variables {} is set, so that the part is not known: give K/N",
            names.join(", ")
        )));
    };
    let parts = match (given, size) {
        (Some(parts), _) => parts,
        (None, Some(size)) => variable(size)
            .ok_or_else(|| wrong(format!("{name} is set and {size} is not: give auto/N")))?,
        (None, None) => {
            return Err(wrong(format!(
                "{name} does not come with the number of parts: give auto/N"
            )));
        }
    };
    Shard::of_text(&format!("{rank}/{parts}")).ok_or_else(|| {
        wrong(format!(
            "{name} says part {rank} of {parts}, and there is no such part"
        ))
    })
}

/// Reads an instant, as a time since 1970.
fn instant(text: &str) -> Result<Duration, String> {
    let wrong = "it should be seconds since 1970 (`date +%s`), or such as 2026-01-31T12:00:00Z";
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong.to_owned());
    }
    let at: jiff::Timestamp = text.parse().map_err(|_| wrong.to_owned())?;
    Duration::try_from(at.as_duration()).map_err(|_| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, variables: &[(&str, &str)]) -> Result<Shard, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        shard(text, variable).map_err(|error| error.to_string())
    }

    #[test]
    fn a_part_comes_from_the_flag_or_from_the_engine() {
        let third = Ok(Shard::new(2, 8).unwrap());
        assert_eq!(of("2/8", &[("SLURM_PROCID", "5")]), third);
        let slurm = [("SLURM_PROCID", "2"), ("SLURM_NTASKS", "8")];
        assert_eq!(of("auto", &slurm), third);
        assert_eq!(of("auto", &[("PMI_RANK", "2"), ("PMI_SIZE", "8")]), third);
        let mpi = [("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "8")];
        assert_eq!(of("auto", &mpi), third);
        assert_eq!(of("auto/8", &[("JOB_COMPLETION_INDEX", "2")]), third);
        // In a job of Slurm, where mpirun started the processes.
        let job = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "3")];
        assert_eq!(of("auto", &[&job[..], &mpi].concat()), third);
        let pmi = [("PMI_RANK", "2"), ("PMI_SIZE", "8")];
        assert_eq!(of("auto", &[&job[..], &pmi].concat()), third);
    }

    #[test]
    fn a_part_that_is_not_known_is_an_error() {
        for (text, variables, said) in [
            ("8/8", &[][..], "K from 0 to N - 1"),
            ("auto", &[], "none of the variables OMPI_COMM_WORLD_RANK"),
            ("automatic", &[], "auto/N"),
            ("auto", &[("JOB_COMPLETION_INDEX", "2")], "give auto/N"),
            ("auto", &[("SLURM_PROCID", "2")], "SLURM_NTASKS is not"),
            ("auto/2", &[("JOB_COMPLETION_INDEX", "2")], "no such part"),
        ] {
            let error = of(text, variables).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_instant_is_a_number_or_a_date() {
        assert_eq!(
            instant("1769860800.5").unwrap(),
            Duration::from_millis(1_769_860_800_500)
        );
        assert_eq!(
            instant("2026-01-31T12:00:00Z").unwrap(),
            Duration::from_secs(1_769_860_800)
        );
        assert_eq!(
            instant("2026-01-31T13:00:00.25+01:00").unwrap(),
            Duration::from_millis(1_769_860_800_250)
        );
        for wrong in ["soon", "-5", "2026-01-31"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}
