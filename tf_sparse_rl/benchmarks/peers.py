"""Times a peer's agent at our benchmark's work; prints a line of JSON.

A script for the peer's own interpreter: it imports neither TensorFlow nor us.
"""

import argparse
import importlib
import json
import os
import statistics
import tempfile
import time

_PACKAGES = {'sb3': 'stable_baselines3', 'sbx': 'sbx'}
_INSTALL = {'sb3': '"stable-baselines3==2.9.*"', 'sbx': '"sbx-rl==0.28.*"'}
_LEARNING_STARTS = 200  # Env steps; within the warm-up, as XLA's compile is.


def parse_args(argv=None) -> argparse.Namespace:
  """Returns the flags; `hidden` as a list of units."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--peer', choices=sorted(_INSTALL), required=True)
  parser.add_argument('--agent', choices=['dqn', 'sac', 'ppo'], default='dqn')
  parser.add_argument('--env_name', default='CartPole-v1')
  parser.add_argument('--num_env_steps', type=int, default=4000)
  parser.add_argument('--warmup_env_steps', type=int, default=1000)
  parser.add_argument('--hidden', default='512,512', help='units a layer')
  parser.add_argument('--batch_size', type=int, default=128)
  parser.add_argument(
    '--train_step_calls', type=int, default=0, help='train steps timed alone'
  )
  # Unset: every core, faster than 1 for both peers on 2 quiet cores. Beside
  # other work torch's threads spin and can lose to 1 manyfold: time both then.
  parser.add_argument('--threads', type=int, default=None)
  args = parser.parse_args(argv)
  args.hidden = [int(units) for units in args.hidden.split(',')]
  if args.num_env_steps < 1 or args.warmup_env_steps <= _LEARNING_STARTS:
    parser.error(
      f'num_env_steps >= 1 and warmup_env_steps > {_LEARNING_STARTS} expected. '
      f'Received: {args.num_env_steps}, {args.warmup_env_steps}'
    )
  # SBX builds two hidden layers of the first width, whatever it is given.
  if args.peer == 'sbx' and args.hidden != args.hidden[:1] * 2:
    parser.error(f'sbx: two equal hidden layers. Received: {args.hidden}')
  return args


def import_peer(peer: str, threads: int | None):
  """Returns the peer's package, told to use `threads` threads."""
  if threads:
    os.environ['NPROC'] = str(threads)  # XLA's pools; read when JAX starts.
  try:
    package = importlib.import_module(_PACKAGES[peer])
    torch = importlib.import_module('torch')  # Both peers need it.
  except ImportError as error:
    raise SystemExit(
      f'{peer} is needed in this interpreter ({error}). Make it its own: '
      f'python -m venv ENV && ENV/bin/pip install {_INSTALL[peer]}'
    ) from error
  if threads:
    torch.set_num_threads(threads)
  return package


def make_model(package, args: argparse.Namespace):
  """Returns the peer's agent, with our presets; PPO's rollouts are 2048."""
  total_env_steps = args.warmup_env_steps + args.num_env_steps
  if args.agent == 'dqn':
    kind = package.DQN
    options = {
      'learning_rate': 1e-3,
      'buffer_size': 100_000,
      'target_update_interval': 100,
      # Greedy before the clock starts: acting by the network is part of it.
      'exploration_fraction': 0.5 * args.warmup_env_steps / total_env_steps,
      'exploration_final_eps': 0.01,
    }
  elif args.agent == 'sac':
    kind = package.SAC
    options = {'learning_rate': 3e-4, 'buffer_size': 1_000_000, 'tau': 0.005}
  else:
    kind = package.PPO
    options = {'learning_rate': 3e-4, 'n_steps': 2048, 'n_epochs': 10}
  if args.agent != 'ppo':
    options['learning_starts'] = _LEARNING_STARTS
    options.update(train_freq=1, gradient_steps=1)
  return kind(
    'MlpPolicy',
    args.env_name,
    batch_size=args.batch_size,
    gamma=0.99,
    policy_kwargs={'net_arch': args.hidden},
    device='cpu',
    verbose=0,
    seed=0,
    **options,
  )


def time_model(model, args: argparse.Namespace) -> float:
  """Returns the seconds of `num_env_steps` env steps after the warm-up."""
  times = {}  # By env step.
  end = args.warmup_env_steps + args.num_env_steps

  # Called between an env step and its train step: N calls apart, N of each.
  def on_step(*_):
    times[model.num_timesteps] = time.perf_counter()
    return True

  model.learn(end, callback=on_step, log_interval=None)
  return times[end] - times[args.warmup_env_steps]


def time_train_step(model, args: argparse.Namespace) -> float:
  """Returns the median milliseconds of a train step alone."""
  times = []
  for _ in range(args.train_step_calls):
    begin = time.perf_counter()
    model.train(gradient_steps=1, batch_size=args.batch_size)
    times.append(time.perf_counter() - begin)
  return 1000 * statistics.median(times)


def main(argv=None) -> None:
  """Times the peer and prints the figures."""
  args = parse_args(argv)
  os.chdir(tempfile.gettempdir())  # MuJoCo logs its warnings where it is.
  package = import_peer(args.peer, args.threads)
  model = make_model(package, args)
  seconds = time_model(model, args)
  speed = round(args.num_env_steps / seconds, 1)
  result = {'peer': args.peer, 'version': package.__version__}
  result.update(env_steps_per_sec=speed, env_steps=args.num_env_steps)
  if args.train_step_calls:
    result['train_step_ms'] = round(time_train_step(model, args), 4)
  print(json.dumps({**result, 'seconds': round(seconds, 3)}))


if __name__ == '__main__':
  main()
