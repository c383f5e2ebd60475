//! The whole program against a server of known timing, beside a client of raw sockets as the floor: processor
//! time per chunk and per request, memory, start-up, an open loop. Prints a table.
//!
//! `cargo bench --bench end_to_end` takes about three minutes and has smaller loads than the targets are
//! about; `-- --runs 5` has the loads of the targets, and gives medians. A further word keeps to the figures
//! whose names hold it.

#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod raw_client;
#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
fn main() {
    let mut size = figures::Size::Small;
    let mut runs = 1;
    let mut wanted = String::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => {
                runs = arguments
                    .next()
                    .and_then(|runs| runs.parse().ok())
                    .filter(|runs| *runs > 0)
                    .expect("--runs takes a number from 1 on");
                size = figures::Size::Full;
            }
            // What cargo itself passes on.
            other if other.starts_with("--") => {}
            other => other.clone_into(&mut wanted),
        }
    }
    print!("{}", figures::measure(size, runs, &wanted));
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("The end-to-end benchmark measures with calls of Linux, and runs there only.");
}
