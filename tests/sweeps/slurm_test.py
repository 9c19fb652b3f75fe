"""SLURM for real: one node on loopback, from Debian's packages.

apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.sweeps import processes

_ROOT = pathlib.Path(__file__).parents[2]
_PROGRAMS = ('unshare', 'ip', 'munged', 'slurmctld', 'slurmd', 'sbatch')
# All that is started in it ends with it.
_NAMESPACE = ('unshare', '-nmpf', '--kill-child', '--mount-proc')
_CONF = """
ClusterName=loopback
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={path}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
StateSaveLocation={path}/state
SlurmdSpoolDir={path}/spool
SlurmctldPidFile={path}/slurmctld.pid
SlurmdPidFile={path}/slurmd.pid
NodeName={node} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000
PartitionName=main Nodes={node} Default=YES MaxTime=UNLIMITED State=UP
"""
# SLURM_DIR, LAUNCH and SWEEP_FLAGS come from the environment.
_SCRIPT = """
trap 'echo "the script failed in line $LINENO" >&2' ERR
ip link set lo up
# Without an address besides 127.0.0.1 no name is resolved for it.
ip address add 10.255.255.1/32 dev lo
# /run is not ours to write to.
mount -t tmpfs tmpfs /run
munged --foreground --socket="$SLURM_DIR/munge.socket" \
  --key-file="$SLURM_DIR/munge.key" --pid-file="$SLURM_DIR/munged.pid" \
  --seed-file="$SLURM_DIR/munged.seed" --log-file="$SLURM_DIR/munged.log" \
  --force >&2 &
until [ -S "$SLURM_DIR/munge.socket" ]; do sleep 0.1; done
slurmctld -D >"$SLURM_DIR/slurmctld.log" 2>&1 &
slurmd -D >"$SLURM_DIR/slurmd.log" 2>&1 &
for _ in $(seq 300); do
  if sinfo -h -o %T 2>/dev/null | grep -q idle; then break; fi
  sleep 0.2
done
sinfo -h -o %T | grep -q idle
"$LAUNCH/slurm_array.sh" $SWEEP_FLAGS

# The first task is asked to stop once it was evaluated after training.
first="$SWEEP_DIR/runs/CartPole-v1-rigl-0.9-seed0/results.jsonl"
until [ "$(wc -l 2>/dev/null <"$first")" -ge 2 ] 2>/dev/null; do sleep 0.1; done
job=$(squeue -h -r -o %F | head -n 1)
scancel --batch --signal=TERM "${job}_0"
while [ -n "$(squeue -h)" ]; do sleep 0.5; done
ls "$SWEEP_DIR"/runs/*/summary.json >"$SLURM_DIR/finished"

# The same command again does what is left.
"$LAUNCH/slurm_array.sh" $SWEEP_FLAGS
while [ -n "$(squeue -h)" ]; do sleep 0.5; done
"""
_ENV_SH = """
root=%s
python=%s
export PYTHONPATH=%s
die() { printf '%%s\\n' "$@" >&2; exit 1; }
ensure_environment() { :; }
"""

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    not all(map(shutil.which, _PROGRAMS)),
    reason='there is no SLURM; see the docstring',
  ),
  pytest.mark.skipif(os.getuid() != 0, reason='slurmd must be root'),
]


def test_an_array_is_worked_off_and_goes_on(tmp_path):
  slurm = tmp_path / 'slurm'
  slurm.mkdir()
  (slurm / 'munge.key').write_bytes(bytes(range(256)) * 4)
  (slurm / 'munge.key').chmod(0o600)
  conf = _CONF.format(node=os.uname().nodename, path=slurm)
  (slurm / 'slurm.conf').write_text(conf)
  checkout = tmp_path / 'checkout'
  shutil.copytree(_ROOT / 'launch', checkout / 'launch')
  (checkout / 'launch' / 'env.sh').write_text(
    _ENV_SH % (checkout, sys.executable, _ROOT)
  )
  sweep_dir = tmp_path / 'sweep'
  flags = processes.flags(num_env_steps=4000, eval_period=1000)
  alone = processes.start(
    'train', f'--root_dir={tmp_path}/alone', '--method=rigl', *flags
  )
  alone.communicate(timeout=400)
  assert alone.returncode == 0

  # What a scheduler of the machine itself may have set.
  kept = {k: v for k, v in os.environ.items() if not k.startswith('SLURM_')}
  ended = subprocess.run(
    [*_NAMESPACE, 'bash', '-ec', _SCRIPT],
    env={
      **kept,
      'SLURM_CONF': str(slurm / 'slurm.conf'),
      'SLURM_DIR': str(slurm),
      'LAUNCH': str(checkout / 'launch'),
      'SWEEP_DIR': str(sweep_dir),
      'SWEEP_FLAGS': ' '.join(
        [f'--sweep_dir={sweep_dir}', '--methods=rigl', '--seeds=3', *flags]
      ),
    },
    capture_output=True,
    text=True,
    timeout=500,
    check=False,
  )
  assert ended.returncode == 0, ended.stderr
  assert ended.stdout.count('Submitted batch job ') == 2
  ids = [f'CartPole-v1-rigl-0.9-seed{seed}' for seed in range(3)]
  finished = (slurm / 'finished').read_text().splitlines()
  assert finished == [f'{sweep_dir}/runs/{i}/summary.json' for i in ids[1:]]
  logs = [path.read_text('utf-8') for path in sweep_dir.glob('logs/slurm-*_0*')]
  assert sorted('To continue: ' in log for log in logs) == [False, True]
  log = (sweep_dir / 'logs' / f'{ids[0]}.log').read_text('utf-8')
  assert 'Stopped at env step ' in log and 'Continuing at env step ' in log
  assert all((sweep_dir / 'runs' / i / 'summary.json').exists() for i in ids)
  assert processes.results(sweep_dir / 'runs' / ids[0]) == processes.results(
    tmp_path / 'alone'
  )
