#!/usr/bin/env bash
# Kills and stops processes that share one MongoDB at random moments, under load, many times, in a release build, and checks
# at the end that nothing was lost, doubled, out of order or left half-done.
#
#   scripts/faults.sh            100 rounds
#   scripts/faults.sh 1000       as many as you like
#   ALERTCAST_FAULT_SEED=7 scripts/faults.sh 10      repeats a run: the seed is printed at its start
#
# Needs the MongoDB that `./test` brings, or ALERTCAST_TEST_MONGODB_SERVER, which names a server's program.
# `./test` runs five rounds of the same in a debug build, and those in which the database itself fails; `./test --long`
# those too in which one of its three nodes does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export ALERTCAST_FAULT_ROUNDS=${1:-100}
export ALERTCAST_FAULT_SEED=${ALERTCAST_FAULT_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
if [[ -z ${ALERTCAST_TEST_MONGODB_SERVER:-} ]]; then
    ALERTCAST_TEST_MONGODB_SERVER=$(ls -d "$PWD"/.parts/{mongod-*/mongod,secantus-*/bin/secantusd-rs} 2>/dev/null | head -n 1 || true)
    [[ -n $ALERTCAST_TEST_MONGODB_SERVER ]] || { echo "faults: run ./test once: it brings the database" >&2; exit 1; }
    export ALERTCAST_TEST_MONGODB_SERVER
fi

echo "faults: $ALERTCAST_FAULT_ROUNDS rounds, ALERTCAST_FAULT_SEED=$ALERTCAST_FAULT_SEED" >&2
# The test's program has failpoints built in, which a release has not: it is built beside it, and need not be as small.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=none
exec cargo test --release --target-dir target/crash -p alertcast --test it -- \
    --exact --nocapture faults::processes::processes_that_die_and_hang_lose_and_double_nothing
