#!/usr/bin/env bash
# Kills the program at random moments under load, many times, in a release build, and checks after each ten that nothing
# was lost, doubled or left half-done.
#
#   scripts/crash.sh            200 rounds
#   scripts/crash.sh 1000       as many as you like
#   ALERTCAST_CRASH_SEED=7 scripts/crash.sh 10      repeats a run: the seed is printed with every ten rounds
#
# Needs Rust only. `./test` runs ten rounds of the same in a debug build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export ALERTCAST_CRASH_ROUNDS=${1:-200}
export ALERTCAST_CRASH_SEED=${ALERTCAST_CRASH_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}

echo "crash: $ALERTCAST_CRASH_ROUNDS rounds, ALERTCAST_CRASH_SEED=$ALERTCAST_CRASH_SEED" >&2
# The test's program has failpoints built in, which a release has not: it is built beside it, and need not be as small.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=none
exec cargo test --release --target-dir target/crash -p alertcast --test it -- \
    --exact --nocapture crash::kill::crash_at_random_moments_under_load_loses_and_doubles_nothing
