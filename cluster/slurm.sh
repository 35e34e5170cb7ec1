#!/usr/bin/env bash
# One search on a Slurm allocation, every node of it; arguments are those of `spksearch launch`:
#
#   sbatch --nodes=4 cluster/slurm.sh triplet --corpus /shared/corpora/speech --trials 96
#
# To change: the lines with IN_CAPITALS below (take one # off each that your site wants), or the same
# options on the command line of sbatch; and, where the folder of submission has no .venv or is not
# on storage that every node has, SPKSEARCH_VENV and SPKSEARCH_HOME in the environment of sbatch.
##SBATCH --partition=PARTITION
##SBATCH --account=ACCOUNT
##SBATCH --gpus-per-node=GPUS_PER_NODE
#SBATCH --nodes=2
#SBATCH --time=24:00:00
#SBATCH --job-name=spksearch
#SBATCH --output=%x-%j.out
#SBATCH --ntasks-per-node=1
# Ray is ended by `ray stop`, which ends every Ray of this user on the node: none other may be there.
#SBATCH --exclusive
#SBATCH --mem=0
# A node that dies, or a preemption, puts the job back into the queue; so do we before the limit.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180
set -euo pipefail

if [ "$#" = 0 ]; then
  echo "usage: sbatch $0 SPACE --corpus DIR [options of spksearch launch]" >&2
  exit 2
fi
submitted_from=${SLURM_SUBMIT_DIR:-$PWD}
venv=${SPKSEARCH_VENV:-$submitted_from/.venv}
export SPKSEARCH_HOME=${SPKSEARCH_HOME:-$submitted_from/runs}

# `ray symmetric-run` calls `ray` by name, and so do the nodes that it starts.
if [ ! -x "$venv/bin/ray" ] || [ ! -x "$venv/bin/python" ]; then
  echo "no Ray in $venv; SPKSEARCH_VENV names the environment that has spksearch" >&2
  exit 3
fi
export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH

# The token is a file that only its owner can read, on storage that every node has. It never stands
# on a command line, which `ps` and `scontrol show job` show to everybody.
mkdir -p "$SPKSEARCH_HOME"
token=$SPKSEARCH_HOME/ray-token
if [ ! -e "$token" ]; then
  fresh=$(umask 077 && mktemp "$SPKSEARCH_HOME/.ray-token.XXXXXX")
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$fresh"
  ln "$fresh" "$token" 2>/dev/null || true # another job may have been faster; its token stays
  rm -f "$fresh"
fi
case $(stat -c %a "$token") in
  600 | 400) ;;
  *)
    echo "$token can be read by others than its owner: chmod 600 $token" >&2
    exit 3
    ;;
esac
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token
export RAY_USAGE_STATS_ENABLED=0
# Of the three minutes before the limit trainings may take two to write down where they are.
export SPKSEARCH_GRACE_SECONDS=${SPKSEARCH_GRACE_SECONDS:-120}
# Python starts slowly from shared storage; 30 seconds, the default, are too few.
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
# A worker that is told to end first asks the head to drain it, for 30 seconds, even a head that has
# ended; by then Slurm would kill it.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=5

# The head is where this script runs, the first node, so that the signal below finds the launch.
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head_ip=$(getent ahostsv4 "${hosts[0]}" | awk 'NR == 1 { print $1 }')
if [ -z "$head_ip" ] || [[ $head_ip == 127.* ]]; then
  echo "${hosts[0]} has no address that the other nodes can reach (got '$head_ip')" >&2
  exit 3
fi
address=$head_ip:6379
cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
launch_pid=$scratch/launch.pid
launch_code=$scratch/launch.code
out_of_time=

# Shortly before the limit: the launch alone is told to leave, while its nodes still run. It saves
# everything and ends with 143; then the job goes back into the queue.
# shellcheck disable=SC2329 # called by the trap
leave() {
  out_of_time=yes
  if [ -s "$launch_pid" ]; then
    echo "the time limit is near: the launch is told to leave"
    kill -TERM "$(cat "$launch_pid")" 2>/dev/null || true
  elif [ -n "${step:-}" ]; then
    kill -TERM "$step" 2>/dev/null || true
  fi
}
trap leave USR1

# Every option before `--` goes to the head and to the workers, so none may be there that only a head
# takes (--include-dashboard). The dashboard listens on loopback, which is Ray's default.
#
# When the launch and its head have ended, the workers still wait for a head to come back: five seconds
# later srun ends them, and its own exit code then tells of that. The job's is the one that the launch
# had.
# shellcheck disable=SC2016 # the inner shell expands these
watched='
  (echo "$BASHPID" >"$1" && exec "${@:3}") &
  launch=$!
  trap : TERM # sent to every process of the step; the launch has it too, and takes its time
  code=0
  wait "$launch" || code=$?
  while kill -0 "$launch" 2>/dev/null; do
    code=0
    wait "$launch" || code=$?
  done
  echo "$code" >"$2"
  exit "$code"'
run_step() {
  rm -f "$launch_code"
  srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" --ntasks-per-node=1 \
    --cpus-per-task="$cpus" --kill-on-bad-exit=1 --wait=5 \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_NNODES" \
    --num-cpus="$cpus" --object-store-memory=268435456 --disable-usage-stats \
    -- bash -c "$watched" launch "$launch_pid" "$launch_code" \
    python -P -m search launch "$@" --address "$address" &
  step=$!
  code=0
  wait "$step" || code=$?
  while kill -0 "$step" 2>/dev/null; do # a signal ends `wait`, not the step
    code=0
    wait "$step" || code=$?
  done
  rm -f "$launch_pid"
  [ ! -s "$launch_code" ] || code=$(cat "$launch_code")
}

restarts=${SLURM_RESTART_COUNT:-0}
if [ "$restarts" != 0 ]; then
  echo "restart $restarts: the search goes on from its ledger"
  # What the run before left on a node may still be calling `ray stop`, which would end ours.
  # shellcheck disable=SC2016 # the inner shell expands these
  srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" --ntasks-per-node=1 bash -c '
    for _ in {1..45}; do
      pgrep -u "$(id -u)" -f "[r]aylet|[r]ay symmetric-run|[r]ay stop" >/dev/null || exit 0
      sleep 2
    done' || true
fi
run_step "$@"
if [ "$code" = 3 ] && [ "$restarts" != 0 ] && [ -z "$out_of_time" ]; then
  # A driver that died with its host keeps the search until its lease has run out.
  echo "trying once more after two minutes"
  sleep 130 &
  wait $! || true
  [ -n "$out_of_time" ] || run_step "$@"
fi
if [ -n "$out_of_time" ] && [ "$code" != 0 ]; then
  echo "back into the queue"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
